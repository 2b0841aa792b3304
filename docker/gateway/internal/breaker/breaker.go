// Package breaker stops requests to what keeps failing, and tries it again with one at a time. A breaker
// belongs to its caller's lock; times are read off one monotonic clock.
package breaker

import "time"

// State is what a breaker lets through.
type State int8

// The states, the better first.
const (
	Closed   State = iota // everything
	HalfOpen              // one request, whose outcome decides
	Open                  // nothing
)

func (s State) String() string { return [...]string{"closed", "half-open", "open"}[s] }

// Settings say when a breaker opens and for how long.
type Settings struct {
	Window      time.Duration // over which outcomes are counted
	MinRequests int           // fewer outcomes within the window decide nothing
	Failures    float64       // share of failed outcomes that opens it, 0 to 1
	OpenFor     time.Duration
}

// slices is in how many steps the window rolls.
const slices = 10

// Breaker counts outcomes. Its zero value is closed.
type Breaker struct {
	open    bool
	opened  time.Duration
	trying  bool // the one request of the half-open state is under way
	current int64
	counts  [slices]struct{ good, bad int32 }
}

// State is the breaker's state at a moment.
func (b *Breaker) State(s *Settings, now time.Duration) State {
	switch {
	case !b.open:
		return Closed
	case now-b.opened < s.OpenFor:
		return Open
	default:
		return HalfOpen
	}
}

// Trying tells whether the one request that a half-open breaker lets through is under way.
func (b *Breaker) Trying() bool { return b.trying }

// Try begins that request.
func (b *Breaker) Try() { b.trying = true }

// Abandon ends it without an outcome: another one decides.
func (b *Breaker) Abandon() { b.trying = false }

// Opens is how long an open breaker stays so.
func (b *Breaker) Opens(s *Settings, now time.Duration) time.Duration {
	return b.opened + s.OpenFor - now
}

// Record counts the outcome of a request, which is the trial of a half-open breaker or not, and tells
// whether it opened the breaker or closed it.
func (b *Breaker) Record(s *Settings, now time.Duration, good, trial bool) (changed bool) {
	switch {
	case trial && good:
		*b = Breaker{}
		return true
	case trial:
		b.opened, b.trying = now, false
		return true
	case b.open:
		return false // of a request from before it opened
	}
	b.roll(s, now)
	count := &b.counts[b.current%slices]
	if good {
		count.good++
		return false
	}
	count.bad++
	total, bad := 0, 0
	for _, c := range b.counts {
		total += int(c.good + c.bad)
		bad += int(c.bad)
	}
	if total < s.MinRequests || float64(bad) < s.Failures*float64(total) {
		return false
	}
	*b = Breaker{open: true, opened: now}
	return true
}

// roll forgets what has left the window.
func (b *Breaker) roll(s *Settings, now time.Duration) {
	slice := int64(now / max(1, s.Window/slices))
	for range min(slice-b.current, slices) {
		b.current++
		b.counts[b.current%slices] = struct{ good, bad int32 }{}
	}
	b.current = slice
}
