package exchange

import (
	"context"
	"sync"
	"time"
)

// Life is how long an answer is waited for: until it is there, or the client leaves, or the gateway can wait
// no longer. It is the request's context, and takes no goroutine and, until someone waits for it, no channel.
type Life struct {
	exchange *Exchange
	mu       sync.Mutex
	cause    error         // why it ended
	done     chan struct{} // made for the first who asks
	abort    func()        // cuts short what is done for the request at the moment
}

var _ context.Context = (*Life)(nil)

// Begin attaches the life to the exchange that its contexts give.
func (l *Life) Begin(x *Exchange) { l.exchange = x }

// Deadline implements context.Context: there is none.
func (l *Life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (l *Life) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
		if l.cause != nil {
			close(l.done)
		}
	}
	return l.done
}

// Err implements context.Context.
func (l *Life) Err() error {
	if l.Cause() != nil {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context.
func (l *Life) Value(key any) any {
	if key == (contextKey{}) {
		return l.exchange
	}
	return nil
}

// Cause says why the life ended. It is nil before.
func (l *Life) Cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// End ends the life. Only the first cause counts.
func (l *Life) End(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return
	}
	l.cause = cause
	if l.done != nil {
		close(l.done)
	}
	if l.abort != nil {
		l.abort()
	}
}

// Guard has abort called if the life ends before the next Guard; nil ends the guard. abort must not block.
// Once Guard has returned, the abort before it has run or never will.
func (l *Life) Guard(abort func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abort = abort
	if abort != nil && l.cause != nil {
		abort()
	}
}
