package answers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/answers"
	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/scan"
	"ollamamax/gateway/internal/upstream"
)

// worker answers with what it was asked, so that an answer to another question is seen.
type worker struct {
	status      int
	contentType string
	answer      func(body []byte) []byte
	takes       time.Duration
	refuses     *reply.Refusal
	breaks      bool         // after half of the answer
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

func (w *worker) Digest(string) string { return w.digest.Load().(string) }

func (w *worker) Snapshot() []nodes.State {
	return []nodes.State{{Models: []nodes.Model{{Canonical: "m", Digest: w.digest.Load().(string)}}}}
}

func (w *worker) Holds(_, _, digest string) bool { return digest == w.digest.Load() }

var errDied = errors.New("the worker died")

func (w *worker) forward(r *inference.Request, c inference.Client) error {
	w.calls.Add(1)
	if w.takes > 0 {
		select {
		case <-time.After(w.takes):
		case <-r.Life.Done():
			return inference.ErrCut
		}
	}
	if w.refuses != nil {
		r.Exchange.Cause = errDied
		c.Refuse(w.refuses)
		return nil
	}
	r.Exchange.Node, r.Exchange.Retries = "worker-1", 1
	answer := w.answer(r.Body)
	c.Begin(inference.Head{
		Status: w.status, Fields: []byte("Content-Type: " + w.contentType + "\r\n"), Length: int64(len(answer)),
		Stream: strings.Contains(w.contentType, "ndjson"),
	})
	if err := c.Write(answer[:len(answer)/2], false); err != nil {
		return err
	}
	if w.breaks {
		r.Exchange.Cause = errDied
		c.Abort([]byte("broken"))
		return inference.ErrCut
	}
	r.Exchange.PromptTokens, r.Exchange.CompletionTokens = 5, 3
	return c.Write(answer[len(answer)/2:], true)
}

// client is the other end, and its request.
type client struct {
	exchange.Exchange
	life    exchange.Life
	head    inference.Head
	fields  string
	body    bytes.Buffer
	pieces  []string
	ended   bool
	refusal *reply.Refusal
	aborted []byte
	gone    error
}

func (c *client) Begin(head inference.Head) { c.head, c.fields = head, string(head.Fields) }

func (c *client) Put(piece []byte) error { return c.Write(piece, false) }

func (c *client) Write(piece []byte, last bool) error {
	c.body.Write(piece)
	c.pieces = append(c.pieces, string(piece))
	if c.ended {
		panic("a piece after the last")
	}
	c.ended = last
	return c.gone
}

func (c *client) Abort(ending []byte) { c.aborted = ending }

func (c *client) Refuse(refusal *reply.Refusal) { c.refusal = refusal }

func (c *client) field(name string) string {
	value, _ := http1.Value([]byte(c.fields), name)
	return string(value)
}

// says is the answer's cache.Header.
func (c *client) says() string { return c.field(cache.Header) }

func start(t testing.TB, w *worker, alter ...func(*config.Config)) *answers.Answers {
	t.Helper()
	settings := config.Default()
	for _, change := range alter {
		change(&settings)
	}
	away := func(context.Context) (redis.Conn, error) { return nil, errors.New("connection refused") }
	return answers.New(settings, away, w, metrics.New("tests"), slog.New(slog.DiscardHandler))
}

// asked is a request of a client.
type asked struct {
	path, body, tenant string
	key                int64
	fields             string
}

// of returns the request as c's, and what its body says.
func (a asked) of(c *client) (*inference.Request, scan.Fields) {
	fields, err := scan.Body(scan.Of(a.path), []byte(a.body))
	if err != nil {
		panic(err)
	}
	c.Start = time.Now()
	c.Key = &auth.Key{ID: a.key, Tenant: a.tenant}
	c.life.Begin(&c.Exchange)
	return &inference.Request{
		Exchange: &c.Exchange, Life: &c.life, Want: nodes.Want{Model: "m"}, Path: a.path,
		Request: upstream.Request{Method: "POST", Target: a.path, Fields: []byte(a.fields), Body: []byte(a.body)},
	}, fields
}

func serve(a *answers.Answers, w *worker, q asked, c *client) (bool, error) {
	r, fields := q.of(c)
	served, err := a.Serve(r, fields, c, w.forward)
	clear(r.Body) // as the memory of a request that has been answered is used for another
	clear(r.Fields)
	return served, err
}

// ask has a request answered, and expects that it is.
func ask(t *testing.T, a *answers.Answers, w *worker, q asked) *client {
	t.Helper()
	c := &client{}
	if served, err := serve(a, w, q, c); !served || err != nil || !c.ended {
		t.Fatalf("served %v, ended %v, %v", served, c.ended, err)
	}
	return c
}

// generate is a request to generate, with header lines.
func generate(body string, fields ...string) asked {
	q := asked{path: "/api/generate", body: body}
	for _, field := range fields {
		q.fields += field + "\r\n"
	}
	return q
}

const cold = `{"model":"m","prompt":"p","options":{"temperature":0}}`
