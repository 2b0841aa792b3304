package batch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/batch"
	"ollamamax/gateway/internal/prometheus"
	"ollamamax/gateway/internal/scan"
)

type (
	batcher = batch.Batcher[string, string]
	reply   = batch.Reply[string]
)

// worker embeds a text as its length and its first letter.
type worker struct {
	takes time.Duration

	mu   sync.Mutex
	seen [][]string
	when []time.Time
}

func (w *worker) embed(ctx context.Context, body []byte) (reply, error) {
	var request struct {
		Input any `json:"input"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return reply{}, fmt.Errorf("%s: %w", body, err)
	}
	list, isList := request.Input.([]any)
	if !isList {
		list = []any{request.Input}
	}
	var texts []string
	var vectors [][]int
	for _, text := range list {
		texts = append(texts, text.(string))
		vectors = append(vectors, []int{len(text.(string)), int(text.(string)[0])})
	}
	w.mu.Lock()
	w.seen = append(w.seen, texts)
	w.when = append(w.when, time.Now())
	w.mu.Unlock()
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
		return reply{}, context.Cause(ctx)
	}
	if slices.Contains(texts, "bad") {
		return reply{Status: 400, Body: []byte(`{"error":"bad"}`)}, nil
	}
	if slices.Contains(texts, "fatal") {
		return reply{}, errors.New("the worker died")
	}
	answer, err := json.Marshal(map[string]any{"model": "m", "embeddings": vectors, "prompt_eval_count": len(texts)})
	return reply{200, answer, "node"}, err
}

func (w *worker) requests() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

type observed struct {
	mu    sync.Mutex
	sizes []float64
}

func (o *observed) Observe(size float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sizes = append(o.sizes, size)
}

var _ prometheus.Observer = (*observed)(nil)

const wait = 5 * time.Millisecond

func newBatcher(maxInputs int) *batcher {
	return batch.New[string, string](wait, maxInputs, &observed{})
}

func do(ctx context.Context, b *batcher, w *worker, key string, texts ...string) (reply, error) {
	var input any = texts
	if len(texts) == 1 {
		input = texts[0]
	}
	body, err := json.Marshal(map[string]any{"model": "m", "input": input})
	if err != nil {
		panic(err)
	}
	cut, ok := scan.CutTexts(body)
	if !ok {
		panic("texts")
	}
	return b.Do(ctx, key, body, cut, w.embed)
}

// expect checks that an answer has the texts' own vectors, and the count of tokens only where it is exact.
func expect(t *testing.T, r reply, counted bool, texts ...string) {
	t.Helper()
	var answer struct {
		Model      string
		Embeddings [][]int
		Count      *int `json:"prompt_eval_count"`
	}
	if err := json.Unmarshal(r.Body, &answer); err != nil || answer.Model != "m" || r.Status != 200 || r.Head != "node" {
		t.Fatalf("%s: %v, %d %s", r.Body, err, r.Status, r.Head)
	}
	var want [][]int
	for _, text := range texts {
		want = append(want, []int{len(text), int(text[0])})
	}
	if fmt.Sprint(answer.Embeddings) != fmt.Sprint(want) {
		t.Errorf("%v: %v", texts, answer.Embeddings)
	}
	if counted != (answer.Count != nil) || (counted && *answer.Count != len(texts)) {
		t.Errorf("%v: count %v", texts, answer.Count)
	}
}

func TestARequestAloneGoesAtOnceAndAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{}, newBatcher(64)
		for range 3 {
			began := time.Now()
			r, err := do(t.Context(), b, w, "key", "one")
			if err != nil || time.Since(began) != 0 {
				t.Fatalf("%v after %s", err, time.Since(began))
			}
			expect(t, r, true, "one")
		}
		if seen := w.requests(); fmt.Sprint(seen) != "[[one] [one] [one]]" {
			t.Errorf("%v", seen)
		}
	})
}

func TestRequestsAtTheSameTimeGoAsOneAndEachGetsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{takes: time.Second}, newBatcher(64)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				texts := []string{strings.Repeat(string(rune('a'+i)), i+1)}
				if i%3 == 0 {
					texts = append(texts, "second of "+texts[0])
				}
				r, err := do(t.Context(), b, w, "key", texts...)
				if err != nil {
					t.Fatal(err)
				}
				expect(t, r, i == 0, texts...)
			})
			synctest.Wait()
		}
		wg.Wait()
		seen := w.requests()
		if len(seen) != 2 || len(seen[0]) != 2 || len(seen[1]) != 25 {
			t.Errorf("%v", seen)
		}
		if waited := w.when[1].Sub(w.when[0]); waited != wait {
			t.Errorf("the batch waited %s for others", waited)
		}
	})
}

func TestThoseWhoWaitGoAsSoonAsTheOneBeforeIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{takes: 2 * time.Millisecond}, newBatcher(64)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if _, err := do(t.Context(), b, w, "key", "text"); err != nil {
					t.Error(i, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if waited := w.when[1].Sub(w.when[0]); len(w.when) != 2 || waited != w.takes {
			t.Errorf("%d requests, the second %s after the first", len(w.when), waited)
		}
	})
}

func TestABatchIsSentOnceItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{takes: time.Second}, newBatcher(4)
		var wg sync.WaitGroup
		for i, texts := range [][]string{
			{"first"}, {"a", "b"}, {"c", "d", "e"}, {"f"}, // a and b go when c to e do not fit; f fills theirs
			{"g", "h", "i", "j"}, // full by themselves
		} {
			wg.Go(func() {
				r, err := do(t.Context(), b, w, "key", texts...)
				if err != nil {
					t.Fatal(err)
				}
				expect(t, r, i != 2 && i != 3, texts...)
			})
			synctest.Wait()
		}
		wg.Wait()
		if seen := w.requests(); fmt.Sprint(seen) != "[[first] [a b] [c d e f] [g h i j]]" {
			t.Errorf("%v", seen)
		}
		if w.when[3] != w.when[0] {
			t.Error("a full batch waited")
		}
	})
}

func TestOnlyRequestsOfOneKeyGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{takes: time.Second}, newBatcher(64)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if _, err := do(t.Context(), b, w, []string{"one", "two"}[i%2], "text"); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if seen := w.requests(); fmt.Sprint(seen) != "[[text] [text] [text text] [text text]]" {
			t.Errorf("%v", seen)
		}
	})
}

func TestWhatIsWrongWithOneFailsNoOther(t *testing.T) {
	for _, wrong := range []string{"bad", "fatal"} {
		synctest.Test(t, func(t *testing.T) {
			w, b := &worker{takes: time.Second}, newBatcher(64)
			var wg sync.WaitGroup
			for _, text := range []string{"first", "good", wrong, "also good"} {
				wg.Go(func() {
					r, err := do(t.Context(), b, w, "key", text)
					switch {
					case text == "bad" && r.Status != 400, text == "fatal" && err == nil:
						t.Errorf("%s: %d %v", text, r.Status, err)
					case text != wrong:
						expect(t, r, true, text)
					}
				})
				synctest.Wait()
			}
			wg.Wait()
			if seen := w.requests(); len(seen) != 5 || len(seen[1]) != 3 {
				t.Errorf("%v", seen)
			}
		})
	}
}

func TestAnAnswerThatDoesNotFitTheTextsIsNotGivenToAnyone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, calls := newBatcher(64), atomic.Int64{}
		send := func(_ context.Context, body []byte) (reply, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			if strings.Contains(string(body), "[") {
				return reply{200, []byte(`{"embeddings":[[1]]}`), ""}, nil
			}
			return reply{200, []byte(`{"embeddings":[[2]],"prompt_eval_count":1}`), ""}, nil
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				body := []byte(`{"input":"text"}`)
				texts, _ := scan.CutTexts(body)
				r, err := b.Do(t.Context(), "key", body, texts, send)
				if err != nil || string(r.Body) != `{"embeddings":[[2]],"prompt_eval_count":1}` {
					t.Errorf("%s, %v", r.Body, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if calls.Load() != 4 {
			t.Errorf("%d requests, not the first, the batch and its two", calls.Load())
		}
	})
}

func TestWhoLeavesDoesNotFailTheOthersAndTheLastEndsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{takes: time.Hour}, newBatcher(64)
		gone := errors.New("gone")
		var wg sync.WaitGroup
		var leave []context.CancelCauseFunc
		for range 4 {
			ctx, cancel := context.WithCancelCause(t.Context())
			leave = append(leave, cancel)
			wg.Go(func() {
				if _, err := do(ctx, b, w, "key", "text"); !errors.Is(err, gone) {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		leave[1](gone) // while it waits
		time.Sleep(wait)
		synctest.Wait()
		if seen := w.requests(); len(seen) != 2 || len(seen[1]) != 2 {
			t.Fatalf("%v", seen)
		}
		began := time.Now()
		for _, cancel := range leave {
			cancel(gone)
		}
		wg.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		w.takes = 0
		if r, err := do(t.Context(), b, w, "key", "text"); err != nil || time.Since(began) > wait {
			t.Errorf("the group is not empty after all left: %v after %s", err, time.Since(began))
		} else {
			expect(t, r, true, "text")
		}
	})
}

func TestWithoutAWaitEachGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := &worker{takes: time.Second}, batch.New[string, string](0, 64, &observed{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { _, _ = do(t.Context(), b, w, "key", "text") })
		}
		wg.Wait()
		if len(w.requests()) != 5 {
			t.Errorf("%v", w.requests())
		}
	})
}
