package flight_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/flight"
)

type (
	group  = flight.Group[string, int]
	answer = flight.Flight[int]
	reader = flight.Reader[int]
)

func newGroup(limit int64) *group { return flight.New[string, int](limit) }

// all reads an answer to its end.
func all(ctx context.Context, r *reader) ([]byte, error) {
	defer r.Leave()
	var text []byte
	for {
		piece, done, err := r.Next(ctx)
		text = append(text, piece...)
		if done || err != nil {
			return text, err
		}
	}
}

// by makes an answer when it is told to.
func by(release <-chan struct{}, count *atomic.Int64, text string, err error) func(context.Context, *answer) error {
	return func(ctx context.Context, f *answer) error {
		count.Add(1)
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.Head(200)
		if _, writeErr := f.Write([]byte(text)); writeErr != nil {
			return writeErr
		}
		return err
	}
}

func TestAHundredIdenticalRequestsAreAskedOnce(t *testing.T) {
	g, release, count := newGroup(1<<20), make(chan struct{}), atomic.Int64{}
	var wait sync.WaitGroup
	joined := atomic.Int64{}
	for range 100 {
		r, also := g.Join("key", by(release, &count, "the answer", nil))
		if also {
			joined.Add(1)
		}
		wait.Go(func() {
			if head, err := r.Head(t.Context()); head != 200 || err != nil {
				t.Errorf("head %d, %v", head, err)
			}
			if text, err := all(t.Context(), r); string(text) != "the answer" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	close(release)
	wait.Wait()
	if count.Load() != 1 || joined.Load() != 99 {
		t.Errorf("asked %d times, %d joined", count.Load(), joined.Load())
	}
}

func TestOtherRequestsAreAskedForThemselves(t *testing.T) {
	g, release, count := newGroup(1<<20), make(chan struct{}), atomic.Int64{}
	close(release)
	for _, key := range []string{"one", "two"} {
		r, joined := g.Join(key, by(release, &count, key, nil))
		if text, err := all(t.Context(), r); string(text) != key || err != nil || joined {
			t.Errorf("%q, %v, joined %v", text, err, joined)
		}
	}
	if count.Load() != 2 {
		t.Errorf("asked %d times", count.Load())
	}
}

func TestWhoComesLaterGetsWhatWasSaidAndFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(1 << 20)
		more := make(chan string)
		first, _ := g.Join("key", func(_ context.Context, f *answer) error {
			f.Head(200)
			for text := range more {
				_, _ = f.Write([]byte(text))
			}
			return nil
		})
		more <- "one "
		if piece, done, err := first.Next(t.Context()); string(piece) != "one " || done || err != nil {
			t.Fatalf("%q, %v", piece, err)
		}
		more <- "two "
		synctest.Wait()
		later, joined := g.Join("key", nil)
		if g.Follow("other") != nil {
			t.Error("followed what nobody asks for")
		}
		if piece, done, err := later.Next(t.Context()); !joined || string(piece) != "one two " || done || err != nil {
			t.Fatalf("%q, %v, joined %v", piece, err, joined)
		}
		more <- "three"
		close(more)
		if text, err := all(t.Context(), first); string(text) != "two three" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if text, err := all(t.Context(), later); string(text) != "three" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	})
}

func TestAnAnswerGoesOnWithoutTheClientItWasBegunFor(t *testing.T) {
	g, release, count := newGroup(1<<20), make(chan struct{}), atomic.Int64{}
	first, _ := g.Join("key", by(release, &count, "the answer", nil))
	second, _ := g.Join("key", nil)
	first.Leave()
	third := g.Follow("key")
	close(release)
	for _, r := range []*reader{second, third} {
		if text, err := all(t.Context(), r); string(text) != "the answer" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	}
}

func TestAnAnswerThatNobodyWaitsForIsNoLongerMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(1 << 20)
		stopped := false
		ask := func(ctx context.Context, _ *answer) error {
			<-ctx.Done()
			stopped = true
			return ctx.Err()
		}
		first, _ := g.Join("key", ask)
		second, _ := g.Join("key", ask)
		first.Leave()
		synctest.Wait()
		if stopped {
			t.Fatal("stopped though a client waits")
		}
		second.Leave()
		again, joined := g.Join("key", ask)
		if joined {
			t.Error("joined an answer that is no longer made")
		}
		synctest.Wait()
		if !stopped {
			t.Error("still made")
		}
		again.Leave()
	})
}

func TestAnErrorReachesAll(t *testing.T) {
	broken := errors.New("the worker died")
	g, release, count := newGroup(1<<20), make(chan struct{}), atomic.Int64{}
	one, _ := g.Join("key", by(release, &count, "half an", broken))
	two, _ := g.Join("key", nil)
	close(release)
	for _, r := range []*reader{one, two} {
		if text, err := all(t.Context(), r); string(text) != "half an" || !errors.Is(err, broken) {
			t.Errorf("%q, %v", text, err)
		}
	}
	before, _ := g.Join("other", func(context.Context, *answer) error { return broken })
	if _, err := before.Head(t.Context()); !errors.Is(err, broken) {
		t.Errorf("an error before the head: %v", err)
	}
}

func TestAClientThatLeavesWhileItWaitsIsToldWhy(t *testing.T) {
	g := newGroup(1 << 20)
	r, _ := g.Join("key", func(ctx context.Context, _ *answer) error { <-ctx.Done(); return ctx.Err() })
	defer r.Leave()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := r.Head(ctx); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, _, err := r.Next(ctx); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerIsAskedForAnewOnceItIsThere(t *testing.T) {
	g, release, count := newGroup(1<<20), make(chan struct{}), atomic.Int64{}
	close(release)
	for range 3 {
		r, _ := g.Join("key", by(release, &count, "text", nil))
		if _, err := all(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if count.Load() != 3 {
		t.Errorf("asked %d times, not 3", count.Load())
	}
}

const limit = 1 << 10

func TestASlowClientIsCutOffWhereItWouldHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(limit)
		fast, _ := g.Join("key", func(_ context.Context, f *answer) error {
			for i := range 100 {
				if _, err := f.Write(bytes.Repeat([]byte{byte(i)}, 100)); err != nil {
					return err
				}
				if kept, _ := f.Whole(); len(kept) > limit {
					t.Errorf("%d bytes are held", len(kept))
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		})
		slow, _ := g.Join("key", nil)
		if piece, _, err := slow.Next(t.Context()); len(piece) == 0 || err != nil {
			t.Fatal(err)
		}
		if text, err := all(t.Context(), fast); len(text) != 10_000 || err != nil {
			t.Errorf("the fast client got %d bytes, %v", len(text), err)
		}
		if _, _, err := slow.Next(t.Context()); !errors.Is(err, flight.ErrSlow) {
			t.Errorf("the slow client: %v", err)
		}
		slow.Leave()
	})
}

func TestASlowClientAloneSlowsTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(limit)
		written := 0
		r, _ := g.Join("key", func(_ context.Context, f *answer) error {
			for range 100 {
				n, err := f.Write(make([]byte, 100))
				if written += n; err != nil {
					return err
				}
			}
			return nil
		})
		synctest.Wait()
		if written > limit {
			t.Errorf("%d bytes were taken of a worker whose client reads none", written)
		}
		if other, joined := g.Join("key", func(context.Context, *answer) error { return nil }); joined {
			t.Error("joined an answer whose beginning goes")
		} else {
			other.Leave()
		}
		if text, err := all(t.Context(), r); len(text) != 10_000 || err != nil {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	})
}

func TestTheWorkerIsLetGoWhenTheOnlyClientLeavesInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		r, _ := newGroup(limit).Join("key", func(_ context.Context, f *answer) error {
			for ended == nil {
				_, ended = f.Write(make([]byte, 100))
			}
			return ended
		})
		synctest.Wait()
		r.Leave()
		synctest.Wait()
		if !errors.Is(ended, flight.ErrAbandoned) {
			t.Errorf("%v", ended)
		}
	})
}

// TestWhoeverStaysGetsTheWholeAnswer: however clients come and go, each reads the same bytes from the first
// on, and who stays reads all of them.
func TestWhoeverStaysGetsTheWholeAnswer(t *testing.T) {
	want := make([]byte, 50_000)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	g := newGroup(int64(len(want)))
	produce := func(ctx context.Context, f *answer) error {
		f.Head(200)
		for rest := want; len(rest) > 0; {
			n := min(1+rand.IntN(200), len(rest))
			if _, err := f.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		if kept, whole := f.Whole(); !whole || !bytes.Equal(kept, want) {
			t.Error("the whole answer is not held")
		}
		return ctx.Err()
	}
	var wait sync.WaitGroup
	for range 200 {
		wait.Go(func() {
			r, _ := g.Join("key", produce)
			if rand.IntN(3) == 0 {
				piece, _, err := r.Next(t.Context())
				if err != nil || !bytes.HasPrefix(want, piece) {
					t.Errorf("%d bytes, %v", len(piece), err)
				}
				r.Leave()
				return
			}
			if text, err := all(t.Context(), r); !bytes.Equal(text, want) || err != nil {
				t.Errorf("%d bytes, %v", len(text), err)
			}
		})
	}
	wait.Wait()
}
