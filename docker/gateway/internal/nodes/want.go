package nodes

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// ErrNoNode means that no healthy node came up within the time a request may wait.
var ErrNoNode = errors.New("no healthy worker is available")

// Want says which node a request needs.
type Want struct {
	Model    string // canonical; empty: any node will do
	Prefix   uint64 // hash of what the prompt begins with, so that it meets the same node's cache again; 0: none
	Key      string // whose request it is
	Priority int    // Low, Normal or High
	Light    bool   // answered without the model running: takes no slot
	// Elsewhere tells that another model could answer: where the nodes of this one are down, it is not waited for.
	Elsewhere bool
}

// Classes of requests that wait for a slot. A higher one is served more often, a lower one never starves.
const (
	Low    = -1
	Normal = 0
	High   = 1
)

// BusyError means that no slot became free for a request.
type BusyError struct {
	Reason     string
	RetryAfter time.Duration // an estimate of when one will be
}

func (e *BusyError) Error() string { return e.Reason }

// RetryAfterSeconds is the estimate as the header Retry-After says it, 1 at least.
func (e *BusyError) RetryAfterSeconds() string {
	return strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds()))))
}

// Lease is a request's claim on a node, without which its zero value is. It belongs to one goroutine, and
// of all copies one alone is released.
type Lease struct {
	Node   *Node
	Waited time.Duration // for a slot, and for models to make way

	pool    *Pool // nil once it is released
	lane    *lane // nil: it takes no slot
	epoch   int
	began   time.Duration
	outcome outcome
	trial   bool     // it decides over a half-open breaker
	cold    bool     // the node loads the model for it
	evicted []string // models that make way for it there
}

// outcome is what a node made of a request.
type outcome int8

const (
	unjudged outcome = iota // the client left first, or nobody said
	good
	bad     // the node answered 5xx, fell silent or broke off
	counted // already
)

// Answered notes the status that the node answered with: a 5xx speaks against it.
func (l *Lease) Answered(status int) {
	l.outcome = good
	if status >= 500 {
		l.outcome = bad
	}
	if l.cold {
		l.pool.kick(l.Node) // it can say now what made way for the model
	}
	if l.trial { // others wait for what it finds, and an answer can be long
		l.pool.decide(l)
	}
}

// TimedOut notes that the node was silent for too long.
func (l *Lease) TimedOut() { l.outcome = bad }

// Release ends the claim. A second call does nothing.
func (l *Lease) Release() {
	if l.pool == nil {
		return
	}
	l.pool.release(l)
	l.pool = nil
}
