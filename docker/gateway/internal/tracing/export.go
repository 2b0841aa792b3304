package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/prometheus"
)

const (
	queued        = 4096 // spans that wait to be sent, a kilobyte each
	batched       = 512  // spans of one request to the receiver
	batchInterval = 5 * time.Second
	sendTimeout   = 10 * time.Second
	lastTimeout   = 2 * time.Second // for what is left when the gateway stops
)

// exporter sends spans as OTLP in JSON. The SDK's own exporters bring gRPC and protobuf: see decision 20.
type exporter struct {
	url                       string
	client                    *http.Client
	queue                     chan sdk.ReadOnlySpan
	exported, failed, dropped prometheus.Counter
	log                       *slog.Logger
	away                      bool
}

var _ sdk.SpanProcessor = (*exporter)(nil)

func newExporter(endpoint string, trust *tls.Config, m *metrics.Metrics, log *slog.Logger) *exporter {
	spans := m.TraceSpans
	return &exporter{
		url: endpoint + "/v1/traces", log: log, queue: make(chan sdk.ReadOnlySpan, queued),
		client:   &http.Client{Timeout: sendTimeout, Transport: &http.Transport{TLSClientConfig: trust, MaxIdleConns: 1}},
		exported: spans.WithLabelValues("exported"), failed: spans.WithLabelValues("failed"), dropped: spans.WithLabelValues("dropped"),
	}
}

// OnStart implements sdk.SpanProcessor.
func (e *exporter) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor. It waits for nothing: what finds no room is dropped.
func (e *exporter) OnEnd(span sdk.ReadOnlySpan) {
	select {
	case e.queue <- span:
	default:
		e.dropped.Inc()
	}
}

// ForceFlush implements sdk.SpanProcessor. Nothing calls it: run sends.
func (e *exporter) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdk.SpanProcessor. Nothing calls it: run ends with its context.
func (e *exporter) Shutdown(context.Context) error { return nil }

func (e *exporter) run(ctx context.Context) {
	tick := time.NewTicker(batchInterval)
	defer tick.Stop()
	batch := make([]sdk.ReadOnlySpan, 0, batched)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
			defer cancel()
			for len(e.queue) > 0 {
				if batch = append(batch, <-e.queue); len(batch) == batched {
					e.send(last, batch)
					batch = batch[:0]
				}
			}
			e.send(last, batch)
			return
		case span := <-e.queue:
			if batch = append(batch, span); len(batch) < batched {
				continue
			}
		case <-tick.C:
		}
		e.send(ctx, batch)
		clear(batch)
		batch = batch[:0]
	}
}

// send tries once: a receiver that is away for long would have the queue overflow anyway.
func (e *exporter) send(ctx context.Context, batch []sdk.ReadOnlySpan) {
	if len(batch) == 0 {
		return
	}
	if err := e.post(ctx, encode(batch)); err != nil {
		e.failed.Add(float64(len(batch)))
		if !e.away {
			e.log.Warn("traces are lost until their receiver takes them", "endpoint", e.url, "error", err)
		}
		e.away = true
		return
	}
	e.exported.Add(float64(len(batch)))
	if e.away {
		e.log.Info("traces are received again", "endpoint", e.url)
	}
	e.away = false
}

func (e *exporter) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1024)) // the status alone says enough
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	return nil
}

// What follows is OTLP's JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
type (
	otlp struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   attributes   `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	attributes struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	span struct {
		TraceID      string     `json:"traceId"`
		SpanID       string     `json:"spanId"`
		ParentSpanID string     `json:"parentSpanId,omitempty"`
		TraceState   string     `json:"traceState,omitempty"`
		Flags        int        `json:"flags"`
		Name         string     `json:"name"`
		Kind         int        `json:"kind"`
		Start        string     `json:"startTimeUnixNano"`
		End          string     `json:"endTimeUnixNano"`
		Attributes   []keyValue `json:"attributes,omitempty"`
		Status       status     `json:"status"`
	}
	status struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	}
	keyValue struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

// statusCodes are OTLP's numbers, which are not the SDK's.
var statusCodes = map[codes.Code]int{codes.Unset: 0, codes.Ok: 1, codes.Error: 2}

// encode writes spans of one provider and one tracer, as all are.
func encode(batch []sdk.ReadOnlySpan) []byte {
	all := resourceSpans{
		Resource:   attributes{keyValues(batch[0].Resource().Attributes())},
		ScopeSpans: []scopeSpans{{Scope: scope{batch[0].InstrumentationScope().Name}, Spans: make([]span, 0, len(batch))}},
	}
	for _, one := range batch {
		id := one.SpanContext()
		written := span{
			TraceID: id.TraceID().String(), SpanID: id.SpanID().String(), TraceState: id.TraceState().String(),
			Flags: int(id.TraceFlags()), Name: one.Name(), Kind: int(one.SpanKind()), // the SDK counts as OTLP does
			Start: nanoseconds(one.StartTime()), End: nanoseconds(one.EndTime()),
			Attributes: keyValues(one.Attributes()), Status: status{one.Status().Description, statusCodes[one.Status().Code]},
		}
		if parent := one.Parent(); parent.HasSpanID() {
			written.ParentSpanID = parent.SpanID().String()
		}
		all.ScopeSpans[0].Spans = append(all.ScopeSpans[0].Spans, written)
	}
	text, err := json.Marshal(otlp{[]resourceSpans{all}})
	if err != nil {
		panic(err) // texts and numbers alone always encode
	}
	return text
}

func nanoseconds(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }

func keyValues(list []attribute.KeyValue) []keyValue {
	all := make([]keyValue, 0, len(list))
	for _, one := range list {
		value := map[string]any{"stringValue": one.Value.String()}
		switch one.Value.Type() {
		case attribute.INT64:
			value = map[string]any{"intValue": one.Value.String()} // as a text: JavaScript's numbers are too small
		case attribute.FLOAT64:
			value = map[string]any{"doubleValue": one.Value.AsFloat64()}
		case attribute.BOOL:
			value = map[string]any{"boolValue": one.Value.AsBool()}
		default:
		}
		all = append(all, keyValue{string(one.Key), value})
	}
	return all
}
