package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/workertest"
)

// put makes an alias.
func (g *gateway) put(t *testing.T, name, body string) {
	t.Helper()
	if status, text := g.ask(t, "PUT", "/api/v1/models/aliases/"+name, body); status != 200 && status != 201 {
		t.Fatalf("alias %s: %d %s", name, status, text)
	}
}

// asked is the model that the last request to a worker named.
func asked(t *testing.T, worker *workertest.Worker) string {
	t.Helper()
	seen := worker.Seen()
	var body struct{ Model, Name string }
	if err := json.Unmarshal(seen[len(seen)-1].Body, &body); err != nil {
		t.Fatal(err)
	}
	return body.Model + body.Name
}

// with sends a request with a header, by the plain way in or, with a query, by the other.
func (g *gateway) with(t *testing.T, path, body, header, value string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set(header, value)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestAnAliasIsAnsweredByItsModelOnEveryRouteAndBothWaysIn(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "chat", `{"targets":[{"model":"Tiny"}]}`)
	for path := range inference.Routes {
		for _, query := range []string{"", "?a=1"} {
			response := g.do(t, "POST", path+query, `{ "model":"Chat:latest" ,"input":"x","prompt":"\u00e9","stream":false}`)
			if model := response.Header.Get("X-Ollamamax-Model"); response.StatusCode != 200 || model != "tiny:latest" {
				t.Errorf("%s%s: %d by %q", path, query, response.StatusCode, model)
			}
			seen := worker.Seen()
			if body := string(seen[len(seen)-1].Body); body != `{ "model":"Tiny" ,"input":"x","prompt":"\u00e9","stream":false}` {
				t.Errorf("%s%s: the worker got %s", path, query, body)
			}
			_, _ = io.Copy(io.Discard, response.Body)
		}
	}
	if response := g.do(t, "POST", "/api/show", `{"name":"chat"}`); response.StatusCode != 200 || asked(t, worker) != "Tiny" {
		t.Errorf("show: %d about %s", response.StatusCode, asked(t, worker))
	}
	response := g.do(t, "POST", "/api/generate", generate)
	if _, given := response.Header["X-Ollamamax-Model"]; given {
		t.Error("an answer to a request for a model says X-Ollamamax-Model")
	}
	both := float64(2 * len(inference.Routes))
	eventually.True(t, "requests are counted for the model and for the variant", func() bool {
		return g.value(t, "ollamamax_requests_total", "model=tiny:latest") == both+2 &&
			g.value(t, "ollamamax_alias_requests_total", "alias=chat:latest", "variant=tiny:latest", "code=200") == both+1 &&
			g.value(t, "ollamamax_alias_request_seconds", "alias=chat:latest", "variant=tiny:latest") == both+1
	})
	if !strings.Contains(g.log.String(), `"model":"tiny:latest","node":"worker-1","alias":"chat:latest","variant":"tiny:latest"`) {
		t.Error("the log does not say which alias was asked for")
	}
}

func TestALargeBodyGoesToTheModelOfItsAlias(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "chat", `{"targets":[{"model":"tiny"}]}`)
	prompt := strings.Repeat("words ", 1<<19)
	for range 2 {
		if status, text := g.ask(t, "POST", "/api/generate", `{"prompt":"`+prompt+`","model":"chat"}`); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		seen := worker.Seen()
		if string(seen[len(seen)-1].Body) != `{"prompt":"`+prompt+`","model":"tiny"}` {
			t.Error("the worker got something else")
		}
	}
}

func TestAVariantIsChosenByHeaderBySessionOrByShare(t *testing.T) {
	worker := workertest.Start(t, "old:latest", "new:latest", "rare:latest")
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "chat", `{"targets":[{"model":"old","weight":50,"variant":"stable"},{"model":"new","weight":50,"variant":"canary"},{"model":"rare","weight":0}]}`)
	const body = `{"model":"chat","prompt":"x"}`
	for variant, model := range map[string]string{"stable": "old", "canary": "new", "rare:latest": "rare"} {
		for _, path := range []string{"/api/generate", "/api/generate?a=1", "/api/show"} {
			if response := g.with(t, path, body, "x-ollamamax-variant", variant); response.StatusCode != 200 || asked(t, worker) != model {
				t.Errorf("%s of %s: %d by %s", path, variant, response.StatusCode, asked(t, worker))
			}
		}
	}
	for _, path := range []string{"/api/generate", "/v1/completions", "/api/generate?a=1"} {
		response := g.with(t, path, body, "X-Ollamamax-Variant", "blue")
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != 400 || !strings.Contains(string(text), `\"blue\" is no variant of chat:latest: there are stable, canary, rare:latest`) {
			t.Errorf("%s of an unknown variant: %d %s", path, response.StatusCode, text)
		}
	}
	stays := func(what string, send func(i int) *http.Response) {
		models := map[string]int{}
		for i := range 40 {
			first, again := send(i).Header.Get("X-Ollamamax-Model"), send(i).Header.Get("X-Ollamamax-Model")
			if first != again {
				t.Errorf("%s %d had %s, then %s", what, i, first, again)
			}
			models[first]++
		}
		if models["old:latest"] < 5 || models["new:latest"] < 5 || len(models) != 2 {
			t.Errorf("%ss: %v", what, models)
		}
	}
	stays("session", func(i int) *http.Response {
		return g.with(t, "/api/generate", body, "X-Ollamamax-Session", fmt.Sprint("user ", i))
	})
	stays("conversation", func(i int) *http.Response {
		return g.do(t, "POST", "/api/chat", fmt.Sprintf(`{"model":"chat","messages":[{"role":"user","content":"%d"}]}`, i))
	})
	models := map[string]int{}
	for range 40 {
		models["prompt "+g.do(t, "POST", "/api/generate", body).Header.Get("X-Ollamamax-Model")]++
		models["embedding "+g.do(t, "POST", "/api/embed", `{"model":"chat","input":"x"}`).Header.Get("X-Ollamamax-Model")]++
	}
	if models["prompt old:latest"] < 5 || models["prompt new:latest"] < 5 || len(models) != 3 {
		t.Errorf("prompts of their own go to both, embeddings of a key to one: %v", models)
	}
}

func TestAModelsOwnNameCanStandForItAndAnother(t *testing.T) {
	worker := workertest.Start(t, "old:latest", "new:latest")
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "old", `{"targets":[{"model":"new"}]}`)
	if _ = g.do(t, "POST", "/api/generate", `{"model":"old"}`); asked(t, worker) != "new" {
		t.Errorf("the alias does not win over the model of its name: %s answered", asked(t, worker))
	}
	g.put(t, "old", `{"targets":[{"model":"old","weight":0,"variant":"a"},{"model":"new","weight":1,"variant":"b"}]}`)
	if _ = g.with(t, "/api/generate", `{"model":"old"}`, "X-Ollamamax-Variant", "a"); asked(t, worker) != "old" {
		t.Errorf("the model of an alias's own name is %s", asked(t, worker))
	}
	if status, text := g.ask(t, "DELETE", "/api/delete", `{"model":"old"}`); status != 200 {
		t.Errorf("such a model can't be deleted: %d %s", status, text)
	}
}

func TestAliasesAreListedAsModelsAre(t *testing.T) {
	worker := workertest.Start(t, "one:latest", "two:latest")
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "chat", `{"targets":[{"model":"two"},{"model":"one"}]}`)
	g.put(t, "two", `{"fallbacks":["one"]}`)
	_, text := g.ask(t, "GET", "/api/tags", "")
	var tags struct {
		Models []struct {
			Name, Model, Digest string
			Size                int64
			AliasOf             []string `json:"alias_of"`
		}
	}
	if err := json.Unmarshal([]byte(text), &tags); err != nil || len(tags.Models) != 3 {
		t.Fatalf("%s: %v", text, err)
	}
	if first := tags.Models[0]; first.Name != "chat:latest" || first.Model != first.Name || first.Digest != "digest-of-two:latest" ||
		first.Size != 1000 || fmt.Sprint(first.AliasOf) != "[two:latest one:latest]" {
		t.Errorf("the alias is listed as %+v", first)
	}
	if second := tags.Models[1]; second.Name != "two:latest" || second.AliasOf != nil {
		t.Errorf("a model with fallbacks is listed as %+v", second)
	}
	if _, text := g.ask(t, "GET", "/v1/models", ""); !strings.Contains(text, `"id":"chat:latest","object":"model"`) {
		t.Errorf("/v1/models: %s", text)
	}
	if status, text := g.ask(t, "GET", "/v1/models/chat", ""); status != 200 || !strings.HasPrefix(text, `{"id":"chat:latest","object":"model"`) {
		t.Errorf("/v1/models/chat: %d %s", status, text)
	}
}

func TestModelsAreChangedByTheirOwnNames(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "chat", `{"targets":[{"model":"tiny"}]}`)
	for _, c := range []struct{ method, path, body string }{
		{"DELETE", "/api/delete", `{"model":"chat"}`},
		{"POST", "/api/copy", `{"source":"tiny","destination":"chat"}`},
		{"POST", "/api/copy", `{"source":"chat","destination":"other"}`},
		{"POST", "/api/create", `{"model":"chat","from":"tiny"}`},
		{"POST", "/api/create", `{"model":"mine","from":"chat"}`},
		{"POST", "/api/pull", `{"model":"chat"}`},
		{"POST", "/api/push", `{"name":"chat"}`},
	} {
		status, text := g.ask(t, c.method, c.path, c.body)
		if status != 409 || text != `{"error":"'chat:latest' is an alias of tiny: name a model, or change the alias at /api/v1/models/aliases/chat:latest"}` {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, text)
		}
	}
	if seen := worker.Seen(); len(seen) != 0 {
		t.Errorf("the worker was asked: %+v", seen)
	}
}

func TestTheRoutesOfAliases(t *testing.T) {
	g := start(t, []*workertest.Worker{workertest.Start(t, "tiny:latest", "me/mine:1b")})
	const path = "/api/v1/models/aliases/"
	for _, c := range []struct {
		method, name, body string
		status             int
		contains           string
	}{
		{"PUT", "Chat", `{"targets":[{"model":"tiny"}]}`, 201, `{"alias":{"name":"chat:latest","targets":[{"model":"tiny","weight":1,"variant":"tiny:latest"}],"fallbacks":[],"source":"api"`},
		{"PUT", "chat", `{"targets":[{"model":"tiny","weight":3},{"model":"me/mine:1b"}],"fallbacks":["x"]}`, 200, `"weight":3`},
		{"PUT", "me/own:x", `{"targets":[{"model":"tiny"}]}`, 201, `"name":"me/own:x"`},
		{"GET", "chat:latest", "", 200, `"updated_by":"tests"`},
		{"GET", "me/own:x", "", 200, `"name":"me/own:x"`},
		{"GET", "", "", 404, `no such alias`},
		{"GET", "other", "", 404, `no such alias`},
		{"PUT", "talk", `{"targets":[{"model":"chat","weight":0},{"model":"gone"}],"fallbacks":["a b"]}`, 400,
			`{"error":"fallbacks[0]: \"a b\" is not a model's name, such as smollm2:135m; ` +
				`targets[0].model: \"chat\" is an alias itself: name a model that it stands for (tiny, me/mine:1b); ` +
				`targets[1].model: no worker has \"gone\": pull it first"}`},
		{"PUT", "talk", `{"target":"tiny"}`, 400, `the request body: json: unknown field`},
		{"PUT", "talk", `{} {}`, 400, `the request body goes on after its first value`},
		{"PUT", "talk", `{} }`, 400, `the request body goes on after its first value`},
		{"DELETE", "chat", "", 200, `"name":"chat:latest"`},
		{"DELETE", "chat", "", 404, `no such alias`},
	} {
		if status, text := g.ask(t, c.method, path+c.name, c.body); status != c.status || !strings.Contains(text, c.contains) {
			t.Errorf("%s %s %s: %d %s", c.method, c.name, c.body, status, text)
		}
	}
	if _, text := g.ask(t, "GET", "/api/v1/models/aliases", ""); strings.Count(text, `"name":`) != 1 {
		t.Errorf("the list: %s", text)
	}
	if status, _ := g.ask(t, "POST", "/api/generate", `{"model":"chat"}`); status != 200 { // any worker words it
		t.Errorf("a deleted alias: %d", status)
	}
}
