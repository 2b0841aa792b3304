package answers_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/scan"
)

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
		var prompt atomic.Int64
		embed := func(i int, rest string) asked {
			return asked{path: "/api/embed", body: fmt.Sprintf(`{"model":"m","input":"text %d"%s}`, i, rest)}
		}
		for i := range 10 {
			wait.Go(func() {
				keepAlive := []string{"", `,"keep_alive":"5m"`}[i%2] // which is no reason to go alone
				c := ask(t, a, w, embed(i, keepAlive))
				if !strings.HasPrefix(c.body.String(), `{"embeddings":[[1]]`) || c.Node != "worker-1" || c.head.Length != int64(c.body.Len()) {
					t.Errorf("%+v %s", c.head, c.body.String())
				}
				prompt.Add(c.PromptTokens)
			})
			synctest.Wait()
		}
		wait.Wait()
		if w.calls.Load() != 4 || prompt.Load() != 4*5 {
			t.Errorf("asked %d times, not twice for each of two kinds; %d tokens", w.calls.Load(), prompt.Load())
		}
		if c := ask(t, a, w, embed(4, "")); c.says() != cache.Hit {
			t.Error("an answer out of a batch is not kept")
		}
	})
}

func TestEmbeddingsOfTenantsAndKeysAndOfOtherRoutesGoAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := embedder()
		a := start(t, w)
		var wait sync.WaitGroup
		for i := range 3 {
			for _, q := range []asked{
				{path: "/v1/embeddings", body: fmt.Sprintf(`{"model":"m","input":"text %d"}`, i)},
				{path: "/api/embeddings", body: fmt.Sprintf(`{"model":"m","prompt":"text %d"}`, i)},
				{path: "/api/embed", body: fmt.Sprintf(`{"model":"m","input":"text %d"}`, i), tenant: fmt.Sprint(i)},
				{path: "/api/embed", body: fmt.Sprintf(`{"model":"m","input":"text %d"}`, i), tenant: "of keys", key: int64(i)},
			} {
				wait.Go(func() { ask(t, a, w, q) })
				synctest.Wait()
			}
		}
		wait.Wait()
		if w.calls.Load() != 12 {
			t.Errorf("asked %d times, not 12", w.calls.Load())
		}
	})
}
