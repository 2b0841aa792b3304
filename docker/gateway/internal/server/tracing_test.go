package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentID = "00f067aa0ba902b7"
	sampled  = "00-" + traceID + "-" + parentID + "-01"
)

// received is a span as a receiver of OTLP in JSON reads it.
type received struct {
	TraceID, SpanID, ParentSpanID, TraceState, Name, StartTimeUnixNano, EndTimeUnixNano string

	Kind       int
	Attributes []struct {
		Key   string
		Value struct {
			StringValue, IntValue *string
			DoubleValue           *float64
			BoolValue             *bool
		}
	}
	Status struct {
		Message string
		Code    int
	}
}

func (r received) attribute(key string) string {
	for _, one := range r.Attributes {
		switch value := one.Value; {
		case one.Key != key:
		case value.StringValue != nil:
			return *value.StringValue
		case value.IntValue != nil:
			return *value.IntValue
		case value.DoubleValue != nil:
			return fmt.Sprint(*value.DoubleValue)
		case value.BoolValue != nil:
			return fmt.Sprint(*value.BoolValue)
		}
	}
	return ""
}

// receiver takes spans.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []received
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var message struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []received } }
		}
		decoder := json.NewDecoder(request.Body)
		if err := decoder.Decode(&message); err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %v", request.URL, request.Header, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range message.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(r.Close)
	return r
}

// after ends the gateway's parts once it has noted so many requests, so that it sends what it has, and returns
// that by name.
func (r *receiver) after(t *testing.T, g *gateway, requests int) map[string][]received {
	t.Helper()
	eventually.True(t, "all requests are noted", func() bool { return strings.Count(g.log.String(), `"msg":"request"`) == requests })
	g.stopParts()
	g.running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string][]received{}
	for _, span := range r.spans {
		all[span.Name] = append(all[span.Name], span)
	}
	return all
}

func traced(r *receiver, ratio float64) func(*config.Config) {
	return func(c *config.Config) { c.Tracing = config.Tracing{Endpoint: r.URL, SampleRatio: ratio} }
}

// entrances are the two in which requests come in.
var entrances = map[string]string{"the front": "/api/generate", "net/http": "/api/generate?x=y"}

func TestWithoutTracingATraceOfTheClientsPassesThrough(t *testing.T) {
	for name, path := range entrances {
		t.Run(name, func(t *testing.T) {
			worker, g := one(t)
			request := strings.Replace(plain("/api/generate", generate, "traceparent: "+sampled, "tracestate: a=1,b=2"), "/api/generate", path, 1)
			if response, text := g.raw(t, request); response.StatusCode != 200 {
				t.Fatal(text)
			}
			seen := worker.Seen()[0].Header
			if seen.Get("Traceparent") != sampled || seen.Get("Tracestate") != "a=1,b=2" {
				t.Errorf("the worker gets %v", seen)
			}
			eventually.True(t, "the log line has the trace", func() bool { return strings.Contains(g.log.String(), `"trace":"`+traceID+`"`) })
		})
	}
}

func TestATraceOfTheClientsGoesOnThroughTheGatewayToTheWorker(t *testing.T) {
	for name, path := range entrances {
		t.Run(name, func(t *testing.T) {
			r := startReceiver(t)
			worker, g := one(t, traced(r, 0))
			request := plain("/api/generate", generate, "traceparent: "+sampled, "tracestate: a=1,b=2")
			if response, text := g.raw(t, strings.Replace(request, "/api/generate", path, 1)); response.StatusCode != 200 {
				t.Fatal(text)
			}
			spans := r.after(t, g, 1)
			request1, attempt := spans["POST /api/generate"], spans["attempt"]
			if len(request1) != 1 || len(attempt) != 1 || !strings.Contains(g.log.String(), `"trace":"`+traceID+`"`) {
				t.Fatalf("%+v", spans)
			}
			own, child := request1[0], attempt[0]
			if own.TraceID != traceID || own.ParentSpanID != parentID || own.Kind != 2 || own.TraceState != "a=1,b=2" {
				t.Errorf("the request is %+v", own)
			}
			if child.TraceID != traceID || child.ParentSpanID != own.SpanID || child.Kind != 3 {
				t.Errorf("the attempt is %+v", child)
			}
			header := worker.Seen()[0].Header
			if want := "00-" + traceID + "-" + child.SpanID + "-01"; !slices.Equal(header["Traceparent"], []string{want}) || header.Get("Tracestate") != "a=1,b=2" {
				t.Errorf("the worker gets %v, not %s", header, want)
			}
			for key, want := range map[string]string{
				"http.route": "/api/generate", "http.response.status_code": "200", "gen_ai.request.model": "tiny:latest",
				"gen_ai.operation.name": "text_completion", "gen_ai.usage.input_tokens": "5", "gen_ai.usage.output_tokens": "3",
			} {
				if got := own.attribute(key); got != want {
					t.Errorf("%s is %q, not %q", key, got, want)
				}
			}
			if own.attribute("gen_ai.response.time_to_first_chunk") == "" || child.attribute("gen_ai.response.time_to_first_chunk") == "" ||
				child.attribute("server.address") != own.attribute("ollamamax.node") || child.attribute("gen_ai.usage.output_tokens") != "3" {
				t.Errorf("%+v\n%+v", own, child)
			}
		})
	}
}

func TestRequestsAreSampledWhereTheClientHasNotDecided(t *testing.T) {
	r := startReceiver(t)
	_, g := one(t, traced(r, 1))
	if status, text := g.ask(t, "POST", "/api/generate", generate); status != 200 {
		t.Fatal(text)
	}
	if status, text := g.ask(t, "GET", "/api/tags", ""); status != 200 {
		t.Fatal(text)
	}
	notSampled := strings.TrimSuffix(sampled, "01") + "00"
	if response, text := g.raw(t, plain("/api/generate", generate, "traceparent: "+notSampled)); response.StatusCode != 200 {
		t.Fatal(text)
	}
	spans := r.after(t, g, 3)
	if len(spans["POST /api/generate"]) != 1 || len(spans["GET /api/tags"]) != 1 || len(spans["attempt"]) != 1 {
		t.Errorf("%+v", spans)
	}
}

func TestATraceShowsRetriesWaitsAndTheCache(t *testing.T) {
	r := startReceiver(t)
	broken, sound := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	broken.Fail(workertest.Reset)
	g := start(t, []*workertest.Worker{broken, sound}, traced(r, 1), func(c *config.Config) { c.Workers.Slots = 1 })
	const sure = `{"model":"tiny","prompt":"x","options":{"temperature":0}}`
	for range 8 { // at least one of which comes to the broken one first
		if status, text := g.ask(t, "POST", "/api/generate", strings.Replace(sure, `"x"`, fmt.Sprintf("%q", fmt.Sprint(len(broken.Seen()), len(sound.Seen()))), 1)); status != 200 {
			t.Fatal(text)
		}
	}
	release := sound.Hold()
	done := make(chan struct{})
	for range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			_, _ = g.ask(t, "POST", "/api/generate", generate)
		}()
	}
	eventually.True(t, "one waits for a slot", func() bool { return g.value(t, "ollamamax_queue_depth", "model=tiny:latest") > 0 })
	release()
	for range 3 {
		<-done
	}
	if status, text := g.ask(t, "POST", "/api/generate", sure); status != 200 {
		t.Fatal(text)
	}
	spans := r.after(t, g, 12)
	failed := slices.IndexFunc(spans["attempt"], func(s received) bool { return s.Status.Code == 2 && s.Status.Message != "" })
	if failed < 0 || len(spans["wait for a slot"]) == 0 {
		t.Errorf("no attempt has failed, or none has waited: %+v", spans)
	}
	if looks := spans["look into the cache"]; len(looks) == 0 || looks[0].attribute("ollamamax.cache.level") != "memory" || looks[0].attribute("ollamamax.cache.hit") != "false" {
		t.Errorf("%+v", looks)
	}
}

func TestAReceiverThatIsAwayHarmsNoRequest(t *testing.T) {
	r := startReceiver(t)
	r.Close()
	_, g := one(t, traced(r, 1))
	for range 20 {
		if status, text := g.ask(t, "POST", "/api/generate", generate); status != 200 {
			t.Fatal(text)
		}
	}
	r.after(t, g, 20)
	if failed := g.value(t, "ollamamax_trace_spans_total", "result=failed"); failed != 40 {
		t.Errorf("%v spans are counted as failed, not 40", failed)
	}
	if !strings.Contains(g.log.String(), "traces are lost") {
		t.Error("nobody is told")
	}
}
