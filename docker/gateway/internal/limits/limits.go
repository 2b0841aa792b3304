// Package limits keeps to what a key may use: requests and tokens a minute, and tokens a month. All of it is
// decided in memory; what the other gateways let through is taken off in the background.
package limits

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/reply"
)

// Limits is what every limited key has left.
type Limits struct {
	accounts atomic.Pointer[map[int64]*account] // of limited keys alone
	// parts is into how many every limit is divided: 1 while all gateways tell each other what they used.
	parts   atomic.Int64
	refused func(limit string) // counts
}

// New returns limits of no key. refused is told of every request that one stops: "requests", "tokens" or
// "insufficient_quota".
func New(refused func(limit string)) *Limits {
	l := &Limits{refused: refused}
	l.accounts.Store(&map[int64]*account{})
	l.parts.Store(1)
	return l
}

// account is what one key has left.
type account struct {
	mu       sync.Mutex
	limits   auth.Limits
	requests bucket
	tokens   bucket
	month    month
	unsent   spent // not told to the other gateways
}

// spent is what was used.
type spent struct{ requests, tokens int64 }

// month is what a budget is reckoned with.
type month struct {
	number   int   // that this is about
	read     bool  // recorded has been read for it
	recorded int64 // tokens that the database knows of, from all gateways
	local    int64 // tokens used here that are not among them
}

// monthOf counts months, in UTC.
func monthOf(t time.Time) int {
	year, m, _ := t.UTC().Date()
	return year*12 + int(m) - 1
}

// startOf is when a month begins.
func startOf(number int) time.Time {
	return time.Date(number/12, time.Month(number%12+1), 1, 0, 0, 0, 0, time.UTC)
}

func (m *month) at(now time.Time) {
	if number := monthOf(now); number > m.number {
		*m = month{number: number, read: m.read} // nothing is recorded of a new month yet
	}
}

// Know takes the keys as they are now. What one has left stays; one that is gone is forgotten. It tells whether
// there is a budget of which Settle has not said what is used.
func (l *Limits) Know(keys []auth.Key) (unread bool) {
	before, next := *l.accounts.Load(), map[int64]*account{}
	for _, key := range keys {
		if key.Limits == (auth.Limits{}) {
			continue
		}
		kept, known := before[key.ID]
		if !known {
			kept = &account{}
		}
		kept.mu.Lock()
		kept.limits = key.Limits
		unread = unread || (key.Limits.TokensPerMonth > 0 && !kept.month.read)
		kept.mu.Unlock()
		next[key.ID] = kept
	}
	l.accounts.Store(&next)
	return unread
}

// Window is one limit a minute, and where a key stands with it.
type Window struct {
	Limit     int64 // zero: there is none
	Remaining int64
	Reset     time.Duration // until all of it is there again
}

// Standing is where a key stands with its limits a minute.
type Standing struct{ Requests, Tokens Window }

// Append appends the header lines of OpenAI's API for each limit that there is.
func (s *Standing) Append(out []byte) []byte {
	for _, w := range [...]struct {
		what string
		Window
	}{{"Requests", s.Requests}, {"Tokens", s.Tokens}} {
		if w.Limit > 0 {
			line := func(name string) {
				out = append(append(append(append(out, "X-Ratelimit-"...), name...), w.what...), ": "...)
			}
			line("Limit-")
			out = append(strconv.AppendInt(out, w.Limit, 10), "\r\n"...)
			line("Remaining-")
			out = append(strconv.AppendInt(out, w.Remaining, 10), "\r\n"...)
			line("Reset-")
			out = append(append(out, w.Reset.Round(time.Millisecond).String()...), "\r\n"...)
		}
	}
	return out
}

// Headers calls set with what Append appends.
func (s *Standing) Headers(set func(name, value string)) {
	for line := range strings.Lines(string(s.Append(nil))) {
		name, value, _ := strings.Cut(line, ": ")
		set(name, strings.TrimSpace(value))
	}
}

// Admit lets a request of key pass, or says which limit stops it. generates tells whether it will use
// tokens: those are counted when it has ended, so it passes while any are left.
func (l *Limits) Admit(now time.Time, key *auth.Key, generates bool) (Standing, *reply.Refusal) {
	if key.Limits == (auth.Limits{}) {
		return Standing{}, nil
	}
	a, known := (*l.accounts.Load())[key.ID]
	if !known {
		return Standing{}, nil // revoked a moment ago
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refill(now, l.parts.Load())
	a.month.at(now)
	refusal := a.exceeded(now, generates)
	if refusal == nil && a.limits.RequestsPerMinute > 0 {
		a.requests.balance--
		a.unsent.requests++
	}
	if refusal != nil {
		l.refused(refusal.Kind)
	}
	return Standing{a.requests.window(a.limits.RequestsPerMinute), a.tokens.window(a.limits.TokensPerMinute)}, refusal
}

// exceeded says which limit a request runs into, or returns nil.
func (a *account) exceeded(now time.Time, generates bool) *reply.Refusal {
	limits := &a.limits
	switch {
	case limits.RequestsPerMinute > 0 && a.requests.balance < 1:
		return tooFast(requests, limits.RequestsPerMinute, a.requests.until(1))
	case generates && limits.TokensPerMinute > 0 && a.tokens.balance <= 0:
		return tooFast(tokens, limits.TokensPerMinute, a.tokens.until(1))
	case generates && limits.TokensPerMonth > 0 && a.month.recorded+a.month.local >= limits.TokensPerMonth:
		next := startOf(a.month.number + 1)
		return &reply.Refusal{
			Status: http.StatusTooManyRequests, Kind: noQuota, Code: noQuota, RetryAfter: next.Sub(now),
			Message: fmt.Sprintf("this key's budget of %d tokens a month is used up: the next begins on %s, 00:00 UTC",
				limits.TokensPerMonth, next.Format(time.DateOnly)),
		}
	}
	return nil
}

// noQuota is OpenAI's word for a budget that is used up.
const noQuota = "insufficient_quota"

func tooFast(what string, limit int64, after time.Duration) *reply.Refusal {
	return &reply.Refusal{
		Status: http.StatusTooManyRequests, Kind: what, Code: "rate_limit_exceeded", RetryAfter: after,
		Message: fmt.Sprintf("this key's limit of %d %s a minute is reached: try again in %d s", limit, what, int(math.Ceil(after.Seconds()))),
	}
}

// Charge counts the tokens of a request that has ended.
func (l *Limits) Charge(now time.Time, key *auth.Key, tokens int64) {
	if tokens == 0 || (key.Limits.TokensPerMinute == 0 && key.Limits.TokensPerMonth == 0) {
		return
	}
	a, known := (*l.accounts.Load())[key.ID]
	if !known {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refill(now, l.parts.Load())
	a.tokens.balance -= float64(tokens)
	if a.limits.TokensPerMinute > 0 {
		a.unsent.tokens += tokens
	}
	a.month.at(now)
	a.month.local += tokens
}

// Budgeted lists the keys that have a monthly budget.
func (l *Limits) Budgeted() []int64 {
	var ids []int64
	for id, a := range *l.accounts.Load() {
		a.mu.Lock()
		if a.limits.TokensPerMonth > 0 {
			ids = append(ids, id)
		}
		a.mu.Unlock()
	}
	return ids
}

// Settle takes what the database says each key has used since the start of a month, in which flushed is what
// this gateway has written since the call before. recorded is nil where the database was not asked, because
// there was no budget.
func (l *Limits) Settle(since time.Time, recorded, flushed map[int64]int64) {
	number := monthOf(since)
	for id, a := range *l.accounts.Load() {
		a.mu.Lock()
		if a.month.number <= number {
			a.month.at(since)
			a.month.read = recorded != nil && a.limits.TokensPerMonth > 0
			a.month.recorded = recorded[id]
			a.month.local = max(0, a.month.local-flushed[id])
		}
		a.mu.Unlock()
	}
}

// refill brings the buckets to now, each at its part of the limit.
func (a *account) refill(now time.Time, parts int64) {
	a.requests.refill(now, float64(a.limits.RequestsPerMinute)/float64(parts))
	a.tokens.refill(now, float64(a.limits.TokensPerMinute)/float64(parts))
}

// bucket refills evenly, up to a minute's worth. A negative balance is a debt, which is waited for.
type bucket struct {
	balance   float64
	at        time.Time
	perMinute float64
}

// room is what a bucket holds: one at least, or a small part of a small limit would let nothing pass.
func (b *bucket) room() float64 { return max(1, b.perMinute) }

func (b *bucket) refill(now time.Time, perMinute float64) {
	if b.perMinute == 0 || perMinute == 0 { // there was no limit, or is none
		*b = bucket{at: now, perMinute: perMinute}
		b.balance = b.room()
		return
	}
	b.perMinute = perMinute
	// Requests of several goroutines do not come in the order of their times.
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.balance += elapsed.Minutes() * perMinute
		b.at = now
	}
	b.balance = min(b.balance, b.room())
}

func (b *bucket) window(limit int64) Window {
	if limit == 0 {
		return Window{}
	}
	remaining := limit
	if b.balance < float64(limit) { // or else it may not fit
		remaining = max(0, int64(b.balance))
	}
	return Window{limit, remaining, b.until(b.room())}
}

// until is how long the balance takes to get somewhere.
func (b *bucket) until(balance float64) time.Duration {
	const most = 366 * 24 * 60 // minutes: a longer time would not fit
	return time.Duration(min((balance-b.balance)/b.perMinute, most) * float64(time.Minute))
}
