package front

import (
	"errors"
	"sync"
	"time"

	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/socket"
)

const (
	// inBytes holds a head and, nearly always, its body.
	inBytes = 16 << 10
	// maxPooled is the largest body whose memory is kept for another.
	maxPooled = 1 << 20
	// MinProgress is how many bytes of a body renew its read deadline. Counting any byte as progress would
	// let a client hold a connection for ever with one byte every few seconds.
	MinProgress = 1024
)

var (
	errClosing = errors.New("connections without a request are closed")

	// ins are held while there is something in them: ten thousand idle connections hold none.
	ins = sync.Pool{New: func() any { return new([inBytes]byte) }}
	// bodies are those that are too large for one of ins.
	bodies = sync.Pool{New: func() any { return new([]byte) }}
)

// reading is the side of a connection on which requests come.
type reading struct {
	in       *[inBytes]byte // nil while empty
	filled   int
	rest     []byte    // of a body too large for in: where the next bytes belong
	got      int       // bytes of the last read
	readErr  error     // and how it failed
	deadline time.Time // as last set
	head     http1.Request

	onReadable func(fd uintptr) bool    // bound once,
	onHeader   func(name string) string // and so is this
}

// readHead waits for the head of the next request.
func (c *conn) readHead(idle time.Duration) (http1.Verdict, error) {
	begun := c.filled > 0
	c.busy.Store(begun)
	if !begun {
		c.within(idle)
		if c.front.closing.Load() { // looked at last: Shutdown may have set a deadline before this one
			return 0, errClosing
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	for timed := false; ; timed = true {
		verdict := http1.ParseRequest(&c.head, c.in[:c.filled])
		if verdict != http1.Partial {
			if c.head.Size > c.front.settings.MaxHeaderBytes {
				verdict = http1.Other
			}
			return verdict, nil
		}
		if c.filled == inBytes {
			return http1.Other, nil
		}
		if !timed { // from its first bytes on, a head has a time of its own
			c.within(c.front.settings.ReadHeaderTimeout)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// readBody waits for the body. large is to be given back once that is no longer needed.
func (c *conn) readBody() (body []byte, large *[]byte, err error) {
	end := c.head.Size + int(c.head.Length)
	if end <= inBytes {
		err = c.progress(func() bool { return c.filled >= end })
		return c.in[c.head.Size:end], nil, err
	}
	large = bodies.Get().(*[]byte)
	if int64(cap(*large)) < c.head.Length {
		*large = make([]byte, c.head.Length)
	}
	body = (*large)[:c.head.Length]
	c.rest = body[copy(body, c.in[c.head.Size:c.filled]):]
	return body, large, c.progress(func() bool { return len(c.rest) == 0 })
}

// progress reads until all is there, for as long as MinProgress bytes come within every ReadTimeout.
func (c *conn) progress(all func() bool) error {
	if all() {
		return nil
	}
	defer c.x.Waited(time.Now())
	for fresh := MinProgress; !all(); {
		if fresh >= MinProgress {
			c.within(c.front.settings.ReadTimeout)
			fresh = 0
		}
		if err := c.fill(); err != nil {
			return err
		}
		fresh += c.got
	}
	return nil
}

func giveBack(large *[]byte) {
	if large != nil && cap(*large) <= maxPooled {
		bodies.Put(large)
	}
}

// drop forgets the first bytes of what has been read.
func (c *conn) drop(n int) {
	if c.in == nil {
		return
	}
	if c.filled = copy(c.in[:], c.in[min(n, c.filled):c.filled]); c.filled == 0 {
		ins.Put(c.in)
		c.in, c.head = nil, http1.Request{Fields: c.head.Fields} // which pointed into it
	}
}

// within sees to it that reads fail when limit has passed, and an eighth of it at most: so a connection in
// use moves the runtime's timer once in a while, and not with every request.
func (c *conn) within(limit time.Duration) {
	now := time.Now()
	if left := c.deadline.Sub(now); left < limit || left > limit+limit/8 {
		c.deadline = now.Add(limit + limit/8)
		_ = c.tcp.SetReadDeadline(c.deadline) // fails only where the connection is gone already
	}
}

// fill waits for bytes.
func (c *conn) fill() error {
	if err := c.raw.Read(c.onReadable); err != nil {
		return err
	}
	return c.readErr
}

func (c *conn) readable(fd uintptr) bool {
	space := c.rest
	if len(space) == 0 {
		if c.in == nil {
			c.in = ins.Get().(*[inBytes]byte)
		}
		space = c.in[c.filled:]
	}
	n, nothing, err := socket.Read(fd, space)
	if nothing {
		if c.filled == 0 {
			c.drop(0)
		}
		return false
	}
	c.got, c.readErr = n, err
	if len(c.rest) > 0 {
		c.rest = c.rest[n:]
	} else {
		c.filled += n
	}
	if n > 0 {
		c.busy.Store(true)
	}
	return true
}
