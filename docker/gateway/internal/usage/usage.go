// Package usage counts what every key uses and writes it to the database in batches, each exactly once.
package usage

import (
	"context"
	"crypto/rand"
	"log/slog"
	randv2 "math/rand/v2"
	"sync"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/limits"
)

// Counts is what was used.
type Counts struct {
	Requests         int64
	Failures         int64 // answered 5xx, or broken off
	PromptTokens     int64
	CompletionTokens int64
}

func (c *Counts) add(other Counts) {
	c.Requests += other.Requests
	c.Failures += other.Failures
	c.PromptTokens += other.PromptTokens
	c.CompletionTokens += other.CompletionTokens
}

// Of says whose use it was, of what, and when.
type Of struct {
	Day   int32 // since 1970, in UTC
	Key   int64
	Model string // as metrics call it; empty where none was meant
}

const secondsADay = 24 * 60 * 60

func dayOf(t time.Time) int32 { return int32(t.Unix() / secondsADay) }

// Date is the day as a time.
func (o Of) Date() time.Time { return time.Unix(int64(o.Day)*secondsADay, 0).UTC() }

// Batch is written whole or not at all, and once however often it is tried.
type Batch struct {
	ID   string
	Rows map[Of]Counts
}

// Database keeps usage.
type Database interface {
	AddUsage(ctx context.Context, gateway string, batch Batch) error
	// PrepareUsage makes room for days from first to last, and forgets those before first that are more than
	// keepDays ago.
	PrepareUsage(ctx context.Context, first, last time.Time, keepDays int) error
	// TokensSince returns what keys used: never nil without an error.
	TokensSince(ctx context.Context, since time.Time, keys []int64) (map[int64]int64, error)
}

// Gauges is where the meter shows how it is doing.
type Gauges interface {
	UsagePending(rows int)
	UsageLost(requests int64)
}

const (
	writeTimeout = 5 * time.Second
	daysAhead    = 7 // for which there is room already
	roomInterval = time.Hour
)

// Meter counts in memory and writes in the background.
type Meter struct {
	gateway  string
	database Database
	limits   *limits.Limits
	settings config.Usage
	gauges   Gauges
	log      *slog.Logger
	shards   [8]shard
	kick     chan struct{}

	// What follows belongs to Run's goroutine.
	pending   map[Of]Counts   // counted, and in no batch yet
	batch     *Batch          // that the database has not confirmed
	flushed   map[int64]int64 // tokens of this month by key, written since budgets were last read
	roomSince time.Time       // when room was last made; zero: it is due
	away      bool
}

// shard is a part of what was counted since the last look: several, so that cores do not wait for each other.
type shard struct {
	mu     sync.Mutex
	counts map[Of]*Counts
	_      [40]byte // a cache line each
}

// New returns a meter. Run writes what it counts.
func New(gateway string, database Database, l *limits.Limits, settings config.Usage, gauges Gauges, log *slog.Logger) *Meter {
	m := &Meter{
		gateway: gateway, database: database, limits: l, settings: settings, gauges: gauges, log: log,
		kick: make(chan struct{}, 1), pending: map[Of]Counts{}, flushed: map[int64]int64{},
	}
	for i := range m.shards {
		m.shards[i].counts = map[Of]*Counts{}
	}
	return m
}

// Record counts a request that has ended.
func (m *Meter) Record(now time.Time, key int64, model string, used Counts) {
	of := Of{dayOf(now), key, model}
	s := &m.shards[randv2.Uint32()%uint32(len(m.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	counts, ok := s.counts[of]
	if !ok {
		counts = &Counts{}
		s.counts[of] = counts
	}
	counts.add(used)
}

// Run writes every flush interval until ctx ends, and once more then.
func (m *Meter) Run(ctx context.Context) {
	tick := time.NewTicker(m.settings.FlushInterval)
	defer tick.Stop()
	for {
		m.flush(ctx)
		select {
		case <-ctx.Done():
			m.flush(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		case <-m.kick:
		}
	}
}

// Soon asks for the next write now: there is a budget of which nobody knows what is used.
func (m *Meter) Soon() {
	select {
	case m.kick <- struct{}{}:
	default: // it is due anyway
	}
}

// flush writes what was counted, and reads what the keys with a budget have used.
func (m *Meter) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	m.collect()
	err := m.write(ctx)
	if err == nil && len(m.pending) > 0 { // counted while a batch from before waited
		err = m.write(ctx)
	}
	if err == nil {
		err = m.settle(ctx)
	}
	rows := len(m.pending)
	if m.batch != nil {
		rows += len(m.batch.Rows)
	}
	m.gauges.UsagePending(rows)
	if m.away != (err != nil) {
		m.away = err != nil
		if m.away {
			m.log.Warn("usage not written: it is kept until the database answers", "error", err)
		} else {
			m.log.Info("usage is written again")
		}
	}
}

// collect takes what was counted. Beyond settings.BufferRows, only what adds to a row that is there is kept.
func (m *Meter) collect() {
	most := m.settings.BufferRows
	if m.batch != nil {
		most -= len(m.batch.Rows)
	}
	lost := int64(0)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for of, counts := range s.counts {
			if *counts == (Counts{}) {
				delete(s.counts, of) // not used since the last look
				continue
			}
			sum, there := m.pending[of]
			if there || len(m.pending) < most {
				sum.add(*counts)
				m.pending[of] = sum
			} else {
				lost += counts.Requests
			}
			*counts = Counts{}
		}
		s.mu.Unlock()
	}
	if lost > 0 {
		m.gauges.UsageLost(lost)
	}
}

// write sends what is pending. A batch whose fate is unknown is sent again as it was: the database knows it
// by its name, and takes it once.
func (m *Meter) write(ctx context.Context) error {
	now := time.Now()
	if m.batch == nil && len(m.pending) > 0 {
		m.batch = &Batch{ID: rand.Text(), Rows: m.pending}
		m.pending = map[Of]Counts{}
	}
	if m.roomSince.IsZero() || now.Sub(m.roomSince) > roomInterval {
		first := now
		if m.batch != nil {
			for of := range m.batch.Rows {
				if date := of.Date(); date.Before(first) {
					first = date
				}
			}
		}
		if err := m.database.PrepareUsage(ctx, first, now.AddDate(0, 0, daysAhead), m.settings.KeepDays); err != nil {
			return err
		}
		m.roomSince = now
	}
	if m.batch == nil {
		return nil
	}
	if err := m.database.AddUsage(ctx, m.gateway, *m.batch); err != nil {
		m.roomSince = time.Time{} // there may be no room for its days
		return err
	}
	month := StartOfMonth(now)
	for of, counts := range m.batch.Rows {
		if !of.Date().Before(month) {
			m.flushed[of.Key] += counts.PromptTokens + counts.CompletionTokens
		}
	}
	m.batch = nil
	return nil
}

// settle tells the limits what keys with a budget have used this month, on all gateways. Without a budget they
// hear of what was written all the same: a budget to come must not count it here and in the database.
func (m *Meter) settle(ctx context.Context) error {
	month := StartOfMonth(time.Now())
	var recorded map[int64]int64
	if budgeted := m.limits.Budgeted(); len(budgeted) > 0 {
		var err error
		if recorded, err = m.database.TokensSince(ctx, month, budgeted); err != nil {
			return err
		}
	}
	m.limits.Settle(month, recorded, m.flushed)
	clear(m.flushed)
	return nil
}

// StartOfMonth is when the month of a time began, in UTC.
func StartOfMonth(t time.Time) time.Time {
	year, month, _ := t.UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}
