package scan

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep the standard library's decoder, and so the worker, reads nested values.
const maxDepth = 10000

// scanner walks over JSON. It accepts what the standard library's decoder accepts, and nothing else.
type scanner struct {
	b []byte
	// open has a bit for each container around the value being skipped: set where it is an object.
	open [maxDepth/64 + 1]uint64
}

// walk is a walk over what a container holds.
type walk struct {
	// at is where the value of the member or element begins. The caller moves it behind that value before it
	// goes on, or to -1 where there is no value; before the first it stands behind the opening bracket.
	at     int
	begun  bool
	closed bool // by its bracket, and at stands behind that
}

// end returns the index behind the container once there is no more in it, or -1 where it is no JSON.
func (w *walk) end() int {
	if !w.closed {
		return -1
	}
	return w.at
}

// more goes to the next member or element.
func (s *scanner) more(w *walk, closing byte) bool {
	if w.at < 0 {
		return false
	}
	i := space(s.b, w.at)
	switch c := at(s.b, i); {
	case c == closing:
		w.at, w.closed = i+1, true
		return false
	case w.begun:
		if c != ',' {
			return false
		}
		i = space(s.b, i+1)
	}
	w.at, w.begun = i, true
	return true
}

type array struct{ walk }

// element goes to the next element of an array.
func (s *scanner) element(a *array) bool { return s.more(&a.walk, ']') }

type object struct {
	walk
	key   []byte
	plain bool // the key has no escapes
}

// next goes to the next member of an object.
func (s *scanner) next(o *object) bool {
	if !s.more(&o.walk, '}') {
		return false
	}
	end, plain, value := key(s.b, o.at)
	if value < 0 {
		return false
	}
	o.key, o.plain, o.at = s.b[o.at+1:end-1], plain, value
	return true
}

// skip returns the index behind the value at i, which lies in depth containers, or -1 where there is none.
func (s *scanner) skip(i, depth int) int {
	b, outside := s.b, depth
	for {
		opened := false
		switch c := at(b, i); {
		case c == '"':
			i, _ = str(b, i)
		case c == '{' || c == '[':
			if depth == maxDepth {
				return -1
			}
			bit := uint64(1) << (depth % 64)
			if c == '{' {
				s.open[depth/64] |= bit
			} else {
				s.open[depth/64] &^= bit
			}
			depth++
			i = space(b, i+1)
			switch {
			case at(b, i) == c+2: // the closing bracket of either kind stands two behind the opening one
				depth--
				i++
			case c == '{':
				_, _, i = key(b, i)
				opened = true
			default:
				opened = true
			}
		case c == '-' || (c >= '0' && c <= '9'):
			i = number(b, i)
		default:
			i = literal(b, i)
		}
		if i < 0 {
			return -1
		}
		for !opened {
			if depth == outside {
				return i
			}
			i = space(b, i)
			inObject := s.open[(depth-1)/64]>>((depth-1)%64)&1 == 1
			switch c := at(b, i); {
			case c == ',':
				i = space(b, i+1)
				if inObject {
					if _, _, i = key(b, i); i < 0 {
						return -1
					}
				}
				opened = true
			case (inObject && c == '}') || (!inObject && c == ']'):
				depth--
				i++
			default:
				return -1
			}
		}
	}
}

// at returns the byte at i, and 0, which is no JSON, behind the end.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// key reads the name of a member at i. It returns the index behind the name, whether that is free of escapes,
// and where the member's value begins: -1 where there is no name.
func key(b []byte, i int) (end int, plain bool, value int) {
	if at(b, i) != '"' {
		return -1, false, -1
	}
	end, plain = str(b, i)
	if end < 0 {
		return -1, false, -1
	}
	i = space(b, end)
	if at(b, i) != ':' {
		return -1, false, -1
	}
	return end, plain, space(b, i+1)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str returns the index behind the string whose quote is at i, or -1, and whether it is free of escapes. It
// looks at eight bytes at a time: prompts are long.
func str(b []byte, i int) (end int, plain bool) {
	plain = true
	i++
	for {
		for i+8 <= len(b) {
			word := binary.LittleEndian.Uint64(b[i:])
			quote, escape := word^(ones*'"'), word^(ones*'\\')
			// A byte's high bit is set where it is a control character, a quote or a backslash. A borrow can set
			// it wrongly, but only above a byte where it is set rightly: the lowest one is always right.
			special := ((word-ones*' ')&^word | (quote-ones)&^quote | (escape-ones)&^escape) & highs
			if special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		switch c := at(b, i); {
		case c == '"':
			return i + 1, plain
		case c < ' ':
			return -1, false
		case c != '\\':
			i++
			continue
		}
		plain = false
		switch at(b, i+1) {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			for k := i + 2; k < i+6; k++ {
				c := at(b, k)
				if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
					return -1, false
				}
			}
			i += 6
		default:
			return -1, false
		}
	}
}

func number(b []byte, i int) int {
	if at(b, i) == '-' {
		i++
	}
	if at(b, i) == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if at(b, i) == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if at(b, i)|0x20 == 'e' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits returns the index behind one digit or more, or -1.
func digits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func literal(b []byte, i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return -1
}
