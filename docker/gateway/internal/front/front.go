// Package front is the gateway's listener. Plain inference requests, which are nearly all there are under
// load, it reads and answers by itself: a goroutine a connection, no timer and few allocations a request.
// Anything else, from a GET to the smallest oddity in a head, it hands to net/http, connection and all.
package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/gate"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/tracing"
)

const (
	// watchInterval is how often the connections of requests under way are asked whether their clients have
	// left: twice this is the longest that a worker goes on for nobody.
	watchInterval = 25 * time.Millisecond
	// Connections are refused by the kernel for a moment, when file descriptors run out above all.
	acceptDelay, longestAcceptDelay = 5 * time.Millisecond, time.Second
)

// Front accepts connections.
type Front struct {
	name     string
	settings config.Server
	gate     *gate.Gate
	service  *inference.Service
	recorder *access.Recorder
	tracer   *tracing.Tracer
	log      *slog.Logger
	others   *handover

	draining atomic.Bool // answers close their connections
	closing  atomic.Bool // connections without a request are closed

	mu      sync.Mutex
	conns   []*conn // each knows its place
	polls   []unix.PollFd
	waiting []*call // of polls
}

// New returns a front for service.
func New(name string, settings config.Server, entrance *gate.Gate, service *inference.Service, recorder *access.Recorder, tracer *tracing.Tracer, log *slog.Logger) *Front {
	return &Front{
		name: name, settings: settings, gate: entrance, service: service, recorder: recorder, tracer: tracer, log: log,
		others: &handover{conns: make(chan net.Conn), closed: make(chan struct{})},
	}
}

// Others is a listener of the connections to address that are handed over.
func (f *Front) Others(address net.Addr) net.Listener {
	f.others.address = address
	return f.others
}

// Serve accepts on listener until it is closed.
func (f *Front) Serve(listener net.Listener) error {
	delay := acceptDelay
	for {
		accepted, err := listener.Accept()
		switch {
		case err == nil:
			delay = acceptDelay
			go f.take(accepted)
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			f.log.Error("connection not accepted", "error", err, "again", delay.String())
			time.Sleep(delay)
			delay = min(2*delay, longestAcceptDelay)
		}
	}
}

// take serves a connection.
func (f *Front) take(accepted net.Conn) {
	c, err := newConn(f, accepted)
	if err != nil {
		f.others.give(accepted) // not of the kernel's TCP: net/http takes every kind
		return
	}
	f.add(c)
	c.serve()
}

func (f *Front) add(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.place = len(f.conns)
	f.conns = append(f.conns, c)
}

// remove must come before the connection's file descriptor can be closed, and so be another's.
func (f *Front) remove(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.conns) - 1
	f.conns[c.place] = f.conns[last]
	f.conns[c.place].place = c.place
	f.conns[last] = nil
	f.conns = f.conns[:last]
}

// Watch ends the lives of requests whose clients have left, until ctx ends.
func (f *Front) Watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.look(now)
		}
	}
}

// look asks the kernel about all requests that are older than a moment, in one call.
func (f *Front) look(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.polls, f.waiting = f.polls[:0], f.waiting[:0]
	for _, c := range f.conns {
		if call := c.call.Load(); call != nil && now.Sub(call.Start) > watchInterval {
			f.polls = append(f.polls, unix.PollFd{Fd: c.fd, Events: unix.POLLRDHUP})
			f.waiting = append(f.waiting, call)
		}
	}
	defer clear(f.waiting)
	if len(f.polls) == 0 {
		return
	}
	if _, err := unix.Poll(f.polls, 0); err != nil {
		return // interrupted: the next look comes soon
	}
	for i, poll := range f.polls {
		if poll.Revents != 0 {
			f.waiting[i].life.End(exchange.ErrLeft)
		}
	}
}

// Drain makes every answer from now on the last of its connection.
func (f *Front) Drain() { f.draining.Store(true) }

// Shutdown closes the connections that carry no request and waits until the others have carried theirs.
func (f *Front) Shutdown(ctx context.Context) error {
	f.closing.Store(true)
	f.each(func(c *conn) {
		if !c.busy.Load() {
			_ = c.tcp.SetReadDeadline(time.Unix(1, 0)) // wakes it
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left := 0
		f.each(func(*conn) { left++ })
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Abandon ends every request under way.
func (f *Front) Abandon(cause error) {
	f.each(func(c *conn) {
		if call := c.call.Load(); call != nil {
			call.life.End(cause)
		}
	})
}

// Close closes all connections.
func (f *Front) Close() {
	f.each(func(c *conn) { _ = c.tcp.Close() })
}

func (f *Front) each(do func(*conn)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		do(c)
	}
}
