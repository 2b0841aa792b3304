package access

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// line is one object of a log, as log/slog's JSON handler writes it, at a fifth of the cost: there is one for
// every request.
type line []byte

var lines = sync.Pool{New: func() any { l := make(line, 0, 1024); return &l }}

func (l line) name(name string) line {
	return append(append(append(l, ',', '"'), name...), '"', ':')
}

// text adds a member, unless its value is empty.
func (l line) text(name, value string) line {
	if value == "" {
		return l
	}
	return l.name(name).quoted(value)
}

func (l line) quoted(value string) line {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := json.Marshal(value)
			if err != nil {
				panic(err) // a text alone always encodes
			}
			return append(l, text...)
		}
	}
	return append(append(append(l, '"'), value...), '"')
}

func (l line) number(name string, value int64) line {
	return strconv.AppendInt(l.name(name), value, 10)
}

// seconds adds a duration, to the microsecond.
func (l line) seconds(name string, d time.Duration) line {
	const digits = 6
	micros := max(0, d.Microseconds())
	l = append(strconv.AppendInt(l.name(name), micros/1e6, 10), '.')
	at := len(l) + digits
	l = append(l, "000000"...)
	for rest := micros % 1e6; rest > 0; rest /= 10 {
		at--
		l[at] = byte('0' + rest%10)
	}
	return l
}
