// Package outlier finds nodes that do worse than the others and says for how long to leave them out. Its
// values belong to their caller's lock; times are read off one monotonic clock.
package outlier

import "time"

// Settings say when a node is left out and for how long.
type Settings struct {
	Consecutive int           // failures in a row
	MinRequests int           // fewer outcomes in an interval decide nothing
	Margin      float64       // how far below the others' share of good outcomes, 0 to 1
	Base        time.Duration // for how long, times how often of late
	Longest     time.Duration
	MaxShare    float64 // of all nodes that may be left out at once, 0 to 1
}

// Record is what one node has done.
type Record struct {
	Good, Bad int // outcomes in this interval
	inARow    int // failures
	ejections int // of late
	until     time.Duration
}

// Count adds an outcome and tells whether the failures in a row are too many now.
func (r *Record) Count(s *Settings, good bool) (outlier bool) {
	if good {
		r.Good++
		r.inARow = 0
		return false
	}
	r.Bad++
	r.inARow++
	return r.inARow >= s.Consecutive
}

// Ejected tells whether the node is left out.
func (r *Record) Ejected(now time.Duration) bool { return now < r.until }

// Until is when the node is taken in again.
func (r *Record) Until() time.Duration { return r.until }

// Eject leaves the node out, for longer each time.
func (r *Record) Eject(s *Settings, now time.Duration) (until time.Duration) {
	r.ejections++
	r.inARow = 0
	r.until = now + min(s.Base*time.Duration(r.ejections), s.Longest)
	return r.until
}

// Forgive forgets the outcomes: the node is another process now.
func (r *Record) Forgive() { *r = Record{ejections: r.ejections} }

// MayEject tells whether one node more may be left out: within the share, and never the last.
func MayEject(s *Settings, nodes, ejected int) bool {
	return ejected+1 < nodes && float64(ejected+1) <= s.MaxShare*float64(nodes)
}

// Judge ends an interval. It returns which nodes did worse than all others together by more than the
// margin, and forgets the interval; an interval without a failure takes back one ejection.
func Judge(s *Settings, now time.Duration, records []*Record) (outliers []*Record) {
	good, all := 0, 0
	for _, r := range records {
		good += r.Good
		all += r.Good + r.Bad
	}
	for _, r := range records {
		own, others := r.Good+r.Bad, all-r.Good-r.Bad
		if own >= s.MinRequests && others >= s.MinRequests &&
			share(r.Good, own) < share(good-r.Good, others)-s.Margin && !r.Ejected(now) {
			outliers = append(outliers, r)
		}
	}
	for _, r := range records {
		if r.Bad == 0 && !r.Ejected(now) {
			r.ejections = max(0, r.ejections-1)
		}
		r.Good, r.Bad = 0, 0
	}
	return outliers
}

func share(part, whole int) float64 { return float64(part) / float64(whole) }
