package gate

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/limits"
	"ollamamax/gateway/internal/memory"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/usage"
)

type source []auth.Key

func (s source) Keys(context.Context) ([]auth.Key, error) { return s, nil }

// entrance returns a gate that knows keys.
func entrance(t testing.TB, keys ...auth.Key) *Gate {
	t.Helper()
	m := metrics.New("test")
	log := slog.New(slog.DiscardHandler)
	l := limits.New(m.Limited)
	ring := auth.NewKeyring(source(keys), time.Minute, time.Minute, log, func(bool) {}, func(keys []auth.Key) { l.Know(keys) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); ring.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually.True(t, "keys are loaded", ring.Loaded)
	return New(ring, l, usage.New("gateway-1", nil, l, config.Usage{}, m, log), memory.New(config.Default().Memory, nil, m, log), config.Default().Server.MaxBodyBytes)
}

func secret(text string, limits auth.Limits) auth.Key {
	return auth.Key{ID: 7, Name: "test", Kind: auth.Issued, Digest: sha256.Sum256([]byte(text)), Scopes: auth.Inference, Limits: limits}
}

// ask sends a request through the gate and returns the answer, and the request and exchange that came through.
func ask(g *Gate, method, target, authorization string) (*httptest.ResponseRecorder, *http.Request, *exchange.Exchange) {
	var passed *http.Request
	handler := g.Require(func(r *http.Request) bool { return r.URL.Path == "/" },
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { passed = r }))
	x := &exchange.Exchange{Start: time.Now()}
	r := httptest.NewRequestWithContext(exchange.With(context.Background(), x), method, target, nil)
	r.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w, passed, x
}

func TestRefusalsHaveTheShapeOfTheAPI(t *testing.T) {
	g := entrance(t, secret("key", auth.Limits{}))
	for _, test := range []struct{ method, path, key, want string }{
		{"POST", "/v1/embeddings", "x", `401 {"error":{"message":"the API key is not valid","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`},
		{"POST", "/api/chat", "x", `401 {"error":"the API key is not valid"}`},
		{"GET", "/v1/models", "key", `403 {"error":{"message":"the API key lacks the scope \"models:read\", which this takes","type":"invalid_request_error","param":null,"code":"insufficient_permissions"}}`},
		{"GET", "/api/tags", "key", `403 {"error":"the API key lacks the scope \"models:read\", which this takes"}`},
	} {
		w, passed, x := ask(g, test.method, test.path, "Bearer "+test.key)
		if got := fmt.Sprint(w.Code, " ", w.Body); got != test.want || passed != nil || x.Key != nil {
			t.Errorf("%s:\n got %s\nwant %s", test.path, got, test.want)
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%d with WWW-Authenticate %q", w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	if w, passed, _ := ask(g, "GET", "/", ""); passed == nil {
		t.Errorf("a public path answers %d without a key", w.Code)
	}
}

func TestLimitsAreInTheHeadersOfEveryAnswer(t *testing.T) {
	g := entrance(t, secret("key", auth.Limits{RequestsPerMinute: 2, TokensPerMinute: 100}))
	for _, want := range []string{"200 1 100", "200 0 40", "429 0 40"} {
		w, _, x := ask(g, "POST", "/v1/chat/completions", "Bearer key")
		h := w.Header()
		if got := fmt.Sprint(w.Code, " ", h.Get("x-ratelimit-remaining-requests"), " ", h.Get("x-ratelimit-remaining-tokens")); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if (w.Code == 429) != (h.Get("Retry-After") != "") {
			t.Errorf("%d with Retry-After %q", w.Code, h.Get("Retry-After"))
		}
		if want == "200 1 100" {
			x.PromptTokens, x.CompletionTokens = 50, 10
			g.Leave(x, 200)
		}
	}
}

func TestAnUnlimitedKeysAnswersHaveNoHeadersOfLimits(t *testing.T) {
	g := entrance(t, secret("key", auth.Limits{}))
	w, _, _ := ask(g, "POST", "/api/chat", "Bearer key")
	for name := range w.Header() {
		if strings.HasPrefix(name, "X-Ratelimit") {
			t.Errorf("%s: %s", name, w.Header().Get(name))
		}
	}
}

// bounded is memory for so many bytes.
type bounded struct{ room, claimed int64 }

func (b *bounded) Take(length int64) (claimed int64, ok bool) {
	length = max(0, length)
	if b.claimed+length > b.room {
		return 0, false
	}
	b.claimed += length
	return length, true
}

func (b *bounded) Give(claimed int64) { b.claimed -= claimed }

func TestACompressedBodyClaimsTheMostThatItMayBecomeAndGivesItBack(t *testing.T) {
	g := entrance(t, secret("key", auth.Limits{}))
	room := &bounded{room: 3 << 20}
	g.memory = room
	send := func(encoding string, length int64) (status int, x *exchange.Exchange) {
		x = &exchange.Exchange{Start: time.Now()}
		r := httptest.NewRequestWithContext(exchange.With(context.Background(), x), "POST", "/api/chat", nil)
		r.Header.Set("Authorization", "Bearer key")
		r.Header.Set("Content-Encoding", encoding)
		r.ContentLength = length
		w := httptest.NewRecorder()
		g.Require(func(*http.Request) bool { return false }, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code, x
	}
	for _, c := range []struct {
		encoding       string
		length, claims int64
		status         int
	}{
		{"", 300, 300, 200},
		{"identity", 300, 300, 200},
		{"gzip", 300, 1 << 20, 200},
		{"br", 20_000, 2_000_000, 200},
		{"zstd", 40_000, 0, 503},
		{"gzip", -1, 0, 503},
	} {
		status, x := send(c.encoding, c.length)
		if status != c.status || x.Claimed != c.claims || room.claimed != c.claims {
			t.Errorf("%q of %d bytes: %d, %d bytes are claimed and %d taken", c.encoding, c.length, status, x.Claimed, room.claimed)
		}
		g.Leave(x, status)
		if room.claimed != 0 {
			t.Errorf("%q of %d bytes: %d bytes are not given back", c.encoding, c.length, room.claimed)
		}
	}

	var under []*exchange.Exchange
	for range 3 {
		_, x := send("gzip", 300)
		under = append(under, x)
	}
	if status, _ := send("gzip", 300); status != 503 {
		t.Errorf("a fourth megabyte is let in with %d", status)
	}
	for _, x := range under {
		x.Became(700)
	}
	if room.claimed != 3*700 {
		t.Errorf("%d bytes are claimed by three bodies that became 700 bytes each", room.claimed)
	}
	for _, x := range under {
		g.Leave(x, 200)
	}
	if room.claimed != 0 {
		t.Errorf("%d bytes are not given back at the end", room.claimed)
	}
}

func TestTheTimeOfASignatureIsNotPassedOn(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	g := entrance(t, auth.Key{Kind: auth.PublicKey, Digest: [32]byte(public), Scopes: auth.Admin})
	signed := fmt.Sprintf("/api/chat?ts=%d", time.Now().Unix())
	wire := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), public...)
	authorization := base64.StdEncoding.EncodeToString(wire) + ":" +
		base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte("POST,"+signed)))
	w, passed, _ := ask(g, "POST", signed+"&keep=1", authorization)
	if passed == nil || passed.URL.RawQuery != "keep=1" {
		t.Errorf("%d, %v", w.Code, passed)
	}
}

func TestARequestCostsNoAllocation(t *testing.T) {
	g := entrance(t, secret("key", auth.Limits{RequestsPerMinute: 1e9, TokensPerMinute: 1e9, TokensPerMonth: 1e12}))
	x := &exchange.Exchange{Model: "tiny:latest", PromptTokens: 1, CompletionTokens: 1}
	header := func(name string) string {
		if name == "Authorization" {
			return "Bearer key"
		}
		return ""
	}
	one := func() {
		x.Start = time.Now()
		x.Key, _, _ = g.Enter(x, "POST", "/api/chat", "", 0, header)
		g.Leave(x, 200)
	}
	for range 1000 {
		one() // every shard of the meter has met the key
	}
	if n := testing.AllocsPerRun(100, one); n != 0 || x.Key == nil {
		t.Errorf("%v allocations, key %v", n, x.Key)
	}
}

func BenchmarkEnterAndLeave(b *testing.B) {
	g := entrance(b, secret("omx_0123456789012345678901234567890123456789012", auth.Limits{RequestsPerMinute: 1e9, TokensPerMinute: 1e9}))
	header := func(string) string { return "Bearer omx_0123456789012345678901234567890123456789012" }
	b.RunParallel(func(pb *testing.PB) {
		x := &exchange.Exchange{Model: "tiny:latest", PromptTokens: 1, CompletionTokens: 1}
		for pb.Next() {
			x.Start = time.Now()
			x.Key, _, _ = g.Enter(x, "POST", "/api/chat", "", 0, header)
			g.Leave(x, 200)
		}
	})
}
