//go:build integration

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/realparts"
)

// answered is a whole answer.
type answered struct {
	status int
	kept   string // cache.Header
	text   string
}

func (p place) send(t *testing.T, path, body string, headers ...string) (answered, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	request.Header.Set("Authorization", "Bearer "+firstKey)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answered{response.StatusCode, response.Header.Get(cache.Header), string(text)}, err
}

// fetch sends a request that must succeed.
func (p place) fetch(t *testing.T, path, body string, headers ...string) answered {
	t.Helper()
	a, err := p.send(t, path, body, headers...)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", path, body, a.status, a.text, err)
	}
	return a
}

func TestAnswersOnRealParts(t *testing.T) {
	configure(t).migrateWith(t, firstKey)
	redis := realparts.Lay(t, realparts.Needed(t, realparts.Redis))
	one := configureAt(t, "answers-1", realparts.Needed(t, realparts.Pool), realparts.Needed(t, realparts.Redis))
	two := configureAt(t, "answers-2", realparts.Needed(t, realparts.Pool), redis.Address)
	one.start(t)
	two.start(t)
	t.Run("what one gateway had made, it and the other give again as it came", func(t *testing.T) { giveAgain(t, one, two) })
	t.Run("identical requests are made once", func(t *testing.T) { madeOnce(t, one) })
	t.Run("embeddings asked for at the same time are those asked for alone", func(t *testing.T) { embedTogether(t, one) })
	t.Run("a model that changes is asked anew", func(t *testing.T) { askAnew(t, one, two) })
	t.Run("without Redis every request is answered, and from memory what is there", func(t *testing.T) { withoutRedis(t, one, two, redis) })
}

func giveAgain(t *testing.T, one, two place) {
	for path, body := range map[string]string{
		"/api/generate":        `{"model":"tiny","prompt":"%s","options":{"temperature":0,"num_predict":8}}`,
		"/api/chat":            `{"model":"tiny","messages":[{"role":"user","content":"%s"}],"options":{"seed":7,"num_predict":8},"stream":false}`,
		"/v1/chat/completions": `{"model":"tiny","messages":[{"role":"user","content":"%s"}],"temperature":0,"max_tokens":8,"stream":true}`,
		"/v1/completions":      `{"model":"tiny","prompt":"%s","temperature":0,"max_tokens":8}`,
		"/api/embed":           `{"model":"tiny","input":["%s","b"]}`,
		"/v1/embeddings":       `{"model":"tiny","input":"%s"}`,
	} {
		template := body
		body = fmt.Sprintf(template, t.TempDir()) // which no run has asked before
		first, again := one.fetch(t, path, body), one.fetch(t, path, body)
		if first.kept != cache.Miss || again.kept != cache.Hit || again.text != first.text {
			t.Errorf("%s: %q, then %q:\n%s\n%s", path, first.kept, again.kept, first.text, again.text)
		}
		within(t, "the other gateway gives the same on "+path, func() error {
			body := fmt.Sprintf(template, t.TempDir()) // anew, because an answer takes a moment to get to Redis
			mine := one.fetch(t, path, body)
			if theirs := two.fetch(t, path, body); theirs.kept != cache.Hit || theirs.text != mine.text {
				return fmt.Errorf("%q:\n%s\n%s", theirs.kept, mine.text, theirs.text)
			}
			return nil
		})
	}
}

func madeOnce(t *testing.T, p place) {
	body := fmt.Sprintf(`{"model":"tiny","prompt":"%s","options":{"temperature":0,"num_predict":64}}`, t.TempDir())
	var wait sync.WaitGroup
	answers := make([]answered, 50)
	for i := range answers {
		wait.Go(func() { answers[i], _ = p.send(t, "/api/generate", body) })
	}
	wait.Wait()
	misses := 0
	for _, a := range answers {
		if a.text != answers[0].text || a.status != http.StatusOK || !strings.Contains(a.text, `"done":true`) {
			t.Errorf("%d %q, not %q", a.status, a.text, answers[0].text)
		}
		if a.kept == cache.Miss {
			misses++
		}
	}
	if misses != 1 {
		t.Errorf("made %d times", misses)
	}
}

func embedTogether(t *testing.T, p place) {
	vectors := func(text string) (list [][]float64) {
		var answer struct{ Embeddings [][]float64 }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		return answer.Embeddings
	}
	run := t.TempDir()
	body := func(i int) string { return fmt.Sprintf(`{"model":"tiny","input":["%s %d","%d"]}`, run, i, i) }
	alone, together := make([]answered, 40), make([]answered, 40)
	for i := range alone {
		alone[i] = p.fetch(t, "/api/embed", body(i), "Cache-Control: no-store")
	}
	var wait sync.WaitGroup
	for i := range together {
		wait.Go(func() { together[i], _ = p.send(t, "/api/embed", body(i), "Cache-Control: no-store") })
	}
	wait.Wait()
	batched := 0
	for i := range alone {
		want, got := vectors(alone[i].text), vectors(together[i].text)
		if len(want) != 2 || len(got) != 2 || len(got[0]) != len(want[0]) {
			t.Fatalf("%s, not %s", together[i].text, alone[i].text)
		}
		for k := range want {
			for d := range want[k] {
				if math.Abs(want[k][d]-got[k][d]) > 1e-4 {
					t.Fatalf("request %d, text %d, dimension %d: %v, not %v", i, k, d, got[k][d], want[k][d])
				}
			}
		}
		if !strings.Contains(alone[i].text, "prompt_eval_count") {
			t.Errorf("a request that went alone has no count: %s", alone[i].text)
		}
		if !strings.Contains(together[i].text, "prompt_eval_count") {
			batched++
		}
	}
	if batched < len(together)/2 {
		t.Errorf("only %d of %d requests went together", batched, len(together))
	}
}

func askAnew(t *testing.T, one, two place) {
	create := func(system string) {
		body := fmt.Sprintf(`{"model":"changing","from":"tiny","system":%q,"stream":false}`, system)
		if a := one.fetch(t, "/api/create", body); !strings.Contains(a.text, "success") {
			t.Fatal(a.text)
		}
	}
	body := fmt.Sprintf(`{"model":"changing","prompt":"%s","options":{"temperature":0,"num_predict":8},"stream":false}`, t.TempDir())
	create("one")
	first := one.fetch(t, "/api/generate", body)
	within(t, "the other has it too", func() error {
		if a := two.fetch(t, "/api/generate", body); a.kept != cache.Hit {
			return errors.New(a.kept)
		}
		return nil
	})
	create("another")
	if a := one.fetch(t, "/api/generate", body); a.kept == cache.Hit || a.text == first.text {
		t.Errorf("the changed model's answer is %q %s", a.kept, a.text)
	}
	within(t, "the other knows", func() error {
		if a := two.fetch(t, "/api/generate", body); a.text == first.text {
			return errors.New("it still gives the old answer")
		}
		return nil
	})
	_, _ = ask(t, firstKey, http.MethodDelete, one.url+"/api/delete", `{"model":"changing"}`)
	if a, err := one.send(t, "/api/generate", body); err != nil || a.status != http.StatusNotFound {
		t.Errorf("a deleted model still answers: %d %s, %v", a.status, a.text, err)
	}
}

func withoutRedis(t *testing.T, one, two place, redis *realparts.Cable) {
	run := t.TempDir()
	body := func(what string) string {
		return fmt.Sprintf(`{"model":"tiny","prompt":"%s %s","options":{"temperature":0,"num_predict":8}}`, run, what)
	}
	_ = two.fetch(t, "/api/generate", body("known"))
	redis.Pull()
	for i := range 20 {
		if a := two.fetch(t, "/api/generate", body("known")); a.kept != cache.Hit {
			t.Errorf("what is in memory was made anew: %q", a.kept)
		}
		_ = two.fetch(t, "/api/generate", body(fmt.Sprint(i)))
	}
	redis.Plug()
	i := 0
	within(t, "both share answers again", func() error {
		i++
		fresh := body(fmt.Sprint("after ", i))
		mine := one.fetch(t, "/api/generate", fresh)
		if theirs := two.fetch(t, "/api/generate", fresh); theirs.kept != cache.Hit || theirs.text != mine.text {
			return errors.New(theirs.kept)
		}
		return nil
	})
}
