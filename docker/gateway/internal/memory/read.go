package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// noLimit is beyond every machine's memory: the old kind of cgroup writes such a number where it has no limit.
const noLimit = 1 << 60

// use is memory taken and memory there is, in bytes. limit is 0 where there is none.
type use struct{ used, limit int64 }

// system is the kernel's files.
type system struct {
	files fs.FS // of the root folder
}

// node is the use of all memory of the machine: what is not there for new work.
func (s system) node() (use, error) {
	fields, err := s.table("proc/meminfo")
	if err != nil {
		return use{}, err
	}
	total, available := fields["MemTotal:"]*1024, fields["MemAvailable:"]*1024
	if total == 0 || available == 0 {
		return use{}, errors.New("/proc/meminfo says neither MemTotal nor MemAvailable")
	}
	return use{total - available, total}, nil
}

// cgroupFiles are where a kind of cgroup says what. Pages of files that nobody has used of late are no use: the
// kernel takes them back before it kills.
type cgroupFiles struct{ folder, controller, used, limit, idle string }

var kinds = []cgroupFiles{
	{"sys/fs/cgroup", "", "memory.current", "memory.max", "inactive_file"},
	{"sys/fs/cgroup/memory", "memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"},
}

// container is the use of the gateway's own cgroup.
func (s system) container() (use, error) {
	groups, err := fs.ReadFile(s.files, "proc/self/cgroup")
	if err != nil {
		return use{}, err
	}
	for _, kind := range kinds {
		for line := range strings.Lines(string(groups)) {
			fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(fields) != 3 || fields[1] != kind.controller {
				continue
			}
			// In a container its own group may be the root of what it sees, whatever the group is called outside.
			for _, folder := range []string{path.Join(kind.folder, fields[2]), kind.folder} {
				if found, err := s.group(folder, kind); !errors.Is(err, fs.ErrNotExist) {
					return found, err
				}
			}
		}
	}
	return use{}, nil // no group has a say
}

func (s system) group(folder string, kind cgroupFiles) (use, error) {
	used, err := s.number(path.Join(folder, kind.used))
	if err != nil {
		return use{}, err
	}
	limit, err := s.number(path.Join(folder, kind.limit))
	if err != nil {
		return use{}, err
	}
	fields, err := s.table(path.Join(folder, "memory.stat"))
	if err != nil {
		return use{}, err
	}
	if limit >= noLimit {
		limit = 0
	}
	return use{max(0, used-fields[kind.idle]), limit}, nil
}

// number reads a file with a number, or with "max".
func (s system) number(file string) (int64, error) {
	text, err := fs.ReadFile(s.files, file)
	if err != nil {
		return 0, err
	}
	if trimmed := strings.TrimSpace(string(text)); trimmed != "max" {
		return strconv.ParseInt(trimmed, 10, 64)
	}
	return noLimit, nil
}

// table reads lines of a name and a number.
func (s system) table(file string) (map[string]int64, error) {
	text, err := fs.ReadFile(s.files, file)
	if err != nil {
		return nil, err
	}
	all := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if all[fields[0]], err = strconv.ParseInt(fields[1], 10, 64); err != nil {
			return nil, fmt.Errorf("/%s: %w", file, err)
		}
	}
	return all, nil
}
