// Package tracing tells OpenTelemetry what became of requests: a span for each that is sampled, and one for
// each of its waits and of the workers that it was sent to. A trace that a client has begun goes on.
package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
)

// The headers of W3C's Trace Context, in canonical form.
const (
	Parent = "Traceparent"
	State  = "Tracestate"
)

// Tracer begins traces. Where tracing is off it is nil, and everything that comes of it too.
type Tracer struct {
	tracer   trace.Tracer
	exporter *exporter
}

// New returns a tracer, or nil where settings name no receiver.
func New(settings config.Tracing, trust *tls.Config, gateway, version string, m *metrics.Metrics, log *slog.Logger) *Tracer {
	if settings.Endpoint == "" {
		return nil
	}
	e := newExporter(settings.Endpoint, trust, m, log)
	provider := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(e),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(settings.SampleRatio))),
		sdk.WithResource(resource.NewSchemaless(
			semconv.ServiceName("ollamamax-gateway"), semconv.ServiceVersion(version), semconv.ServiceInstanceID(gateway),
		)),
	)
	return &Tracer{tracer: provider.Tracer("ollamamax/gateway"), exporter: e}
}

// Run sends spans until ctx ends, and what is left then.
func (t *Tracer) Run(ctx context.Context) {
	if t != nil {
		t.exporter.run(ctx)
	}
}

// Begin returns the identity of a request's trace, which may be empty, and the trace itself, which is nil where
// it is not sampled. parent and state are the headers that the request came with.
func (t *Tracer) Begin(start time.Time, method, parent, state string) (id string, begun *Trace) {
	if t == nil {
		return idOf(parent), nil
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), &carrier{parent: parent, state: state})
	ctx, span := t.tracer.Start(ctx, method, trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return idOf(parent), nil
	}
	return span.SpanContext().TraceID().String(), &Trace{tracer: t.tracer, ctx: ctx, span: span, method: method}
}

// idOf returns the trace's identity in a traceparent header, or nothing where that is none.
func idOf(parent string) string {
	if parent == "" {
		return ""
	}
	ctx := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), &carrier{parent: parent}))
	if !ctx.IsValid() {
		return ""
	}
	return ctx.TraceID().String()
}

// carrier is the two headers of a trace.
type carrier struct{ parent, state string }

func (c *carrier) Get(name string) string {
	switch name {
	case "traceparent":
		return c.parent
	case "tracestate":
		return c.state
	}
	return ""
}

func (c *carrier) Set(name, value string) {
	switch name {
	case "traceparent":
		c.parent = value
	case "tracestate":
		c.state = value
	}
}

func (c *carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// Trace is a request that is sampled. What is begun of it may end after it.
type Trace struct {
	tracer trace.Tracer
	ctx    context.Context //nolint:containedctx // OpenTelemetry hands a span on in nothing else
	span   trace.Span
	method string
}

// Outcome is what became of a request.
type Outcome struct {
	Route    string // as metrics call it
	Model    string
	Alias    string // that was asked for; empty: a model was
	Variant  string // of it, that answered
	Node     string
	Cache    string
	Status   int
	Retries  int
	Prompt   int64 // tokens
	Answered int64 // tokens
	First    time.Duration
	Cause    error
}

// End ends the request's own span.
func (t *Trace) End(o Outcome) {
	t.span.SetName(t.method + " " + o.Route)
	t.span.SetAttributes(semconv.HTTPRequestMethodKey.String(t.method), semconv.HTTPRoute(o.Route), semconv.HTTPResponseStatusCode(o.Status))
	describe(t.span, o)
	if o.Alias != "" {
		t.span.SetAttributes(attribute.String("ollamamax.alias", o.Alias), attribute.String("ollamamax.variant", o.Variant))
	}
	if o.Cache != "" {
		t.span.SetAttributes(attribute.String("ollamamax.cache", o.Cache))
	}
	if o.Status >= 500 {
		t.span.SetStatus(codes.Error, "")
	}
	t.span.End()
}

// operations are what OpenTelemetry calls the routes that ask a model.
var operations = map[string]attribute.KeyValue{
	"/api/chat": semconv.GenAIOperationNameChat, "/v1/chat/completions": semconv.GenAIOperationNameChat,
	"/v1/responses": semconv.GenAIOperationNameChat, "/v1/messages": semconv.GenAIOperationNameChat,
	"/api/generate": semconv.GenAIOperationNameTextCompletion, "/v1/completions": semconv.GenAIOperationNameTextCompletion,
	"/api/embed": semconv.GenAIOperationNameEmbeddings, "/api/embeddings": semconv.GenAIOperationNameEmbeddings,
	"/v1/embeddings": semconv.GenAIOperationNameEmbeddings,
}

// describe sets what both a request and each of its attempts have.
func describe(span trace.Span, o Outcome) {
	if operation, ok := operations[o.Route]; ok {
		span.SetAttributes(operation, semconv.GenAIProviderNameKey.String("ollama"))
	}
	if o.Model != "" {
		span.SetAttributes(semconv.GenAIRequestModel(o.Model))
	}
	if o.Node != "" {
		span.SetAttributes(attribute.String("ollamamax.node", o.Node))
	}
	if o.Retries > 0 {
		span.SetAttributes(semconv.HTTPRequestResendCount(o.Retries))
	}
	if o.Prompt+o.Answered > 0 {
		span.SetAttributes(semconv.GenAIUsageInputTokens(int(o.Prompt)), semconv.GenAIUsageOutputTokens(int(o.Answered)))
	}
	if o.First > 0 {
		span.SetAttributes(semconv.GenAIResponseTimeToFirstChunk(o.First.Seconds()))
	}
	if o.Cause != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(fmt.Sprintf("%T", o.Cause)))
		span.SetStatus(codes.Error, o.Cause.Error())
	}
}

// Waited adds a span for a wait for a worker's slot that has ended.
func (t *Trace) Waited(began time.Time) {
	_, span := t.tracer.Start(t.ctx, "wait for a slot", trace.WithTimestamp(began))
	span.End()
}

// Looked adds a span for a look-up in a level of the cache of answers that has ended.
func (t *Trace) Looked(level string, found bool, began time.Time) {
	_, span := t.tracer.Start(t.ctx, "look into the cache", trace.WithTimestamp(began),
		trace.WithAttributes(attribute.String("ollamamax.cache.level", level), attribute.Bool("ollamamax.cache.hit", found)))
	span.End()
}

// Attempt is a worker that the request was sent to.
type Attempt struct{ span trace.Span }

// Attempt begins the span of a worker that the request is about to be sent to. It returns fields, the header
// lines for the worker, with that span in place of the client's.
func (t *Trace) Attempt(node string, began time.Time, fields []byte) (*Attempt, []byte) {
	ctx, span := t.tracer.Start(t.ctx, "attempt", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.ServerAddress(node)))
	lines := make([]byte, 0, len(fields)+256)
	for line := range bytes.Lines(fields) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte(Parent)) && !bytes.EqualFold(name, []byte(State)) {
			lines = append(lines, line...)
		}
	}
	own := carrierOf(ctx)
	lines = fmt.Appendf(lines, "%s: %s\r\n", Parent, own.parent)
	if own.state != "" {
		lines = fmt.Appendf(lines, "%s: %s\r\n", State, own.state)
	}
	return &Attempt{span}, lines
}

// Headers puts the request's own span into the headers for a worker.
func (t *Trace) Headers(header http.Header) {
	own := carrierOf(t.ctx)
	header.Set(Parent, own.parent)
	if own.state != "" {
		header.Set(State, own.state)
	}
}

func carrierOf(ctx context.Context) carrier {
	var own carrier
	propagation.TraceContext{}.Inject(ctx, &own)
	return own
}

// Answered notes that the worker has begun to answer.
func (a *Attempt) Answered(status int, after time.Duration) {
	a.span.SetAttributes(semconv.HTTPResponseStatusCode(status), semconv.GenAIResponseTimeToFirstChunk(after.Seconds()))
}

// End ends the attempt. A nil attempt is none.
func (a *Attempt) End(o Outcome) {
	if a == nil {
		return
	}
	describe(a.span, o)
	a.span.End()
}
