package answers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/answers"
	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/scan"
)

// worker answers with what it was asked, so that an answer to another question is seen.
type worker struct {
	status      int
	contentType string
	answer      func(body []byte) []byte
	takes       time.Duration
	err         error        // after half of the answer
	digest      atomic.Value // string: of the model on all nodes
	calls       atomic.Int64
}

func newWorker() *worker {
	w := &worker{
		status: 200, contentType: "application/json",
		answer: func(body []byte) []byte { return fmt.Appendf(nil, `{"to":%q}`, body) },
	}
	w.digest.Store("digest")
	return w
}

func (w *worker) Holds(_, _, digest string) bool { return digest == w.digest.Load() }

func (w *worker) serve(ctx context.Context, body []byte, to answers.Sink) error {
	w.calls.Add(1)
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	answer := w.answer(body)
	if w.err != nil && len(answer) == 0 {
		return w.err
	}
	head := answers.Head{Status: w.status, Node: "worker-1", Header: http.Header{
		"Content-Type": {w.contentType}, "Content-Length": {fmt.Sprint(len(answer))},
	}}
	if err := to.Head(head); err != nil {
		return err
	}
	if err := to.Write(answer[:len(answer)/2]); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	return to.Write(answer[len(answer)/2:])
}

// client is the other end.
type client struct {
	head answers.Head
	body bytes.Buffer
	err  error // of its connection
}

func (c *client) Head(head answers.Head) error {
	c.head = head
	return c.err
}

func (c *client) Write(p []byte) error {
	c.body.Write(p)
	return c.err
}

func start(t *testing.T, w *worker, alter ...func(*config.Config)) *answers.Answers {
	t.Helper()
	settings := config.Default()
	for _, change := range alter {
		change(&settings)
	}
	m := metrics.New("tests")
	away := func(context.Context) (redis.Conn, error) { return nil, errors.New("connection refused") }
	var kept *cache.Cache
	if settings.ResultCache.MemoryBytes > 0 {
		kept = cache.New(settings.ResultCache, away, m, slog.New(slog.DiscardHandler))
	}
	return answers.New(settings, kept, w, m)
}

// request returns one of path; fields are what the scanner makes of body.
func request(path, body string, alter ...func(*answers.Request)) *answers.Request {
	api := scan.Of(path)
	fields, err := scan.Body(api, []byte(body))
	if err != nil {
		panic(err)
	}
	r := &answers.Request{
		API: api, Fields: fields, Model: "m",
		Question: cache.Question{Target: path, Digest: "digest", Tenant: "tenant", Body: []byte(body)},
	}
	for _, change := range alter {
		change(r)
	}
	return r
}

func ask(t *testing.T, a *answers.Answers, w *worker, r *answers.Request) *client {
	t.Helper()
	c := &client{}
	served, err := a.Serve(t.Context(), r, c, w.serve)
	if !served || err != nil {
		t.Fatalf("served %v, %v", served, err)
	}
	return c
}

const cold = `{"model":"m","prompt":"p","options":{"temperature":0}}`

func TestADeterministicRequestIsAnsweredOnceAndThenFromTheCache(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	first, again := ask(t, a, w, request("/api/generate", cold)), ask(t, a, w, request("/api/generate", cold))
	if first.head.Cache != cache.Miss || first.head.Node != "worker-1" || again.head.Cache != cache.Hit || again.head.Node != "" {
		t.Errorf("%+v, then %+v", first.head, again.head)
	}
	if again.head.Status != 200 || again.head.Header.Get("Content-Type") != "application/json" || again.body.String() != first.body.String() {
		t.Errorf("%+v %s", again.head, again.body.String())
	}
	if w.calls.Load() != 1 {
		t.Errorf("asked %d times", w.calls.Load())
	}
}

func TestARequestLeftToChanceIsNotServedUnlessItIsWanted(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	warm := request("/api/generate", `{"model":"m","prompt":"p"}`)
	if served, err := a.Serve(t.Context(), warm, &client{}, w.serve); served || err != nil {
		t.Errorf("served %v, %v", served, err)
	}
	warm.Option = cache.Use
	ask(t, a, w, warm)
	if again := ask(t, a, w, warm); again.head.Cache != cache.Hit {
		t.Errorf("%+v", again.head)
	}
}

func TestWhatAClientSaysToCachesIsHeeded(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	with := func(cacheControl string) *answers.Request {
		return request("/api/generate", cold, func(r *answers.Request) { r.CacheControl = cacheControl })
	}
	if served, _ := a.Serve(t.Context(), with("no-store"), &client{}, w.serve); served {
		t.Error("no-store was served")
	}
	ask(t, a, w, with(""))
	if fresh := ask(t, a, w, with("no-cache")); fresh.head.Cache != cache.Miss || w.calls.Load() != 2 {
		t.Errorf("no-cache: %+v after %d calls", fresh.head, w.calls.Load())
	}
	if again := ask(t, a, w, with("")); again.head.Cache != cache.Hit {
		t.Errorf("after no-cache: %+v", again.head)
	}
}

func TestWhatMustNotBeKeptIsNot(t *testing.T) {
	for name, change := range map[string]func(*worker, *answers.Request){
		"an error":                              func(w *worker, _ *answers.Request) { w.status = 500 },
		"an error in a stream":                  func(w *worker, _ *answers.Request) { w.contentType = "application/x-ndjson" },
		"an answer of a model that has changed": func(w *worker, _ *answers.Request) { w.digest.Store("another") },
		"an answer of a model that differs from node to node": func(_ *worker, r *answers.Request) {
			r.Question.Digest = ""
		},
		"a large answer": func(w *worker, _ *answers.Request) {
			w.answer = func([]byte) []byte { return make([]byte, 2<<20) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker()
			a := start(t, w)
			r := request("/api/generate", cold)
			change(w, r)
			first := ask(t, a, w, r)
			if again := ask(t, a, w, r); again.head.Cache == cache.Hit || w.calls.Load() != 2 {
				t.Errorf("kept: %+v", again.head)
			}
			if !bytes.Equal(first.body.Bytes(), w.answer(r.Question.Body)) {
				t.Errorf("%d bytes came", first.body.Len())
			}
		})
	}
}

func TestAnAnswerThatBreaksOffIsNotKeptAndTheErrorIsTold(t *testing.T) {
	w := newWorker()
	w.err = errors.New("the worker died")
	a := start(t, w)
	c := &client{}
	if served, err := a.Serve(t.Context(), request("/api/generate", cold), c, w.serve); !served || !errors.Is(err, w.err) || c.head.Status != 200 {
		t.Errorf("served %v, %v after %+v", served, err, c.head)
	}
	w.answer = func([]byte) []byte { return nil }
	c = &client{}
	if _, err := a.Serve(t.Context(), request("/api/generate", cold), c, w.serve); !errors.Is(err, w.err) || c.head.Status != 0 {
		t.Errorf("%v after %+v", err, c.head)
	}
}

func TestAStreamIsKeptAndComesAsItWas(t *testing.T) {
	w := newWorker()
	w.contentType = "application/x-ndjson"
	w.answer = func([]byte) []byte { return []byte("{\"response\":\"a\"}\n{\"done\":true}\n") }
	a := start(t, w)
	first, again := ask(t, a, w, request("/api/generate", cold)), ask(t, a, w, request("/api/generate", cold))
	if again.head.Cache != cache.Hit || again.head.Header.Get("Content-Type") != "application/x-ndjson" || again.body.String() != first.body.String() {
		t.Errorf("%+v %q", again.head, again.body.String())
	}
}

func TestAHundredIdenticalMissesAreOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Second
		a := start(t, w)
		var wait sync.WaitGroup
		var misses, joined atomic.Int64
		for range 100 {
			wait.Go(func() {
				c := ask(t, a, w, request("/api/generate", cold))
				switch c.head.Cache {
				case cache.Miss:
					misses.Add(1)
				case cache.Joined:
					joined.Add(1)
				}
				if c.body.String() != string(w.answer([]byte(cold))) {
					t.Errorf("%s", c.body.String())
				}
			})
		}
		wait.Wait()
		if w.calls.Load() != 1 || misses.Load() != 1 || joined.Load() != 99 {
			t.Errorf("asked %d times; %d misses, %d joined", w.calls.Load(), misses.Load(), joined.Load())
		}
	})
}

func TestTheOthersGetTheirAnswerThoughTheFirstClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker()
		w.takes = time.Second
		a := start(t, w)
		ctx, leave := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := a.Serve(ctx, request("/api/generate", cold), &client{}, w.serve); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if c := ask(t, a, w, request("/api/generate", cold)); c.head.Cache != cache.Joined || c.body.Len() == 0 {
				t.Errorf("the second: %+v", c.head)
			}
		})
		synctest.Wait()
		leave()
		wait.Wait()
		if w.calls.Load() != 1 {
			t.Errorf("asked %d times", w.calls.Load())
		}
	})
}

func TestAClientWhoseConnectionBreaksEndsItsOwnAnswerAlone(t *testing.T) {
	w := newWorker()
	a := start(t, w)
	broken := &client{err: errors.New("broken pipe")}
	if _, err := a.Serve(t.Context(), request("/api/generate", cold), broken, w.serve); !errors.Is(err, broken.err) {
		t.Errorf("%v", err)
	}
	ask(t, a, w, request("/api/generate", cold))
}

func TestTenantsShareAnswersOnlyWhereTheSettingsSaySo(t *testing.T) {
	other := func(r *answers.Request) { r.Question.Tenant = "another" }
	private := func(r *answers.Request) { r.CacheControl = "private" }
	across := func(c *config.Config) { c.ResultCache.AcrossTenants = true }
	w := newWorker()
	apart := start(t, w)
	ask(t, apart, w, request("/api/generate", cold))
	if c := ask(t, apart, w, request("/api/generate", cold, other)); c.head.Cache == cache.Hit {
		t.Error("a tenant got another's answer")
	}
	together := start(t, w, across)
	ask(t, together, w, request("/api/generate", cold, private))
	if c := ask(t, together, w, request("/api/generate", cold, other)); c.head.Cache == cache.Hit {
		t.Error("a tenant got another's private answer")
	}
	if c := ask(t, together, w, request("/api/generate", cold)); c.head.Cache != cache.Hit {
		t.Error("what one tenant asked is not shared")
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
				if c := ask(t, a, w, request("/api/generate", cold)); c.head.Cache != "" && c.head.Cache != cache.Joined {
					t.Errorf("%+v", c.head)
				}
			})
		}
		wait.Wait()
		ask(t, a, w, request("/api/generate", cold))
		if w.calls.Load() != 2 {
			t.Errorf("asked %d times, not once for the first two and once for the third", w.calls.Load())
		}
	})
}

// embedder answers with the number of texts' vectors.
func embedder() *worker {
	w := newWorker()
	w.takes = time.Second
	w.answer = func(body []byte) []byte {
		texts, _ := scan.CutTexts(body)
		vectors := strings.TrimSuffix(strings.Repeat("[1],", texts.Count), ",")
		return fmt.Appendf(nil, `{"embeddings":[%s],"prompt_eval_count":%d}`, vectors, texts.Count)
	}
	return w
}

func TestRequestsForEmbeddingsAtTheSameTimeGoAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := embedder()
		a := start(t, w)
		var wait sync.WaitGroup
		for i := range 10 {
			wait.Go(func() {
				keepAlive := []string{"", `,"keep_alive":"5m"`}[i%2] // which is no reason to go alone
				c := ask(t, a, w, request("/api/embed", fmt.Sprintf(`{"model":"m","input":"text %d"%s}`, i, keepAlive)))
				if !strings.HasPrefix(c.body.String(), `{"embeddings":[[1]]`) || c.head.Node != "worker-1" {
					t.Errorf("%+v %s", c.head, c.body.String())
				}
				if length := c.head.Header.Get("Content-Length"); length != "" {
					t.Errorf("the length is the batch's, %s", length)
				}
			})
			synctest.Wait()
		}
		wait.Wait()
		if w.calls.Load() != 4 {
			t.Errorf("asked %d times, not twice for each of two kinds", w.calls.Load())
		}
		if c := ask(t, a, w, request("/api/embed", `{"model":"m","input":"text 4"}`)); c.head.Cache != cache.Hit {
			t.Error("an answer out of a batch is not kept")
		}
	})
}

func TestEmbeddingsOfTenantsAndOfOpenAIsRouteGoAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := embedder()
		a := start(t, w)
		var wait sync.WaitGroup
		for i := range 3 {
			for _, r := range []*answers.Request{
				request("/v1/embeddings", fmt.Sprintf(`{"model":"m","input":"text %d"}`, i)),
				request("/api/embeddings", fmt.Sprintf(`{"model":"m","prompt":"text %d"}`, i)),
				request("/api/embed", fmt.Sprintf(`{"model":"m","input":"text %d"}`, i), func(r *answers.Request) {
					r.Question.Tenant = fmt.Sprint(i)
				}),
			} {
				wait.Go(func() { ask(t, a, w, r) })
				synctest.Wait()
			}
		}
		wait.Wait()
		if w.calls.Load() != 9 {
			t.Errorf("asked %d times, not 9", w.calls.Load())
		}
	})
}

// TestNobodyGetsTheAnswerToAnotherQuestion asks at random, many at a time, with models that change: an answer
// is always what the worker says to that very body, for that tenant, under the digest of that moment.
func TestNobodyGetsTheAnswerToAnotherQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := config.Default()
		settings.ResultCache.MemoryBytes = 16 << 10 // so that answers are driven out too
		m := metrics.New("tests")
		away := func(context.Context) (redis.Conn, error) { return nil, errors.New("connection refused") }
		models := newWorker()
		a := answers.New(settings, cache.New(settings.ResultCache, away, m, slog.New(slog.DiscardHandler)), models, m)
		var hits atomic.Int64
		var wait sync.WaitGroup
		for range 2000 {
			time.Sleep(time.Millisecond)
			tenant, digest := fmt.Sprint("tenant ", rand.IntN(3)), fmt.Sprint("digest ", rand.IntN(2))
			body := fmt.Sprintf(`{"model":"m","prompt":"%d","options":{"seed":1,"num_ctx":%d}}`, rand.IntN(3), 2048*(1+rand.IntN(2)))
			path := []string{"/api/generate", "/api/chat"}[rand.IntN(2)]
			models.digest.Store(digest)
			r := request(path, body, func(r *answers.Request) {
				r.Question.Tenant, r.Question.Digest = tenant, digest
				r.CacheControl = []string{"", "", "no-cache"}[rand.IntN(3)]
			})
			want := strings.Join([]string{path, tenant, digest, body}, " ")
			wait.Go(func() {
				w := newWorker()
				w.takes = time.Duration(rand.IntN(5)) * time.Millisecond
				w.answer = func([]byte) []byte { return []byte(want) }
				c := ask(t, a, w, r)
				if c.body.String() != want {
					t.Errorf("asked %q, answered %q", want, c.body.String())
				}
				if c.head.Cache == cache.Hit {
					hits.Add(1)
				}
			})
			if rand.IntN(4) == 0 {
				synctest.Wait()
			}
		}
		wait.Wait()
		if hits.Load() < 100 {
			t.Errorf("only %d hits: the test shows nothing", hits.Load())
		}
	})
}

func BenchmarkHit(b *testing.B) {
	w := newWorker()
	settings := config.Default()
	m := metrics.New("tests")
	away := func(context.Context) (redis.Conn, error) { return nil, errors.New("connection refused") }
	a := answers.New(settings, cache.New(settings.ResultCache, away, m, slog.New(slog.DiscardHandler)), w, m)
	r := request("/api/generate", cold)
	c := &client{}
	b.ReportAllocs()
	for b.Loop() {
		c.body.Reset()
		if served, err := a.Serve(b.Context(), r, c, w.serve); !served || err != nil {
			b.Fatal(err)
		}
	}
	if c.head.Cache != cache.Hit {
		b.Fatalf("%+v", c.head)
	}
}
