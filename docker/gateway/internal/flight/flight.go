// Package flight lets identical requests share one answer while it is being made: it is asked for once, and
// each client follows it from its first byte.
package flight

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
)

var (
	// ErrSlow is what a reader gets that fell so far behind the others that it held up what they share.
	ErrSlow = errors.New("the client reads more slowly than the others that share the answer")
	// ErrAbandoned is what a writer gets once nobody follows the answer.
	ErrAbandoned = errors.New("no client waits for the answer any more")
)

// Group is the answers being made. H is what is known of an answer before its first byte.
type Group[K comparable, H any] struct {
	limit int

	mu      sync.Mutex
	flights map[K]*Flight[H]
}

// New returns a group whose answers each hold limit bytes at most. An answer that grows beyond it is shared by
// those who follow it already, and its beginning is let go.
func New[K comparable, H any](limit int64) *Group[K, H] {
	return &Group[K, H]{limit: int(limit), flights: map[K]*Flight[H]{}}
}

// Flight is an answer being made.
type Flight[H any] struct {
	limit  int
	cancel context.CancelFunc

	mu      sync.Mutex
	head    *H
	bytes   []byte // never changed, only added to, so that it is read without the lock
	before  int    // bytes let go before the first of bytes
	closed  bool   // nobody can join
	done    bool
	err     error
	readers []*Reader[H]
	room    chan struct{} // has an element when a reader went on
}

// Reader is a client's place in an answer. It belongs to one goroutine.
type Reader[H any] struct {
	flight *Flight[H]
	at     int
	cut    bool
	wake   chan struct{} // has an element when there is something new
}

// Follow returns a reader of the answer to key, or nil where nobody is asking for it.
func (g *Group[K, H]) Follow(key K) *Reader[H] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.flights[key]; f != nil {
		return f.join()
	}
	return nil
}

// Join is Follow where somebody is asking. Where nobody is, ask does so, on a goroutine of its own: with a
// context that ends when the last reader has left, so that it outlives the client for which it was begun
// as long as another follows. joined tells that somebody was asking already.
func (g *Group[K, H]) Join(key K, ask func(context.Context, *Flight[H]) error) (reader *Reader[H], joined bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.flights[key]; f != nil {
		if reader := f.join(); reader != nil {
			return reader, true
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Flight[H]{limit: g.limit, cancel: cancel, room: newSignal()}
	g.flights[key] = f
	reader = f.join()
	go func() {
		defer cancel()
		f.finish(ask(ctx, f))
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.flights[key] == f {
			delete(g.flights, key)
		}
	}()
	return reader, false
}

func newSignal() chan struct{} { return make(chan struct{}, 1) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // whoever waits is about to look anyway
	}
}

func (f *Flight[H]) join() *Reader[H] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	r := &Reader[H]{flight: f, wake: newSignal()}
	f.readers = append(f.readers, r)
	return r
}

// tell wakes all readers. The caller holds mu.
func (f *Flight[H]) tell() {
	for _, r := range f.readers {
		signal(r.wake)
	}
}

func (f *Flight[H]) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.closed, f.err = true, true, err
	f.tell()
}

// Head publishes what comes before the first byte. It is called once, before Write.
func (f *Flight[H]) Head(head H) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = &head
	f.tell()
}

// Write adds to the answer. It waits where the only reader is more than the limit behind, as a connection
// would; of several readers, one that far behind is cut off instead, because it would hold up the others.
func (f *Flight[H]) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.readers) > 0 {
		if len(f.bytes) == 0 || len(f.bytes)+len(p) <= f.limit {
			f.bytes = append(f.bytes, p...)
			f.tell()
			return len(p), nil
		}
		f.closed = true // the beginning goes
		slowest := slices.MinFunc(f.readers, func(a, b *Reader[H]) int { return a.at - b.at })
		switch {
		case slowest.at > f.before:
			f.bytes = slices.Clone(f.bytes[slowest.at-f.before:]) // what was read may still be in use
			f.before = slowest.at
		case len(f.readers) > 1:
			slowest.cut = true
			signal(slowest.wake)
			f.remove(slowest)
		default:
			f.mu.Unlock()
			<-f.room
			f.mu.Lock()
		}
	}
	return 0, ErrAbandoned
}

// Whole returns the answer so far, or false where its beginning was let go.
func (f *Flight[H]) Whole() ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes, f.before == 0
}

func (f *Flight[H]) remove(r *Reader[H]) {
	f.readers = slices.DeleteFunc(f.readers, func(other *Reader[H]) bool { return other == r })
}

// Head waits for what comes before the first byte, or for the error that there is instead.
func (r *Reader[H]) Head(ctx context.Context) (H, error) {
	f := r.flight
	for {
		f.mu.Lock()
		head, done, err := f.head, f.done, f.err
		f.mu.Unlock()
		switch {
		case head != nil:
			return *head, nil
		case done && err == nil:
			err = io.ErrUnexpectedEOF
			fallthrough
		case done:
			var none H
			return none, err
		}
		if err := r.wait(ctx); err != nil {
			var none H
			return none, err
		}
	}
}

// Next waits for the bytes that follow those of the call before, which must not be changed. done tells that
// they are the last; they may be none. The error is what the answer broke off with, ErrSlow or the cause of
// ctx.
func (r *Reader[H]) Next(ctx context.Context) (piece []byte, done bool, err error) {
	for {
		piece, done, err = r.take()
		if len(piece) > 0 || done || err != nil {
			return piece, done, err
		}
		if err := r.wait(ctx); err != nil {
			return nil, false, err
		}
	}
}

func (r *Reader[H]) take() (piece []byte, done bool, err error) {
	f := r.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.cut {
		return nil, false, ErrSlow
	}
	piece = slices.Clip(f.bytes[r.at-f.before:])
	if r.at += len(piece); len(piece) > 0 {
		signal(f.room)
		return piece, f.done && f.err == nil, nil
	}
	return nil, f.done && f.err == nil, f.err
}

func (r *Reader[H]) wait(ctx context.Context) error {
	select {
	case <-r.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Leave gives the place up. When the last one does, the answer is no longer made; last tells that, and that it
// was not whole.
func (r *Reader[H]) Leave() (last bool) {
	f := r.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(r)
	if len(f.readers) > 0 {
		return false
	}
	last = !f.done
	f.closed = true // whoever asks now asks anew
	f.cancel()
	signal(f.room)
	return last
}
