package access_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
)

func record(t *testing.T, level slog.Level, x *exchange.Exchange, e access.Entry) string {
	t.Helper()
	var out bytes.Buffer
	status := 0
	r := access.NewRecorder(metrics.New("test"), &out, level, "gateway-1", func(_ *exchange.Exchange, s int) { status = s })
	r.Record(x, e)
	if status != e.Status {
		t.Errorf("the account was told %d, not %d", status, e.Status)
	}
	return out.String()
}

func TestARequestIsOneLineOfJSON(t *testing.T) {
	x := &exchange.Exchange{
		Start: time.Now().Add(-1500 * time.Millisecond), RequestID: "r-1", API: "/api/chat", Model: "tiny:latest", Node: "worker-1", Cache: "miss",
		Key: &auth.Key{Name: "a \"key\"\n"}, FirstByte: 20 * time.Microsecond, Retries: 1, PromptTokens: 5, CompletionTokens: 3,
		Cause: errors.New("näher <b>"),
	}
	text := record(t, slog.LevelInfo, x, access.Entry{Method: "POST", Path: "/api/chat\x01", Remote: "10.0.0.1:5", Status: 200})
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "}\n") {
		t.Errorf("not one line: %q", text)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for name, value := range map[string]any{
		"level": "INFO", "msg": "request", "gateway": "gateway-1", "request": "r-1", "method": "POST", "path": "/api/chat\x01", "api": "/api/chat",
		"status": 200.0, "remote": "10.0.0.1:5", "model": "tiny:latest", "node": "worker-1", "cache": "miss", "key": "a \"key\"\n",
		"first_byte": 0.00002, "retries": 1.0, "prompt_tokens": 5.0, "completion_tokens": 3.0, "error": "näher <b>",
	} {
		if got[name] != value {
			t.Errorf("%s is %v, not %v", name, got[name], value)
		}
	}
	if seconds, _ := got["seconds"].(float64); seconds < 1.5 || seconds > 60 {
		t.Errorf("seconds is %v", got["seconds"])
	}
	if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("time is %v", got["time"])
	}
}

func TestWhatIsNotKnownIsLeftOutAndQuietLevelsSayTheWorstAlone(t *testing.T) {
	x := &exchange.Exchange{Start: time.Now(), API: "none"}
	text := record(t, slog.LevelInfo, x, access.Entry{Method: "GET", Path: "/", Status: 404})
	for _, name := range []string{"model", "node", "cache", "key", "first_byte", "retries", "tokens", "error", "request\":"} {
		if strings.Contains(text, name) {
			t.Errorf("%s is named in %s", name, text)
		}
	}
	if text := record(t, slog.LevelWarn, x, access.Entry{Status: 404}); text != "" {
		t.Errorf("at level warn: %s", text)
	}
	if text := record(t, slog.LevelWarn, x, access.Entry{Status: 503}); !strings.Contains(text, `"level":"WARN"`) {
		t.Errorf("at level warn, of a failure: %s", text)
	}
}

func TestHowFastAStreamCameIsOfWhatCameAfterItsFirstByte(t *testing.T) {
	m := metrics.New("test")
	r := access.NewRecorder(m, io.Discard, slog.LevelInfo, "gateway-1", func(*exchange.Exchange, int) {})
	for _, x := range []*exchange.Exchange{
		{FirstByte: time.Second, CompletionTokens: 21}, // twenty in a second
		{FirstByte: time.Second, CompletionTokens: 1},  // which came at the beginning
		{CompletionTokens: 21},                         // no stream
	} {
		x.Start, x.Model = time.Now().Add(-2*time.Second), "tiny:latest"
		r.Record(x, access.Entry{Status: 200})
	}
	speeds := metricstest.Read(t, m.Handler())["ollamamax_tokens_per_second"].GetMetric()
	if len(speeds) != 1 || speeds[0].GetHistogram().GetSampleCount() != 1 {
		t.Fatalf("%v", speeds)
	}
	if speed := speeds[0].GetHistogram().GetSampleSum(); speed < 15 || speed > 20.1 {
		t.Errorf("%v tokens a second", speed)
	}
}
