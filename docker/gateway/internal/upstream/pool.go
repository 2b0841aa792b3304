// Package upstream talks HTTP/1.1 to workers over connections of its own: one request at a time on each,
// kept open between requests, with no goroutine and no timer for either.
package upstream

import (
	"context"
	"net"
	"sync"
	"time"

	"ollamamax/gateway/internal/socket"
)

const (
	// maxIdle is how many connections to one worker are kept between requests.
	maxIdle = 1024
	// idleTimeout is how long. Ollama never closes an idle connection, so this side is first.
	idleTimeout = 30 * time.Second
	keepAlive   = 15 * time.Second
)

// Pool is the connections to one worker.
type Pool struct {
	address string
	dialer  net.Dialer

	mu      sync.Mutex
	idle    []*Conn // the one used last at the end
	pruning bool    // a prune is due
	closed  bool
}

// NewPool returns a pool without connections.
func NewPool(address string, connectTimeout time.Duration) *Pool {
	return &Pool{address: address, dialer: net.Dialer{Timeout: connectTimeout, KeepAlive: keepAlive}}
}

// Get returns the connection that was used last, or a new one. An error of the dial is a *net.OpError whose
// Op is "dial": the worker has seen nothing of the request.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	for {
		c := p.take()
		if c == nil {
			return p.dial(ctx)
		}
		if c.quiet() {
			return c, nil
		}
		c.shut()
	}
}

func (p *Pool) take() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

func (p *Pool) dial(ctx context.Context) (*Conn, error) {
	conn, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn) // what a dial of "tcp" gives
	raw, err := tcp.SyscallConn()
	if err != nil {
		_ = tcp.Close()
		return nil, err
	}
	c := &Conn{pool: p, tcp: tcp, raw: raw}
	c.onReadable, c.onControl, c.Abort = c.readable, c.peek, c.shut
	return c, nil
}

func (p *Pool) put(c *Conn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	if p.closed || len(p.idle) >= maxIdle {
		p.mu.Unlock()
		c.shut()
		return
	}
	p.idle = append(p.idle, c)
	if !p.pruning {
		p.pruning = true
		time.AfterFunc(idleTimeout, p.prune)
	}
	p.mu.Unlock()
}

// prune closes what has been idle for too long.
func (p *Pool) prune() {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := time.Now().Add(-idleTimeout)
	old := 0
	for old < len(p.idle) && !p.idle[old].idleSince.After(limit) {
		p.idle[old].shut()
		old++
	}
	p.idle = append(p.idle[:0:0], p.idle[old:]...)
	p.pruning = len(p.idle) > 0
	if p.pruning {
		time.AfterFunc(time.Until(p.idle[0].idleSince.Add(idleTimeout)), p.prune)
	}
}

// CloseIdle closes the connections that carry no request: the worker has died, or may have.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.shut()
	}
	p.idle = nil
}

// Close closes the connections that carry no request, and the others once they have carried theirs: the
// worker has left.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.CloseIdle()
}

// Idle returns how many connections wait for a request.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// quiet tells that the worker has neither closed the connection nor said what nobody asked for.
func (c *Conn) quiet() bool { return c.raw.Control(c.onControl) == nil && c.isQuiet }

func (c *Conn) peek(fd uintptr) { c.isQuiet = socket.Quiet(fd) }
