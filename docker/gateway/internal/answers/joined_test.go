package answers_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/flight"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/reply"
)

func TestARequestThatMustBeMadeAnewDoesNotJoinAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Second
		a := start(t, w)
		var wait sync.WaitGroup
		for _, q := range []asked{generate(cold), generate(cold, "Cache-Control: no-cache"), generate(cold, "Cache-Control: no-cache"), generate(cold)} {
			wait.Go(func() { ask(t, a, w, q) })
			synctest.Wait()
		}
		wait.Wait()
		if w.calls.Load() != 3 {
			t.Errorf("asked %d times, not once for the two that may share and once for each other", w.calls.Load())
		}
	})
}

func TestAnAnswerThatBreaksOffIsNotKeptAndEveryoneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.breaks, w.takes = true, time.Second
		a := start(t, w)
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				c := &client{}
				served, err := serve(a, w, generate(cold), c)
				if !served || !errors.Is(err, inference.ErrCut) || string(c.aborted) != "broken" || !c.Failed || c.Left || !errors.Is(c.Cause, errDied) {
					t.Errorf("served %v, %v, aborted with %q, %+v", served, err, c.aborted, c.Cause)
				}
			})
		}
		wait.Wait()
		if w.calls.Load() != 1 {
			t.Errorf("asked %d times", w.calls.Load())
		}
	})
}

func TestARefusalIsEveryones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.refuses, w.takes = &reply.Refusal{Status: 503, RetryAfter: 7 * time.Second}, time.Second
		a := start(t, w)
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				c := &client{}
				if served, err := serve(a, w, generate(cold), c); !served || err != nil || c.refusal != w.refuses || !errors.Is(c.Cause, errDied) {
					t.Errorf("served %v, %v, %+v", served, err, c.refusal)
				}
			})
		}
		wait.Wait()
		if w.calls.Load() != 1 {
			t.Errorf("asked %d times", w.calls.Load())
		}
	})
}

func TestAHundredIdenticalMissesAreOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Second
		a := start(t, w)
		var wait sync.WaitGroup
		var misses, joined, prompt atomic.Int64
		for range 100 {
			wait.Go(func() {
				c := ask(t, a, w, generate(cold))
				switch c.says() {
				case cache.Miss:
					misses.Add(1)
				case cache.Joined:
					joined.Add(1)
				}
				prompt.Add(c.PromptTokens)
				if c.body.String() != string(w.answer([]byte(cold))) {
					t.Errorf("%s", c.body.String())
				}
			})
		}
		wait.Wait()
		if w.calls.Load() != 1 || misses.Load() != 1 || joined.Load() != 99 {
			t.Errorf("asked %d times; %d misses, %d joined", w.calls.Load(), misses.Load(), joined.Load())
		}
		if prompt.Load() != 5 {
			t.Errorf("its 5 tokens count as %d", prompt.Load())
		}
	})
}

func TestTheOthersGetTheirAnswerThoughTheFirstClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Second
		a := start(t, w)
		var wait sync.WaitGroup
		first := &client{}
		wait.Go(func() {
			if _, err := serve(a, w, generate(cold), first); !errors.Is(err, inference.ErrCut) || !first.Left {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if c := ask(t, a, w, generate(cold)); c.says() != cache.Joined || c.body.String() != string(w.answer([]byte(cold))) {
				t.Errorf("the second: %q %s", c.says(), c.body.String())
			}
		})
		synctest.Wait()
		first.life.End(exchange.ErrLeft)
		wait.Wait()
		if w.calls.Load() != 1 {
			t.Errorf("asked %d times", w.calls.Load())
		}
	})
}

func TestTheWorkerIsLetGoWhenTheLastClientHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Hour
		a := start(t, w)
		c := &client{}
		go func() { time.Sleep(time.Second); c.life.End(exchange.ErrLeft) }()
		began := time.Now()
		_, _ = serve(a, w, generate(cold), c)
		synctest.Wait() // for the worker's goroutine too
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("after %s", waited)
		}
	})
}

func TestWhoLeavesLastPaysForWhatWasMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		a := start(t, w)
		forward := func(r *inference.Request, c inference.Client) error {
			c.Begin(inference.Head{Status: 200, Fields: []byte("Content-Type: application/x-ndjson\r\n"), Length: -1, Stream: true})
			for {
				if err := c.Write([]byte("{\"response\":\"word\"}\n"), false); err != nil || r.Life.Err() != nil {
					return inference.ErrCut
				}
				time.Sleep(time.Second)
			}
		}
		var wait sync.WaitGroup
		clients := [2]client{}
		for i := range clients {
			r, fields := generate(cold).of(&clients[i])
			wait.Go(func() { _, _ = a.Serve(r, fields, &clients[i], forward) })
			synctest.Wait()
		}
		time.Sleep(3500 * time.Millisecond)
		for i := range clients {
			clients[i].life.End(exchange.ErrLeft)
			synctest.Wait()
		}
		wait.Wait()
		time.Sleep(time.Second) // for the worker to notice
		if clients[0].CompletionTokens != 0 || clients[1].CompletionTokens != 4 || !clients[1].Left {
			t.Errorf("%d and %d tokens", clients[0].CompletionTokens, clients[1].CompletionTokens)
		}
	})
}

func TestAStoppingGatewaySaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Hour
		a := start(t, w)
		c := &client{}
		go func() { time.Sleep(time.Second); c.life.End(exchange.ErrStopping) }()
		if _, err := serve(a, w, generate(cold), c); err != nil || c.refusal == nil || c.refusal.Status != 503 || c.refusal.Message != exchange.ErrStopping.Error() {
			t.Errorf("%v, %+v", err, c.refusal)
		}
	})
}

func TestAClientWhoseConnectionBreaksEndsItsOwnAnswerAlone(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	broken := &client{gone: errors.New("broken pipe")}
	if _, err := serve(a, w, generate(cold), broken); !errors.Is(err, inference.ErrCut) || !broken.Left {
		t.Errorf("%v", err)
	}
	ask(t, a, w, generate(cold))
	if _, err := serve(a, w, generate(cold), &client{gone: broken.gone}); !errors.Is(err, inference.ErrCut) {
		t.Errorf("of an answer that is kept: %v", err)
	}
}

func TestWithoutACacheIdenticalRequestsAreStillAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Second
		a := start(t, w, func(c *config.Config) { c.ResultCache.MemoryBytes = 0 })
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				if c := ask(t, a, w, generate(cold)); c.says() != "" && c.says() != cache.Joined {
					t.Errorf("%q", c.says())
				}
			})
		}
		wait.Wait()
		ask(t, a, w, generate(cold))
		if w.calls.Load() != 2 {
			t.Errorf("asked %d times, not once for the first two and once for the third", w.calls.Load())
		}
	})
}

func TestASlowClientIsToldThatItHeldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		a := start(t, w)
		piece := bytes.Repeat([]byte("{\"response\":\"word\"}\n"), 1000)
		forward := func(_ *inference.Request, c inference.Client) error {
			c.Begin(inference.Head{Status: 200, Fields: []byte("Content-Type: application/x-ndjson\r\n"), Length: -1, Stream: true})
			for range 100 {
				time.Sleep(time.Millisecond)
				if err := c.Write(piece, false); err != nil {
					return err
				}
			}
			return c.Write(nil, true)
		}
		var wait sync.WaitGroup
		follow := func(own *client, c inference.Client) {
			r, fields := generate(cold).of(own)
			wait.Go(func() { _, _ = a.Serve(r, fields, c, forward) })
		}
		slow, fast := &client{}, &client{}
		follow(slow, &stalled{slow, time.Hour})
		follow(fast, fast)
		wait.Wait()
		if fast.body.Len() != 100*len(piece) || !fast.ended {
			t.Errorf("the fast client got %d bytes", fast.body.Len())
		}
		if !slow.Failed || !errors.Is(slow.Cause, flight.ErrSlow) || !strings.Contains(string(slow.aborted), flight.ErrSlow.Error()) {
			t.Errorf("the slow client: %v, %q", slow.Cause, slow.aborted)
		}
	})
}

// stalled takes its time with every piece.
type stalled struct {
	*client
	takes time.Duration
}

func (s *stalled) Write(piece []byte, last bool) error {
	time.Sleep(s.takes)
	return s.client.Write(piece, last)
}
