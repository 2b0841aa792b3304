package memory

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
)

const mib = 1 << 20

// machine is what the kernel would say, and what comes of it.
type machine struct {
	*Manager
	files   fstest.MapFS
	metrics *metrics.Metrics
	shares  []float64 // that caches were shed to
	log     bytes.Buffer
}

func newMachine() *machine {
	m := &machine{files: fstest.MapFS{}, metrics: metrics.New("test")}
	m.Manager = New(config.Default().Memory, func(share float64) { m.shares = append(m.shares, share) }, m.metrics, slog.New(slog.NewTextHandler(&m.log, nil)))
	m.system = system{m.files}
	m.write("proc/self/cgroup", "0::/\n")
	return m
}

func (m *machine) write(file, text string) { m.files[file] = &fstest.MapFile{Data: []byte(text)} }

// uses has the container and the node use so many MiB, of 1000 and 8000.
func (m *machine) uses(container, node int64) {
	m.write("sys/fs/cgroup/memory.current", fmt.Sprintln((container+50)*mib))
	m.write("sys/fs/cgroup/memory.max", fmt.Sprintln(1000*mib))
	m.write("sys/fs/cgroup/memory.stat", fmt.Sprintf("anon 1\ninactive_file %d\n", 50*mib))
	m.write("proc/meminfo", fmt.Sprintf("MemTotal: %d kB\nMemFree: 1 kB\nMemAvailable: %d kB\n", 8000*1024, (8000-node)*1024))
	m.look()
}

func (m *machine) state(t *testing.T) float64 {
	t.Helper()
	return metricstest.Sum(t, m.metrics.Handler(), "ollamamax_memory_state")
}

func TestAContainerThatFillsUpWarnsThenShedsThenRefusesAndTakesWorkAgainOnceItHasRoom(t *testing.T) {
	m := newMachine()
	for _, step := range []struct {
		used  int64
		state float64
		sheds int
	}{
		{500, 0, 0}, {799, 0, 0}, {800, 1, 0}, {770, 1, 0}, // below the threshold, and not far enough
		{759, 0, 0}, {900, 2, 1}, {860, 2, 2}, {954, 3, 3}, {910, 3, 4}, {900, 2, 5}, {850, 1, 5}, {1000, 3, 6}, {100, 0, 6},
	} {
		m.uses(step.used, 1000)
		if state := m.state(t); state != step.state || len(m.shares) != step.sheds {
			t.Errorf("at %d MiB the state is %v, and caches were shed %d times, not %v and %d", step.used, state, len(m.shares), step.state, step.sheds)
		}
		if _, takes := m.Take(1); takes != (step.state < 3) {
			t.Errorf("at %d MiB a request is taken: %v", step.used, takes)
		}
	}
	for _, share := range m.shares {
		if share != 0 {
			t.Errorf("caches keep %v", share)
		}
	}
	if refused := metricstest.Sum(t, m.metrics.Handler(), "ollamamax_memory_refused_total"); refused != 3 {
		t.Errorf("%v are counted as refused, not 3", refused)
	}
	for kind, want := range map[string]float64{"container": 100 * mib, "container_limit": 1000 * mib, "node": 1000 * mib, "node_limit": 8000 * mib} {
		if got := metricstest.Sum(t, m.metrics.Handler(), "ollamamax_memory_bytes", "kind="+kind); got != want {
			t.Errorf("%s is %v, not %v", kind, got, want)
		}
	}
	if log := m.log.String(); strings.Count(log, "state=warning") != 2 || strings.Count(log, "state=refusing") != 2 {
		t.Errorf("the log is not one line a change:\n%s", log)
	}
}

func TestANodeThatIsShortMakesCachesSmallAndRefusesNothing(t *testing.T) {
	m := newMachine()
	for _, step := range []struct {
		used  int64
		state float64
	}{{4095, 0}, {4096, 1}, {5119, 1}, {5120, 2}, {4900, 2}, {4800, 1}, {7999, 2}} {
		m.uses(100, step.used)
		if state := m.state(t); state != step.state {
			t.Errorf("at %d MiB the state is %v, not %v", step.used, state, step.state)
		}
		if _, takes := m.Take(1); !takes {
			t.Errorf("at %d MiB requests are refused", step.used)
		}
	}
	if len(m.shares) != 3 || m.shares[0] != keptByNode {
		t.Errorf("caches were shed to %v", m.shares)
	}
}

func TestLargeBodiesAreTakenOnlyAsFarAsThereIsRoomAndGiveItBack(t *testing.T) {
	m := newMachine()
	m.uses(850, 1000) // of 950
	first, ok := m.Take(30 * mib)
	if _, second := m.Take(30 * mib); !ok || second {
		t.Errorf("of two bodies of 30 MiB, each with a copy, for 100 MiB, taken: %v, %v", ok, second)
	}
	for _, used := range []int64{850, 880, 910} { // it has not arrived, has, has been copied
		m.uses(used, 1000)
		if _, second := m.Take(30 * mib); second {
			t.Errorf("there is room for one more while %d MiB are used", used)
		}
	}
	for range 1000 {
		if _, ok := m.Take(small); !ok {
			t.Fatal("a small body is refused")
		}
	}
	m.Give(first)
	again, ok := m.Take(30 * mib)
	if !ok {
		t.Error("what was given back is not there")
	}
	m.Give(again)
	if claimed, ok := m.Take(-1); !ok || claimed != unknown {
		t.Errorf("a body of unknown length claims %d", claimed)
	}
}

func TestBothKindsOfCgroupAreRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"two, of the whole machine": {
			"proc/self/cgroup": "0::/system.slice/gateway\n", "sys/fs/cgroup/system.slice/gateway/memory.current": "70\n",
			"sys/fs/cgroup/system.slice/gateway/memory.max": "100\n", "sys/fs/cgroup/system.slice/gateway/memory.stat": "inactive_file 20\n",
		},
		"two, of a container": {
			"proc/self/cgroup": "0::/../other\n", "sys/fs/cgroup/memory.current": "70\n", "sys/fs/cgroup/memory.max": "100\n",
			"sys/fs/cgroup/memory.stat": "inactive_file 20\n",
		},
		"one, of a container": {
			"proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/0123\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "70\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "100\n", "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 20\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			for file, text := range files {
				m.write(file, text)
			}
			if got, err := m.system.container(); err != nil || got != (use{50, 100}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestWithoutALimitNothingIsRefused(t *testing.T) {
	for _, limit := range []string{"max", "9223372036854771712"} {
		m := newMachine()
		m.uses(900, 1000)
		m.write("sys/fs/cgroup/memory.max", limit)
		m.look()
		if _, ok := m.Take(1 << 40); !ok || m.state(t) != 0 {
			t.Errorf("with the limit %s the state is %v", limit, m.state(t))
		}
	}
}

func TestUseThatCantBeReadIsToldOnceAndRefusesNothing(t *testing.T) {
	m := newMachine()
	m.uses(999, 1000)
	m.write("proc/meminfo", "")
	m.look()
	m.look()
	if _, ok := m.Take(1 << 30); !ok || strings.Count(m.log.String(), "can't be read") != 1 {
		t.Errorf("taken: %v, log:\n%s", ok, m.log.String())
	}
}

func TestThisMachinesFilesAreRead(t *testing.T) {
	m := New(config.Default().Memory, func(float64) {}, metrics.New("test"), slog.New(slog.DiscardHandler))
	if node, err := m.system.node(); err != nil || node.used < mib || node.limit < node.used {
		t.Errorf("node: %+v, %v", node, err)
	}
	if container, err := m.system.container(); err != nil || (container != use{} && container.used < mib) {
		t.Errorf("container: %+v, %v", container, err)
	}
}

func BenchmarkTake(b *testing.B) {
	m := newMachine()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := m.Take(200); !ok {
			b.Fatal("refused")
		}
	}
}
