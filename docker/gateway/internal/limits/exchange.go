package limits

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/bus"
)

const (
	exchangeInterval = time.Second
	exchangeTimeout  = 2 * time.Second
	// silentFor is how many exchanges a gateway may miss before it counts as gone.
	silentFor = 5
	// totals of an hour are in one hash, which Redis forgets after the next.
	period       = time.Hour
	totalsPrefix = "ollamamax:used:"
	// kinds of its fields, each of which goes on with a colon and whose it is
	beat, requests, tokens = "gateway", "requests", "tokens"
)

// Exchange tells the other gateways, through Redis, what was used here, and takes off what they used. While
// Redis is away each gateway keeps to its share of every limit: the limit divided by the gateways that were
// there last.
type Exchange struct {
	limits  *Limits
	gateway string
	dial    bus.Dial
	log     *slog.Logger
	present func(gateways, parts int)

	conn   redis.Conn // nil while Redis is away
	hour   int64      // of totals
	totals map[string]int64
	first  bool             // the totals to be read next are old: others' use of before is in them
	beats  map[string]int64 // gateway → tick of its last sign of life
	tick   int64
	known  int // gateways
}

// NewExchange returns an exchange. Run carries it out. present is told how many gateways there are, and into how
// many parts the limits are divided.
func NewExchange(l *Limits, gateway string, dial bus.Dial, log *slog.Logger, present func(gateways, parts int)) *Exchange {
	return &Exchange{limits: l, gateway: gateway, dial: dial, log: log, present: present, beats: map[string]int64{}, known: 1}
}

// Run exchanges every second until ctx ends.
func (e *Exchange) Run(ctx context.Context) {
	tick := time.NewTicker(exchangeInterval)
	defer tick.Stop()
	defer func() {
		if e.conn != nil {
			_ = e.conn.Close()
		}
	}()
	for {
		e.once(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (e *Exchange) once(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	e.tick++
	parts := 1
	if err := e.exchange(ctx, now); err != nil {
		parts = e.known
		if e.conn != nil {
			_ = e.conn.Close()
			e.conn = nil
			e.log.Warn("limits are not shared: this gateway keeps to its part of them", "parts", parts, "error", err)
		}
	}
	e.limits.parts.Store(int64(parts))
	e.present(e.known, parts)
}

// exchange adds what was used here to the totals in Redis and reads them back, in one round trip.
func (e *Exchange) exchange(ctx context.Context, now time.Time) error {
	if e.conn == nil {
		conn, err := e.dial(ctx)
		if err != nil {
			return err
		}
		e.conn, e.first = conn, true
		// While Redis was away each gateway kept to its own share: what it used then is nobody else's.
		e.limits.unsent()
	}
	name := e.turnTo(now)
	mine := e.limits.unsent()
	mine[beat+":"+e.gateway] = 1
	for field, used := range mine {
		if err := e.conn.Send("HINCRBY", name, field, used); err != nil {
			return err
		}
	}
	if err := e.conn.Send("EXPIRE", name, int64(2*period/time.Second)); err != nil {
		return err
	}
	totals, err := redis.Int64Map(redis.DoContext(e.conn, ctx, "HGETALL", name))
	if err != nil {
		return err
	}
	e.apply(now, totals, mine)
	return nil
}

// turnTo brings the totals to the hour, and returns what they are called in Redis.
func (e *Exchange) turnTo(now time.Time) (name string) {
	if hour := now.Unix() / int64(period/time.Second); hour != e.hour || e.first {
		e.first = e.first || hour < e.hour // the clock was set back: what that hour's say has been taken off
		e.hour, e.totals = hour, map[string]int64{}
	}
	return totalsPrefix + strconv.FormatInt(e.hour, 10)
}

// apply takes off what the others used since the totals before.
func (e *Exchange) apply(now time.Time, totals, mine map[string]int64) {
	others := map[int64]spent{}
	for field, total := range totals {
		what, whose, _ := strings.Cut(field, ":")
		used := total - e.totals[field]
		if what == beat && used != 0 {
			e.beats[whose] = e.tick
			continue
		}
		id, err := strconv.ParseInt(whose, 10, 64)
		if used -= mine[field]; err != nil || used <= 0 || e.first {
			continue
		}
		sum := others[id]
		switch what {
		case requests:
			sum.requests += used
		case tokens:
			sum.tokens += used
		}
		others[id] = sum
	}
	e.totals, e.first = totals, false
	e.limits.spentElsewhere(now, others)
	for gateway, tick := range e.beats {
		if e.tick-tick >= silentFor {
			delete(e.beats, gateway)
		}
	}
	e.known = len(e.beats)
}

// unsent returns what was used here since the last call, by field.
func (l *Limits) unsent() map[string]int64 {
	fields := map[string]int64{}
	for id, a := range *l.accounts.Load() {
		a.mu.Lock()
		used := a.unsent
		a.unsent = spent{}
		a.mu.Unlock()
		if used.requests > 0 {
			fields[requests+":"+strconv.FormatInt(id, 10)] = used.requests
		}
		if used.tokens > 0 {
			fields[tokens+":"+strconv.FormatInt(id, 10)] = used.tokens
		}
	}
	return fields
}

// spentElsewhere takes off what other gateways let through.
func (l *Limits) spentElsewhere(now time.Time, others map[int64]spent) {
	accounts := *l.accounts.Load()
	for id, used := range others {
		a, known := accounts[id]
		if !known {
			continue
		}
		a.mu.Lock()
		a.refill(now, l.parts.Load())
		a.requests.balance -= float64(used.requests)
		a.tokens.balance -= float64(used.tokens)
		a.mu.Unlock()
	}
}
