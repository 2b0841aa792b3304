package tracing

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	otlppb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
)

func newTracer(endpoint string, ratio float64) (*Tracer, *metrics.Metrics) {
	m := metrics.New("test")
	settings := config.Tracing{Endpoint: endpoint, SampleRatio: ratio}
	return New(settings, nil, "gateway-1", "1.2.3", m, slog.New(slog.DiscardHandler)), m
}

func TestWhatIsSentIsOTLPByItsOwnSchema(t *testing.T) {
	tracer, _ := newTracer("http://receiver", 1)
	_, request := tracer.Begin(time.Unix(1, 5), http.MethodPost, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1")
	request.Looked("memory", false, time.Unix(1, 6))
	attempt, _ := request.Attempt("worker-1", time.Unix(1, 7), nil)
	attempt.Answered(200, time.Second)
	attempt.End(Outcome{Cause: http.ErrBodyNotAllowed})
	request.End(Outcome{Route: "/api/chat", Model: "tiny", Alias: "chat", Variant: "canary", Status: 502, Prompt: 1, First: time.Second})
	batch := take(tracer)
	var message otlppb.TracesData
	if err := protojson.Unmarshal(encode(batch), &message); err != nil {
		t.Fatalf("%v in %s", err, encode(batch))
	}
	spans := message.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	last := spans[2]
	if last.GetKind() != otlppb.Span_SPAN_KIND_SERVER || last.GetStatus().GetCode() != otlppb.Status_STATUS_CODE_ERROR ||
		last.GetStartTimeUnixNano() != 1_000_000_005 || last.GetTraceState() != "a=1" || spans[1].GetKind() != otlppb.Span_SPAN_KIND_CLIENT {
		t.Errorf("%v", spans)
	}
	asked := map[string]string{}
	for _, one := range last.GetAttributes() {
		asked[one.GetKey()] = one.GetValue().GetStringValue()
	}
	if asked["gen_ai.request.model"] != "tiny" || asked["ollamamax.alias"] != "chat" || asked["ollamamax.variant"] != "canary" {
		t.Errorf("%v", asked)
	}
	resource := map[string]string{}
	for _, one := range message.GetResourceSpans()[0].GetResource().GetAttributes() {
		resource[one.GetKey()] = one.GetValue().GetStringValue()
	}
	if resource["service.name"] != "ollamamax-gateway" || resource["service.version"] != "1.2.3" || resource["service.instance.id"] != "gateway-1" {
		t.Errorf("%v", resource)
	}
}

func take(tracer *Tracer) (batch []sdk.ReadOnlySpan) {
	for len(tracer.exporter.queue) > 0 {
		batch = append(batch, <-tracer.exporter.queue)
	}
	return batch
}

func TestSpansThatFindNoRoomAreDroppedAndCounted(t *testing.T) {
	tracer, m := newTracer("http://receiver", 1)
	for range queued + 10 { // nobody sends
		_, request := tracer.Begin(time.Now(), http.MethodPost, "", "")
		request.End(Outcome{})
	}
	if dropped := metricstest.Sum(t, m.Handler(), "ollamamax_trace_spans_total", "result=dropped"); dropped != 10 {
		t.Errorf("%v spans are counted as dropped, not 10", dropped)
	}
}

func TestTheReceiverIsNotAskedAgainForWhatItRefuses(t *testing.T) {
	asked := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer receiver.Close()
	tracer, m := newTracer(receiver.URL, 1)
	_, request := tracer.Begin(time.Now(), http.MethodPost, "", "")
	request.End(Outcome{})
	tracer.exporter.send(t.Context(), take(tracer))
	if failed := metricstest.Sum(t, m.Handler(), "ollamamax_trace_spans_total", "result=failed"); failed != 1 || asked != 1 {
		t.Errorf("%v spans have failed, in %d requests", failed, asked)
	}
}

func TestOnlyAWellFormedParentIsATrace(t *testing.T) {
	var off *Tracer
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for parent, want := range map[string]string{
		"": "", "00-" + id + "-00f067aa0ba902b7-00": id, "00-" + id + "-00f067aa0ba902b7": "",
		"ff-" + id + "-00f067aa0ba902b7-01": "", "00-00000000000000000000000000000000-00f067aa0ba902b7-01": "", "nonsense": "",
	} {
		if got, begun := off.Begin(time.Now(), http.MethodPost, parent, ""); got != want || begun != nil {
			t.Errorf("%q is the trace %q, not %q", parent, got, want)
		}
	}
}

// BenchmarkOff is what every request pays where tracing is off.
func BenchmarkOff(b *testing.B) {
	var off *Tracer
	b.ReportAllocs()
	for b.Loop() {
		if _, begun := off.Begin(time.Time{}, http.MethodPost, "", ""); begun != nil {
			b.Fatal("tracing is off")
		}
	}
}
