// Package access notes every request when it has ended: in the metrics and in one line of the log.
package access

import (
	"context"
	"log/slog"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/metrics"
)

// StatusClientGone is what metrics and logs call a request whose client left; it is never sent.
const StatusClientGone = 499

// Recorder notes requests.
type Recorder struct {
	metrics *metrics.Metrics
	log     *slog.Logger
	leave   func(x *exchange.Exchange, status int)
}

// NewRecorder returns a recorder. leave is told how each request ended.
func NewRecorder(m *metrics.Metrics, log *slog.Logger, leave func(x *exchange.Exchange, status int)) *Recorder {
	return &Recorder{metrics: m, log: log, leave: leave}
}

// Entry is what the client asked and got.
type Entry struct {
	Method string
	Path   string
	Remote string // the client's address
	Status int
}

// Record notes a request that has ended.
func (r *Recorder) Record(x *exchange.Exchange, e Entry) {
	total, overhead := x.Times()
	r.metrics.Request(x.API, x.Model, e.Status, overhead)
	if x.FirstByte > 0 {
		r.metrics.FirstToken(x.API, x.Model, x.FirstByte)
	}
	r.metrics.Tokens(x.Model, x.PromptTokens, x.CompletionTokens)
	r.leave(x, e.Status)

	level := slog.LevelInfo
	if e.Status >= 500 {
		level = slog.LevelWarn
	}
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	var space [20]slog.Attr
	attributes := append(space[:0],
		slog.String("request", x.RequestID), slog.String("method", e.Method), slog.String("path", e.Path),
		slog.String("api", x.API), slog.Int("status", e.Status), slog.String("remote", e.Remote),
		slog.Float64("seconds", total.Seconds()), slog.Float64("overhead", overhead.Seconds()),
	)
	if x.Model != "" {
		attributes = append(attributes, slog.String("model", x.Model))
	}
	if x.Node != "" {
		attributes = append(attributes, slog.String("node", x.Node))
	}
	if x.Cache != "" {
		attributes = append(attributes, slog.String("cache", x.Cache))
	}
	if x.Key != nil && x.Key.Name != "" {
		attributes = append(attributes, slog.String("key", x.Key.Name))
	}
	if x.FirstByte > 0 {
		attributes = append(attributes, slog.Float64("first_byte", x.FirstByte.Seconds()))
	}
	if x.Retries > 0 {
		attributes = append(attributes, slog.Int("retries", x.Retries))
	}
	if x.PromptTokens+x.CompletionTokens > 0 {
		attributes = append(attributes, slog.Int64("prompt_tokens", x.PromptTokens), slog.Int64("completion_tokens", x.CompletionTokens))
	}
	if x.Cause != nil {
		attributes = append(attributes, slog.String("error", x.Cause.Error()))
	}
	r.log.LogAttrs(context.Background(), level, "request", attributes...)
}
