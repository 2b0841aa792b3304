package usage

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/limits"
)

var errAway = errors.New("away")

// database keeps usage as PostgreSQL does.
type database struct {
	mu       sync.Mutex
	rows     map[Of]Counts
	last     string // batch
	away     bool
	mute     bool // writes, and then fails to say so
	writes   int
	prepared []time.Time // first days asked for
}

func (d *database) AddUsage(_ context.Context, _ string, batch Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return errAway
	}
	d.writes++
	if batch.ID != d.last {
		d.last = batch.ID
		for of, counts := range batch.Rows {
			sum := d.rows[of]
			sum.add(counts)
			d.rows[of] = sum
		}
	}
	if d.mute {
		return errAway
	}
	return nil
}

func (d *database) PrepareUsage(_ context.Context, first, _ time.Time, _ int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared = append(d.prepared, first)
	if d.away {
		return errAway
	}
	return nil
}

func (d *database) TokensSince(_ context.Context, since time.Time, _ []int64) (map[int64]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, errAway
	}
	tokens := map[int64]int64{}
	for of, counts := range d.rows {
		if !of.Date().Before(since) {
			tokens[of.Key] += counts.PromptTokens + counts.CompletionTokens
		}
	}
	return tokens, nil
}

func (d *database) set(away, mute bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away, d.mute = away, mute
}

func (d *database) has(of Of) Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[of]
}

func (d *database) wrote() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

type gauges struct {
	mu      sync.Mutex
	pending int
	lost    int64
}

func (g *gauges) UsagePending(rows int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending = rows
}

func (g *gauges) read() (pending int, lost int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pending, g.lost
}

func (g *gauges) UsageLost(requests int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost += requests
}

var one = Counts{Requests: 1, PromptTokens: 10, CompletionTokens: 5}

const interval = 10 * time.Second

// metered runs a meter in a bubble whose clock jumps, until check returns.
func metered(t *testing.T, rows int, check func(m *Meter, d *database, g *gauges, l *limits.Limits)) {
	synctest.Test(t, func(t *testing.T) {
		d, g, l := &database{rows: map[Of]Counts{}}, &gauges{}, limits.New(func(string) {})
		m := New("gateway-1", d, l, config.Usage{FlushInterval: interval, KeepDays: 90, BufferRows: rows}, g, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx) }()
		synctest.Wait()
		check(m, d, g, l)
		cancel()
		<-done
	})
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestUsageIsWrittenEveryIntervalAndAtTheEnd(t *testing.T) {
	var d *database
	var of Of
	metered(t, 100, func(m *Meter, database *database, _ *gauges, _ *limits.Limits) {
		d, of = database, Of{dayOf(time.Now()), 7, "tiny:latest"}
		for range 3 {
			m.Record(time.Now(), 7, "tiny:latest", one)
		}
		pass(interval - time.Second)
		if d.wrote() != 0 {
			t.Error("written before the interval is over")
		}
		pass(2 * time.Second)
		if got := d.has(of); got != (Counts{Requests: 3, PromptTokens: 30, CompletionTokens: 15}) {
			t.Errorf("written %+v", got)
		}
		pass(3 * interval)
		if n := d.wrote(); n != 1 {
			t.Errorf("%d writes where one had something to say", n)
		}
		m.Record(time.Now(), 7, "tiny:latest", one)
	})
	if got := d.has(of); got.Requests != 4 {
		t.Errorf("after a clean stop %+v is written", got)
	}
}

func TestABatchWhoseAnswerIsLostCountsOnce(t *testing.T) {
	metered(t, 100, func(m *Meter, d *database, _ *gauges, _ *limits.Limits) {
		of := Of{dayOf(time.Now()), 7, ""}
		d.set(false, true)
		m.Record(time.Now(), 7, "", one)
		pass(interval)
		m.Record(time.Now(), 7, "", one) // meanwhile
		pass(2 * interval)
		d.set(false, false)
		pass(2 * interval)
		if got := d.has(of); got.Requests != 2 || got.PromptTokens != 20 {
			t.Errorf("written %+v, not twice one", got)
		}
	})
}

func TestWhatWasCountedWhileABatchWaitedIsWrittenAtTheEndToo(t *testing.T) {
	var d *database
	var of Of
	metered(t, 100, func(m *Meter, database *database, _ *gauges, _ *limits.Limits) {
		d, of = database, Of{dayOf(time.Now()), 7, ""}
		d.set(true, false)
		m.Record(time.Now(), 7, "", one)
		pass(interval + time.Second)
		m.Record(time.Now(), 7, "", one)
		d.set(false, false)
	})
	if got := d.has(of); got.Requests != 2 {
		t.Errorf("after a stop %+v is written", got)
	}
}

func TestWhileTheDatabaseIsAwayUsageIsKeptUpToABoundAndWrittenLater(t *testing.T) {
	metered(t, 3, func(m *Meter, d *database, g *gauges, _ *limits.Limits) {
		day := dayOf(time.Now())
		d.set(true, false)
		record := func(models ...string) {
			for _, model := range models {
				m.Record(time.Now(), 7, model, one)
			}
		}
		record("a")
		pass(interval)
		record("a", "b")
		pass(interval)
		record("a", "b", "c") // a waits in a batch, so it takes a row again: there is none for c
		pass(interval)
		if pending, lost := g.read(); pending != 3 || lost != 1 {
			t.Errorf("%d rows wait and %d requests are lost, not 3 and 1", pending, lost)
		}
		d.set(false, false)
		pass(2 * interval)
		want := map[Of]Counts{{day, 7, "a"}: {3, 0, 30, 15}, {day, 7, "b"}: {2, 0, 20, 10}}
		d.mu.Lock()
		defer d.mu.Unlock()
		if !maps.Equal(d.rows, want) {
			t.Errorf("written %+v", d.rows)
		}
		if pending, _ := g.read(); pending != 0 {
			t.Errorf("%d rows wait though all is written", pending)
		}
	})
}

func TestRoomIsMadeForDaysThatPassedWhileTheDatabaseWasAway(t *testing.T) {
	metered(t, 100, func(m *Meter, d *database, _ *gauges, _ *limits.Limits) {
		then := time.Now()
		d.set(true, false)
		m.Record(then, 7, "", one)
		pass(72 * time.Hour)
		d.set(false, false)
		d.mu.Lock()
		d.prepared = nil
		d.mu.Unlock()
		pass(2 * interval)
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.prepared) == 0 || dayOf(d.prepared[0]) != dayOf(then) {
			t.Errorf("room is made from %v, not from %v", d.prepared, then)
		}
		if got := d.rows[Of{dayOf(then), 7, ""}]; got.Requests != 1 {
			t.Errorf("written %+v", got)
		}
	})
}

func TestBudgetsAreReckonedWithWhatIsWritten(t *testing.T) {
	metered(t, 100, func(m *Meter, d *database, _ *gauges, l *limits.Limits) {
		key := auth.Key{ID: 7, Limits: auth.Limits{TokensPerMonth: 100}}
		l.Know([]auth.Key{key})
		use := func(tokens int64) {
			l.Charge(time.Now(), &key, tokens)
			m.Record(time.Now(), 7, "", Counts{Requests: 1, CompletionTokens: tokens})
		}
		refused := func() bool { _, refusal := l.Admit(time.Now(), &key, true); return refusal != nil }
		use(40)
		pass(interval)
		d.mu.Lock()
		d.rows[Of{dayOf(time.Now()), 7, "elsewhere"}] = Counts{CompletionTokens: 30}
		d.mu.Unlock()
		use(20)
		if refused() {
			t.Error("refused at 60 of 100")
		}
		pass(interval)
		use(9)
		if refused() {
			t.Error("refused at 99 of 100")
		}
		use(1)
		if !refused() {
			t.Error("passed at 100 of 100")
		}
		pass(interval)
		if !refused() {
			t.Error("passed once it was written")
		}
	})
}

func TestABudgetThatIsNewIsReckonedAtOnce(t *testing.T) {
	metered(t, 100, func(m *Meter, d *database, _ *gauges, l *limits.Limits) {
		d.mu.Lock()
		d.rows[Of{dayOf(time.Now()), 7, ""}] = Counts{CompletionTokens: 100}
		d.mu.Unlock()
		key := auth.Key{ID: 7, Limits: auth.Limits{RequestsPerMinute: 10}}
		if l.Know([]auth.Key{key}) {
			t.Error("a key without a budget has one to be read")
		}
		key.Limits.TokensPerMonth = 100
		if !l.Know([]auth.Key{key}) {
			t.Fatal("a new budget has been read")
		}
		m.Soon()
		pass(time.Millisecond)
		if l.Know([]auth.Key{key}) {
			t.Error("a budget that has been read is still to be read")
		}
		if _, refusal := l.Admit(time.Now(), &key, true); refusal == nil {
			t.Error("passed at 100 of 100")
		}
	})
}

func TestABudgetThatIsTheFirstCountsWhatWasUsedBeforeItOnce(t *testing.T) {
	metered(t, 100, func(m *Meter, _ *database, _ *gauges, l *limits.Limits) {
		key := auth.Key{ID: 7, Limits: auth.Limits{TokensPerMinute: 1000}}
		l.Know([]auth.Key{key})
		use := func(tokens int64) {
			l.Charge(time.Now(), &key, tokens)
			m.Record(time.Now(), 7, "", Counts{Requests: 1, CompletionTokens: tokens})
		}
		refused := func() bool { _, refusal := l.Admit(time.Now(), &key, true); return refusal != nil }
		use(60)
		pass(2 * interval)
		key.Limits.TokensPerMonth = 100
		if !l.Know([]auth.Key{key}) {
			t.Fatal("a new budget has been read")
		}
		m.Soon()
		pass(time.Millisecond)
		use(39)
		if refused() {
			t.Error("refused at 99 of 100")
		}
		use(1)
		if !refused() {
			t.Error("passed at 100 of 100")
		}
	})
}

func TestRecordingAllocatesNothing(t *testing.T) {
	m := New("gateway-1", nil, limits.New(func(string) {}), config.Usage{}, &gauges{}, nil)
	now := time.Now()
	for range 1000 {
		m.Record(now, 7, "tiny:latest", one) // every shard has met it
	}
	if n := testing.AllocsPerRun(100, func() { m.Record(now, 7, "tiny:latest", one) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	m := New("gateway-1", nil, limits.New(func(string) {}), config.Usage{}, &gauges{}, nil)
	now := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Record(now, 7, "tiny:latest", one)
		}
	})
}
