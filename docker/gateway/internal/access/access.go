// Package access notes every request when it has ended: in the metrics and in one line of the log.
package access

import (
	"io"
	"log/slog"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/tracing"
)

// StatusClientGone is what metrics and logs call a request whose client left; it is never sent.
const StatusClientGone = 499

// Recorder notes requests.
type Recorder struct {
	metrics *metrics.Metrics
	log     io.Writer
	level   slog.Level
	gateway string
	leave   func(x *exchange.Exchange, status int)
}

// NewRecorder returns a recorder for the gateway of that name. Lines below level are left out; leave is told
// how each request ended.
func NewRecorder(m *metrics.Metrics, log io.Writer, level slog.Level, gateway string, leave func(x *exchange.Exchange, status int)) *Recorder {
	return &Recorder{metrics: m, log: log, level: level, gateway: gateway, leave: leave}
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
		if took := total - x.FirstByte; x.CompletionTokens > 1 && took > 0 {
			r.metrics.Speed(x.Model, x.CompletionTokens-1, took) // the first came at the beginning
		}
	}
	if v := x.Variant; v != nil {
		r.metrics.Alias(v.Alias, v.Name, e.Status, total)
	}
	r.metrics.Tokens(x.Model, x.PromptTokens, x.CompletionTokens)
	r.leave(x, e.Status)
	if x.Trace != nil {
		outcome := tracing.Outcome{
			Route: x.API, Model: x.Model, Node: x.Node, Cache: x.Cache, Status: e.Status, Retries: x.Retries,
			Prompt: x.PromptTokens, Answered: x.CompletionTokens, First: x.FirstByte, Cause: x.Cause,
		}
		if v := x.Variant; v != nil {
			outcome.Alias, outcome.Variant = v.Alias, v.Name
		}
		x.Trace.End(outcome)
	}

	level := slog.LevelInfo
	if e.Status >= 500 {
		level = slog.LevelWarn
	}
	if level >= r.level {
		r.write(level, total, overhead, x, e)
	}
}

func (r *Recorder) write(level slog.Level, total, overhead time.Duration, x *exchange.Exchange, e Entry) {
	space := lines.Get().(*line)
	defer lines.Put(space)
	l := (*space)[:0]
	l = append(l, `{"time":"`...)
	l = append(x.Start.Add(total).AppendFormat(l, time.RFC3339Nano), '"')
	l = l.text("level", level.String()).text("msg", "request").text("gateway", r.gateway)
	l = l.text("request", x.RequestID).text("trace", x.TraceID).text("method", e.Method).text("path", e.Path)
	l = l.text("api", x.API).number("status", int64(e.Status)).text("remote", e.Remote)
	l = l.seconds("seconds", total).seconds("overhead", overhead)
	l = l.text("model", x.Model).text("node", x.Node).text("cache", x.Cache)
	if v := x.Variant; v != nil {
		l = l.text("alias", v.Alias).text("variant", v.Name)
	}
	if x.Key != nil {
		l = l.text("key", x.Key.Name)
	}
	if x.FirstByte > 0 {
		l = l.seconds("first_byte", x.FirstByte)
	}
	if x.Retries > 0 {
		l = l.number("retries", int64(x.Retries))
	}
	if x.PromptTokens+x.CompletionTokens > 0 {
		l = l.number("prompt_tokens", x.PromptTokens).number("completion_tokens", x.CompletionTokens)
	}
	if x.Cause != nil {
		l = l.text("error", x.Cause.Error())
	}
	l = append(l, '}', '\n')
	_, _ = r.log.Write(l) // nowhere is left to report that logs can't be written
	*space = l
}
