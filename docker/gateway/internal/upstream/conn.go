package upstream

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/socket"
	"ollamamax/gateway/internal/stream"
)

// bufferBytes bounds the head of an answer, and what is read of a body at a time.
const bufferBytes = 32 << 10

// buffers are held only while there is something in them: a thousand streams that wait for their next word
// hold none.
var buffers = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

var errHeadSize = errors.New("the head of the worker's answer is larger than 32 KiB")

// Request is what a worker is sent.
type Request struct {
	Method string
	Target string // path and query
	Fields []byte // header lines, each with its end, without Host and Content-Length
	Body   []byte
}

// Conn is a connection to a worker. Its methods are for one goroutine, Abort is for any.
type Conn struct {
	// Abort breaks the connection off, whatever is done with it.
	Abort func()

	// The answer to the last Ask.
	http1.Response
	Format stream.Format

	pool      *Pool
	tcp       *net.TCPConn
	raw       syscall.RawConn
	idleSince time.Time
	deadline  time.Time // as last set

	onReadable func(fd uintptr) bool // readable, bound once
	onControl  func(fd uintptr)      // peek, bound once
	isQuiet    bool

	request *Request           // until it has been sent
	buffer  *[bufferBytes]byte // nil while empty
	filled  int
	err     error // of the last read or write

	chunks http1.Chunks
	left   int64 // of a body of known length
	unsent error // why the request has not been sent whole
	broken bool  // by an error, or by an answer that has not ended, or not where it should
}

// Ask sends a request and waits for the first bytes of the answer's body, or for its end: a worker that dies
// between head and body has not answered. now is the time, silence the longest wait for a worker's next byte,
// give or take an eighth. piece is valid until the next call.
func (c *Conn) Ask(r *Request, now time.Time, silence time.Duration) (piece []byte, done bool, err error) {
	c.within(now, silence)
	c.request, c.unsent, c.broken = r, nil, true
	size := 0
	for size == 0 {
		if c.filled == bufferBytes {
			return nil, false, errHeadSize
		}
		if err := c.fill(); err != nil {
			return nil, false, unexpected(err)
		}
		if size, err = http1.ParseResponse(&c.Response, r.Method, c.buffer[:c.filled]); err != nil {
			return nil, false, err
		}
	}
	c.Format = stream.FormatOf(c.ContentType)
	c.chunks, c.left = http1.Chunks{}, c.Length
	piece, done, err = c.take(c.buffer[size:c.filled])
	if err != nil || done || len(piece) > 0 {
		return piece, done, err
	}
	return c.Next(now, silence)
}

// Next waits for the next piece of the answer's body. done tells that it is the last.
func (c *Conn) Next(now time.Time, silence time.Duration) (piece []byte, done bool, err error) {
	c.within(now, silence)
	for {
		c.drop()
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) && !c.Chunked && c.left < 0 {
				c.broken = false
				return nil, true, nil
			}
			return nil, false, unexpected(err)
		}
		piece, done, err = c.take(c.buffer[:c.filled])
		if err != nil || done || len(piece) > 0 {
			return piece, done, err
		}
	}
}

// take finds the body in what was read.
func (c *Conn) take(read []byte) (piece []byte, done bool, err error) {
	rest := 0
	switch {
	case c.Empty:
		done, rest = true, len(read)
	case c.Chunked:
		if piece, rest, err = c.chunks.Decode(read); err != nil {
			return nil, false, err
		}
		done = c.chunks.Done()
	case c.left < 0:
		return read, false, nil
	default:
		piece = read[:min(int64(len(read)), c.left)]
		c.left -= int64(len(piece))
		done, rest = c.left == 0, len(read)-len(piece)
	}
	c.broken = !done || rest > 0
	return piece, done, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Release gives the connection back, or closes it where it can't carry another request. The answer's pieces
// are no longer valid.
func (c *Conn) Release() {
	c.drop()
	if c.broken || c.unsent != nil || c.Closes {
		c.shut()
		return
	}
	c.pool.put(c)
}

func (c *Conn) shut() { _ = c.tcp.Close() } // nobody is left to tell

// within sees to it that reads and writes fail when silence has passed, and an eighth of it at most. So the
// runtime's timer is set once in a while, and not with every word of every stream.
func (c *Conn) within(now time.Time, silence time.Duration) {
	slack := silence / 8
	if c.deadline.Sub(now) < silence {
		c.deadline = now.Add(silence + slack)
		_ = c.tcp.SetDeadline(c.deadline) // fails only where the connection is gone already
	}
}

func (c *Conn) drop() {
	if c.buffer != nil {
		buffers.Put(c.buffer)
		c.buffer, c.filled, c.ContentType = nil, 0, nil // which pointed into it
	}
}

// fill sends what is to be sent and waits for bytes.
func (c *Conn) fill() error {
	if err := c.raw.Read(c.onReadable); err != nil {
		return err
	}
	return c.err
}

// readable is called once before it waits, and then whenever the socket may have something to read.
func (c *Conn) readable(fd uintptr) bool {
	if c.request != nil {
		c.unsent = c.send(c.request)
		c.request = nil
		if c.unsent == nil {
			// No answer can be there yet, and none can be missed: this call has been waiting since before
			// the request was sent.
			return false
		}
		// A worker may refuse a request before it has read it: its answer tells more than the error.
	}
	if c.buffer == nil {
		c.buffer = buffers.Get().(*[bufferBytes]byte)
	}
	n, again, err := socket.Read(fd, c.buffer[c.filled:])
	switch {
	case n > 0:
		c.filled += n
		c.err = nil
	case c.unsent != nil:
		c.err = c.unsent
	case again:
		if c.filled == 0 {
			c.drop()
		}
		return false
	default:
		c.err = err
	}
	return true
}

// send writes the request: at once where it fits, so that it goes out in one packet.
func (c *Conn) send(r *Request) error {
	buffer := buffers.Get().(*[bufferBytes]byte)
	defer buffers.Put(buffer)
	head := buffer[:0]
	head = append(head, r.Method...)
	head = append(append(head, ' '), r.Target...)
	head = append(append(head, " HTTP/1.1\r\nHost: "...), c.pool.address...)
	head = append(append(head, "\r\n"...), r.Fields...)
	if len(r.Body) > 0 || (r.Method != "GET" && r.Method != "HEAD") {
		head = strconv.AppendInt(append(head, "Content-Length: "...), int64(len(r.Body)), 10)
		head = append(head, "\r\n"...)
	}
	head = append(head, "\r\n"...)
	if len(head)+len(r.Body) <= bufferBytes {
		_, err := c.tcp.Write(append(head, r.Body...))
		return err
	}
	pieces := net.Buffers{head, r.Body}
	_, err := pieces.WriteTo(c.tcp)
	return err
}
