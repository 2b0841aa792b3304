package front

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/limits"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/socket"
)

// outBytes holds a head and the largest piece that a worker's answer comes in, with its framing.
const outBytes = 72 << 10

// maxFraming is what a chunk takes beside what it holds, the end of the body included.
const maxFraming = 32

// outs are held while there is something in them, as ins are.
var outs = sync.Pool{New: func() any { b := make([]byte, 0, outBytes); return &b }}

// answer is the side of a connection on which answers go. It is what inference calls a client.
type answer struct {
	x        *exchange.Exchange
	path     string
	standing limits.Standing
	last     bool // the connection is closed afterwards
	status   int
	chunked  bool
	out      *[]byte // what waits: a head for the first piece, or pieces for more; nil where nothing does

	pending    []byte // to be written
	writeErr   error
	stalled    bool                  // the client is slow, and a deadline is set
	onWritable func(fd uintptr) bool // bound once
}

// Begin implements inference.Client.
func (c *conn) Begin(head inference.Head) {
	c.chunked = head.Length < 0 && head.Status != http.StatusNoContent && head.Status != http.StatusNotModified
	out := c.begin(head.Status)
	out = append(out, head.Fields...)
	if !head.Dated {
		out = appendDate(out)
	}
	if c.x.Node != "" {
		out = appendField(out, reply.NodeHeader, c.x.Node)
	}
	if c.x.Variant != nil {
		out = appendField(out, reply.ModelHeader, c.x.Variant.Short)
	}
	if head.Stream {
		out = appendField(out, "X-Accel-Buffering", "no")
	}
	switch {
	case c.chunked:
		out = appendField(out, "Transfer-Encoding", "chunked")
	case head.Length >= 0:
		out = appendLength(out, head.Length)
	}
	out = append(out, "\r\n"...)
	*c.out = out
}

// begin starts a head with what every answer has.
func (c *conn) begin(status int) []byte {
	c.status = status
	c.last = c.last || c.front.draining.Load()
	c.out = outs.Get().(*[]byte)
	out := strconv.AppendInt(append((*c.out)[:0], "HTTP/1.1 "...), int64(status), 10)
	out = append(append(append(out, ' '), http.StatusText(status)...), "\r\n"...)
	out = appendField(out, reply.GatewayHeader, c.front.name)
	out = appendField(out, reply.RequestIDHeader, c.x.RequestID)
	if c.last {
		out = appendField(out, "Connection", "close")
	}
	return c.standing.Append(out)
}

func appendField(out []byte, name, value string) []byte {
	return append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
}

func appendFields(out []byte, give func(set func(name, value string))) []byte {
	give(func(name, value string) { out = appendField(out, name, value) })
	return out
}

func appendLength(out []byte, length int64) []byte {
	return append(strconv.AppendInt(append(out, "Content-Length: "...), length, 10), "\r\n"...)
}

func appendDate(out []byte) []byte {
	return append(time.Now().UTC().AppendFormat(append(out, "Date: "...), http.TimeFormat), "\r\n"...)
}

// Put implements inference.Client.
func (c *conn) Put(piece []byte) error {
	if err := c.room(piece); err != nil {
		return err
	}
	*c.out = c.frame(*c.out, piece, false)
	return nil
}

// Write implements inference.Client.
func (c *conn) Write(piece []byte, last bool) error {
	if c.out == nil && !c.chunked {
		return c.send(piece)
	}
	if err := c.room(piece); err != nil {
		return err
	}
	return c.flush(c.frame(*c.out, piece, last))
}

// room sees to it that out takes a piece: what waits goes first where that is too much for it.
func (c *conn) room(piece []byte) error {
	if c.out != nil && len(*c.out)+len(piece)+maxFraming > outBytes {
		if err := c.flush(*c.out); err != nil {
			return err
		}
	}
	if c.out == nil {
		c.out = outs.Get().(*[]byte)
	}
	return nil
}

// frame appends a piece of the body as it goes over the wire.
func (c *conn) frame(out, piece []byte, last bool) []byte {
	if !c.chunked {
		return append(out, piece...)
	}
	if len(piece) > 0 {
		out = append(strconv.AppendInt(out, int64(len(piece)), 16), "\r\n"...)
		out = append(append(out, piece...), "\r\n"...)
	}
	if last {
		out = append(out, "0\r\n\r\n"...)
	}
	return out
}

// Abort implements inference.Client.
func (c *conn) Abort(ending []byte) {
	c.last = true
	if ending != nil {
		_ = c.Write(ending, false) // the connection is closed whether or not this arrives
	}
}

// Refuse implements inference.Client.
func (c *conn) Refuse(refusal *reply.Refusal) {
	out := c.begin(refusal.Status)
	out = appendField(out, "Content-Type", reply.ContentType)
	out = appendField(out, "Cache-Control", reply.CacheControl)
	out = appendFields(out, refusal.Headers)
	text := refusal.Body(c.path)
	out = appendLength(appendDate(out), int64(len(text)))
	_ = c.flush(append(append(out, "\r\n"...), text...)) // a client that has gone can't be told
}

// flush writes out and lets go of its memory.
func (c *conn) flush(out []byte) error {
	err := c.send(out)
	*c.out = out[:0]
	outs.Put(c.out)
	c.out = nil
	return err
}

// send writes data. Only where the client does not take it at once a deadline is set.
func (c *conn) send(data []byte) error {
	c.pending, c.writeErr = data, nil
	err := c.raw.Write(c.onWritable)
	if err == nil {
		err = c.writeErr
	}
	if c.stalled {
		c.stalled = false
		_ = c.tcp.SetWriteDeadline(time.Time{}) // fails only where the connection is gone already
	}
	c.pending = nil
	return err
}

func (c *conn) writable(fd uintptr) bool {
	for len(c.pending) > 0 {
		n, full, err := socket.Write(fd, c.pending)
		switch {
		case full:
			if !c.stalled {
				c.stalled = true
				_ = c.tcp.SetWriteDeadline(time.Now().Add(c.front.settings.WriteTimeout))
			}
			return false
		case err != nil:
			c.writeErr = err
			return true
		}
		c.pending = c.pending[n:]
	}
	return true
}
