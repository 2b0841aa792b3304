package http1

import "errors"

var errChunks = errors.New("the worker's answer is not chunked as HTTP/1.1 says")

const (
	// maxSizeDigits keeps a chunk's size far from what an int64 can't hold.
	maxSizeDigits = 15
	// maxExtra bounds what a chunked body may carry beside its data: extensions of sizes, and trailers.
	maxExtra = 16 << 10
)

// place is where in a chunked body the next byte stands.
type place int

const (
	size    place = iota
	padding       // blanks after a size
	extension
	sizeFeed // the line feed after a size
	data
	dataReturn // the carriage return after a chunk's data
	dataFeed
	trailer // the start of a line after the last chunk
	trailerRest
	endFeed // the line feed that ends the body
	beyond
)

// Chunks takes the framing off a chunked body as it arrives. The zero value stands before the first chunk.
type Chunks struct {
	at     place
	digits int
	extra  int
	left   int64 // of the chunk: bytes that have not arrived
}

// Done tells whether the body has ended.
func (c *Chunks) Done() bool { return c.at == beyond }

// Decode reads the next piece of the body. What it returns has been moved together at the start of piece;
// rest is how many bytes follow the end of the body.
func (c *Chunks) Decode(piece []byte) (payload []byte, rest int, err error) {
	out := 0
	for i := 0; i < len(piece); i++ {
		b := piece[i]
		switch c.at {
		case size, padding:
			if err := c.sizeByte(b); err != nil {
				return nil, 0, err
			}
		case extension:
			if b == '\r' {
				c.at = sizeFeed
			} else if err := c.spend(b); err != nil {
				return nil, 0, err
			}
		case sizeFeed:
			c.digits, c.extra = 0, 0
			if c.at = data; c.left == 0 {
				c.at = trailer
			}
			if b != '\n' {
				return nil, 0, errChunks
			}
		case data:
			n := int(min(c.left, int64(len(piece)-i)))
			copy(piece[out:], piece[i:i+n])
			out += n
			i += n - 1
			if c.left -= int64(n); c.left == 0 {
				c.at = dataReturn
			}
		case dataReturn:
			if c.at = dataFeed; b != '\r' {
				return nil, 0, errChunks
			}
		case dataFeed:
			if c.at = size; b != '\n' {
				return nil, 0, errChunks
			}
		case trailer:
			if b == '\r' {
				c.at = endFeed
				continue
			}
			c.at = trailerRest
			if err := c.spend(b); err != nil {
				return nil, 0, err
			}
		case trailerRest:
			if b == '\n' {
				c.at = trailer
			} else if b != '\r' {
				if err := c.spend(b); err != nil {
					return nil, 0, err
				}
			}
		case endFeed:
			if c.at = beyond; b != '\n' {
				return nil, 0, errChunks
			}
		case beyond:
			return piece[:out], len(piece) - i, nil
		}
	}
	return piece[:out], 0, nil
}

func (c *Chunks) sizeByte(b byte) error {
	digit := int64(-1)
	switch {
	case '0' <= b && b <= '9':
		digit = int64(b - '0')
	case 'a' <= b && b <= 'f':
		digit = int64(b-'a') + 10
	case 'A' <= b && b <= 'F':
		digit = int64(b-'A') + 10
	}
	switch {
	case digit >= 0 && c.digits < maxSizeDigits && c.at == size:
		c.left = c.left<<4 | digit
		c.digits++
	case c.digits == 0:
		return errChunks
	case b == '\r':
		c.at = sizeFeed
	case b == ';':
		c.at = extension
	case b == ' ', b == '\t':
		c.at = padding
		return c.spend(b)
	default:
		return errChunks
	}
	return nil
}

// spend counts a byte that is neither data nor framing that has to be.
func (c *Chunks) spend(b byte) error {
	if c.extra++; c.extra > maxExtra || b == '\n' {
		return errChunks
	}
	return nil
}
