package answers_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/inference"
)

func TestADeterministicRequestIsAnsweredOnceAndThenFromTheCache(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	first, again := ask(t, a, w, generate(cold)), ask(t, a, w, generate(cold))
	if first.says() != cache.Miss || first.Node != "worker-1" || first.Retries != 1 || again.says() != cache.Hit || again.Node != "" {
		t.Errorf("%q of %q, then %q of %q", first.says(), first.Node, again.says(), again.Node)
	}
	if again.head.Status != 200 || again.head.Length != int64(first.body.Len()) || again.body.String() != first.body.String() ||
		again.field("Content-Type") != "application/json" {
		t.Errorf("%+v %s", again.head, again.body.String())
	}
	if first.PromptTokens != 5 || first.CompletionTokens != 3 || again.PromptTokens != 0 || again.CompletionTokens != 0 {
		t.Errorf("tokens %d and %d, then %d and %d", first.PromptTokens, first.CompletionTokens, again.PromptTokens, again.CompletionTokens)
	}
	if w.calls.Load() != 1 || again.Cache != cache.Hit {
		t.Errorf("asked %d times", w.calls.Load())
	}
}

func TestARequestLeftToChanceIsNotServedUnlessItIsWanted(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	const warm = `{"model":"m","prompt":"p"}`
	for _, fields := range []string{"X-Other: use", "X-Ollamamax-Cache: yes"} {
		if served, err := serve(a, w, generate(warm, fields), &client{}); served || err != nil {
			t.Errorf("served %v, %v", served, err)
		}
	}
	wanted := generate(warm, "Accept: */*", "x-ollamamax-cache: Use")
	ask(t, a, w, wanted)
	if again := ask(t, a, w, wanted); again.says() != cache.Hit {
		t.Errorf("%q", again.fields)
	}
}

func TestWhatAClientSaysToCachesIsHeeded(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	if served, _ := serve(a, w, generate(cold, "cache-control: max-age=0", "Cache-Control: no-store"), &client{}); served {
		t.Error("no-store was served")
	}
	ask(t, a, w, generate(cold))
	if fresh := ask(t, a, w, generate(cold, "Cache-Control: no-cache")); fresh.says() != cache.Miss || w.calls.Load() != 2 {
		t.Errorf("no-cache: %q after %d calls", fresh.says(), w.calls.Load())
	}
	if again := ask(t, a, w, generate(cold)); again.says() != cache.Hit {
		t.Errorf("after no-cache: %q", again.says())
	}
}

func TestWhatMustNotBeKeptIsNot(t *testing.T) {
	for name, change := range map[string]func(*worker){
		"an error":             func(w *worker) { w.status = 500 },
		"an error in a stream": func(w *worker) { w.contentType = "application/x-ndjson" },
		"an answer of a model that differs from node to node": func(w *worker) { w.digest.Store("") },
		"a large answer": func(w *worker) { w.answer = func([]byte) []byte { return make([]byte, 2<<20) } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker()
			a := start(t, w)
			change(w)
			first := ask(t, a, w, generate(cold))
			if again := ask(t, a, w, generate(cold)); again.says() == cache.Hit || w.calls.Load() != 2 {
				t.Errorf("kept: %q", again.says())
			}
			if want := w.answer([]byte(cold)); !bytes.Equal(first.body.Bytes(), want) {
				t.Errorf("%d bytes came of %d", first.body.Len(), len(want))
			}
		})
	}
}

func TestAnAnswerOfAModelThatChangedMeanwhileIsNotKept(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	w.answer = func([]byte) []byte {
		w.digest.Store("new")
		return []byte(`{"by":"the new model"}`)
	}
	ask(t, a, w, generate(cold))
	w.digest.Store("digest") // and back
	if again := ask(t, a, w, generate(cold)); again.says() == cache.Hit {
		t.Error("kept under the digest of the model before")
	}
}

func TestAPanicEndsTheRequestAlone(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	for _, q := range []asked{generate(cold), {path: "/api/embed", body: `{"model":"m","input":"x"}`}} {
		c := &client{}
		r, fields := q.of(c)
		panics := func(*inference.Request, inference.Client) error { panic("a bug") }
		if served, err := a.Serve(r, fields, c, panics); !served || err != nil || c.refusal == nil || c.refusal.Status != 502 {
			t.Errorf("served %v, %v, %+v", served, err, c.refusal)
		}
		ask(t, a, w, q)
	}
}

func TestAStreamIsKeptAndComesAsItWas(t *testing.T) {
	w := newWorker()
	w.contentType = "application/x-ndjson"
	long := strings.Repeat("x", 3*inference.MaxPiece)
	w.answer = func([]byte) []byte {
		return []byte("{\"response\":\"a\"}\n{\"response\":\"" + long + "\"}\n{\"done\":true}\n")
	}
	a := start(t, w)
	first, again := ask(t, a, w, generate(cold)), ask(t, a, w, generate(cold))
	if again.says() != cache.Hit || !again.head.Stream || again.head.Length >= 0 || again.FirstByte == 0 ||
		again.field("Content-Type") != "application/x-ndjson" || again.body.String() != first.body.String() {
		t.Errorf("%+v %q", again.head, again.fields)
	}
	if again.pieces[0] != "{\"response\":\"a\"}\n" || again.pieces[len(again.pieces)-1] != "{\"done\":true}\n" {
		t.Errorf("it came in %d other pieces", len(again.pieces))
	}
	for _, piece := range append(first.pieces, again.pieces...) {
		if len(piece) > inference.MaxPiece {
			t.Errorf("a piece of %d bytes", len(piece))
		}
	}
}

func TestTenantsShareAnswersOnlyWhereTheSettingsSaySo(t *testing.T) {
	of := func(q asked, tenant string) asked {
		q.tenant = tenant
		return q
	}
	across := func(c *config.Config) { c.ResultCache.AcrossTenants = true }
	for _, tenant := range []string{"", "one"} {
		w := newWorker()
		apart := start(t, w)
		ask(t, apart, w, of(generate(cold), tenant))
		if c := ask(t, apart, w, of(generate(cold), "two")); c.says() == cache.Hit {
			t.Error("a tenant got another's answer")
		}
		together := start(t, w, across)
		ask(t, together, w, of(generate(cold, "Cache-Control: private"), tenant))
		if c := ask(t, together, w, of(generate(cold), "two")); c.says() == cache.Hit {
			t.Error("a tenant got another's private answer")
		}
		if c := ask(t, together, w, of(generate(cold), tenant)); c.says() != cache.Hit {
			t.Error("what one tenant asked is not shared")
		}
		if c := ask(t, together, w, of(generate(cold, "Cache-Control: private"), tenant)); c.says() != cache.Hit {
			t.Error("a tenant's own private answer is not given")
		}
	}
}

func TestAnswersOfAModelThatChangedAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		a := start(t, w)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go a.Run(ctx)
		a.Changed()
		synctest.Wait()
		ask(t, a, w, generate(cold))
		for _, digest := range []string{"new", "digest"} { // and back
			w.digest.Store(digest)
			a.Changed()
			synctest.Wait()
		}
		if c := ask(t, a, w, generate(cold)); c.says() != cache.Miss {
			t.Errorf("%q: an answer outlived its model", c.says())
		}
		a.Shed(0)
		if c := ask(t, a, w, generate(cold)); c.says() != cache.Miss {
			t.Errorf("%q: an answer outlived the need for memory", c.says())
		}
	})
}

// TestNobodyGetsTheAnswerToAnotherQuestion asks at random, many at a time, of models that change: an answer is
// always what the worker says to that very body, for that tenant, under the digest of that moment.
func TestNobodyGetsTheAnswerToAnotherQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models := newWorker()
		a := start(t, models, func(c *config.Config) {
			c.ResultCache.MemoryBytes = 8 << 10 // so that answers are driven out too
		})
		var hits atomic.Int64
		var wait sync.WaitGroup
		for range 3000 {
			time.Sleep(time.Millisecond)
			digest := fmt.Sprint("digest ", rand.IntN(2))
			models.digest.Store(digest)
			q := asked{
				path: []string{"/api/generate", "/api/chat"}[rand.IntN(2)], tenant: fmt.Sprint("tenant ", rand.IntN(3)),
				body: fmt.Sprintf(`{"model":"m","prompt":"%d","options":{"seed":1,"num_ctx":%d}}`, rand.IntN(3), 2048*(1+rand.IntN(2))),
			}
			asks := []string{"", "Accept: text/event-stream\r\n", "Content-Type: text/plain\r\n"}[rand.IntN(3)]
			q.fields = asks + []string{"", "", "Cache-Control: no-cache\r\n"}[rand.IntN(3)]
			want := strings.Join([]string{q.path, q.tenant, digest, q.body, asks}, " ")
			c := &client{}
			r, fields := q.of(c)
			w := newWorker()
			w.takes = time.Duration(rand.IntN(5)) * time.Millisecond
			w.answer = func([]byte) []byte { return []byte(want) }
			wait.Go(func() {
				if _, err := a.Serve(r, fields, c, w.forward); err != nil || c.body.String() != want {
					t.Errorf("asked %q, answered %q, %v", want, c.body.String(), err)
				}
				if c.says() == cache.Hit {
					hits.Add(1)
				}
			})
			synctest.Wait() // the digest has been read
		}
		wait.Wait()
		if hits.Load() < 50 {
			t.Errorf("only %d hits: the test shows nothing", hits.Load())
		}
	})
}

func BenchmarkHit(b *testing.B) {
	w := newWorker()
	a := start(b, w)
	c := &discarding{}
	r, fields := generate(cold).of(&c.client)
	b.ReportAllocs()
	for b.Loop() {
		if served, err := a.Serve(r, fields, c, w.forward); !served || err != nil {
			b.Fatal(err)
		}
	}
	if c.Cache != cache.Hit {
		b.Fatal("no hit")
	}
}

// discarding is a client that keeps nothing.
type discarding struct{ client }

func (d *discarding) Begin(inference.Head) {}

func (d *discarding) Put([]byte) error { return nil }

func (d *discarding) Write([]byte, bool) error { return nil }
