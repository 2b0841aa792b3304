package front

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/tracing"
)

// lingering is how long a connection stays half open whose client may still be sending: closed at once it
// would be reset, and the client might never read its last answer.
const lingering = 500 * time.Millisecond

var errNotTCP = errors.New("not a TCP connection")

// call is a request under way.
type call struct {
	exchange.Exchange
	life    exchange.Life
	request inference.Request
}

// conn is a client's connection.
type conn struct {
	front  *Front
	tcp    *net.TCPConn
	raw    syscall.RawConn
	fd     int32
	remote string
	place  int // among the front's, guarded by its mutex

	busy atomic.Bool          // something of a request has been read that has not been answered
	call atomic.Pointer[call] // once the request is whole

	reading
	answer
}

func newConn(f *Front, accepted net.Conn) (*conn, error) {
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return nil, errNotTCP
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{front: f, tcp: tcp, raw: raw, remote: tcp.RemoteAddr().String()}
	c.onReadable, c.onWritable, c.onHeader = c.readable, c.writable, c.header
	return c, raw.Control(func(fd uintptr) { c.fd = int32(fd) })
}

// next is what becomes of a connection.
type next int

const (
	again next = iota
	ended
	lingers   // ended, but the client may not have noticed
	elsewhere // to be handed over, with all that has been read
)

func (c *conn) serve() {
	then := c.one(c.front.settings.ReadHeaderTimeout)
	for then == again {
		then = c.one(c.front.settings.IdleTimeout)
	}
	c.front.remove(c)
	switch then {
	case elsewhere:
		_ = c.tcp.SetReadDeadline(time.Time{}) // net/http sets its own
		c.front.others.give(&begun{TCPConn: c.tcp, read: c.in[:c.filled]})
		return
	case lingers:
		if c.tcp.CloseWrite() == nil {
			time.Sleep(lingering)
		}
	}
	c.drop(c.filled)
	_ = c.tcp.Close() // nobody is left to tell
}

// one reads a request and answers it. idle is the longest wait for its first byte.
func (c *conn) one(idle time.Duration) (then next) {
	var k *call
	defer func() {
		if problem := recover(); problem != nil {
			c.panicked(k, problem)
			then = ended
		}
	}()
	verdict, err := c.readHead(idle)
	if err != nil {
		return ended // the client has left or takes too long: net/http says nothing either
	}
	if verdict == http1.Other {
		return elsewhere // its head has not been read
	}
	route := inference.Routes[string(c.head.Path)]
	if route == "" || c.head.Length > c.front.settings.MaxBodyBytes {
		return elsewhere
	}
	k = &call{Exchange: exchange.Exchange{Start: time.Now(), RequestID: reply.RequestID(string(c.head.RequestID)), API: "none"}}
	if c.head.Traceparent != nil || c.front.tracer != nil {
		state, _ := http1.Value(c.head.Fields, tracing.State)
		k.TraceID, k.Trace = c.front.tracer.Begin(k.Start, http.MethodPost, string(c.head.Traceparent), string(state))
	}
	c.x, c.path, c.last = &k.Exchange, route, c.head.Close
	var refusal *reply.Refusal
	k.Key, c.standing, refusal = c.front.gate.Enter(&k.Exchange, http.MethodPost, route, "", c.head.Length, c.onHeader)
	if refusal != nil {
		return c.turnAway(k, refusal)
	}
	k.API = route
	k.life.Begin(&k.Exchange)
	body, large, err := c.readBody()
	if err != nil {
		return c.incomplete(k, err)
	}
	k.request.Exchange, k.request.Life = &k.Exchange, &k.life
	k.request.Method, k.request.Target, k.request.Path = http.MethodPost, route, route
	k.request.Fields, k.request.Body = c.head.Fields, body
	then = c.infer(k)
	giveBack(large)
	c.x, c.rest = nil, nil // both lead to the body
	c.drop(c.head.Size + len(body))
	return then
}

// turnAway refuses a request whose body may still be on its way.
func (c *conn) turnAway(k *call, refusal *reply.Refusal) next {
	whole := c.head.Size + int(c.head.Length)
	unread := c.filled < whole
	c.last = c.last || unread
	c.Refuse(refusal)
	c.record(k, refusal.Status)
	switch {
	case unread:
		return lingers
	case c.last:
		return ended
	}
	c.drop(whole)
	return again
}

// infer has the request answered.
func (c *conn) infer(k *call) next {
	c.call.Store(k)
	err := c.front.service.Infer(&k.request, c)
	c.call.Store(nil)
	switch {
	case k.Left:
		c.record(k, access.StatusClientGone)
	case k.Failed:
		c.record(k, http.StatusBadGateway)
	default:
		c.record(k, c.status)
	}
	if err != nil || c.last {
		return ended
	}
	return again
}

// panicked notes a bug, which must end the connection alone. k is nil where no head had been read.
func (c *conn) panicked(k *call, problem any) {
	if k == nil {
		c.front.log.Error("handler panicked", "remote", c.remote, "panic", fmt.Sprint(problem))
		return
	}
	c.front.log.Error("handler panicked", "request", k.RequestID, "path", c.path, "panic", fmt.Sprint(problem))
	c.record(k, http.StatusInternalServerError)
}

// incomplete ends a request whose body did not come.
func (c *conn) incomplete(k *call, err error) next {
	k.Cause = err
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		k.Left = true
		c.record(k, access.StatusClientGone)
		return ended
	}
	return c.turnAway(k, reply.Late)
}

func (c *conn) record(k *call, status int) {
	c.front.recorder.Record(&k.Exchange, access.Entry{Method: http.MethodPost, Path: c.path, Remote: c.remote, Status: status})
}

// header returns what shows a key.
func (c *conn) header(name string) string {
	switch name {
	case "Authorization":
		return string(c.head.Authorization)
	case "X-Api-Key":
		return string(c.head.APIKey)
	}
	return ""
}
