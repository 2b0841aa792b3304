package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

type source struct {
	mu    sync.Mutex
	keys  []Key
	err   error
	loads int
}

func (s *source) Keys(context.Context) ([]Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return s.keys, s.err
}

func (s *source) set(err error, keys ...Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.err = keys, err
}

func secret(text string) Key {
	return Key{Name: "test", Kind: Secret, Digest: sha256.Sum256([]byte(text))}
}

func ring(t *testing.T, s *source) *Keyring {
	t.Helper()
	k := NewKeyring(s, time.Minute, time.Minute, slog.New(slog.DiscardHandler), func(bool) {})
	_ = k.reload(t.Context()) // an absent database is part of some tests
	return k
}

// ask returns the status for a request with headers, and the request that came through.
func ask(k *Keyring, method, target string, headers ...string) (*httptest.ResponseRecorder, *http.Request) {
	var passed *http.Request
	handler := k.Require(func(r *http.Request) bool { return r.URL.Path == "/" },
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { passed = r }))
	r := httptest.NewRequestWithContext(context.Background(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w, passed
}

func TestAKnownKeyPassesAndAnyOtherIsRefused(t *testing.T) {
	k := ring(t, &source{keys: []Key{secret("right-key")}})
	for name, test := range map[string]struct {
		status  int
		headers []string
	}{
		"bearer":       {200, []string{"Authorization", "Bearer right-key"}},
		"lower case":   {200, []string{"Authorization", "bearer right-key"}},
		"x-api-key":    {200, []string{"X-Api-Key", "right-key"}},
		"none":         {401, nil},
		"wrong":        {401, []string{"Authorization", "Bearer wrong-key"}},
		"prefix":       {401, []string{"Authorization", "Bearer right-ke"}},
		"empty":        {401, []string{"Authorization", "Bearer "}},
		"other scheme": {401, []string{"Authorization", "Basic right-key"}},
		"the digest":   {401, []string{"Authorization", fmt.Sprintf("Bearer %x", sha256.Sum256([]byte("right-key")))}},
		"not signed":   {401, []string{"Authorization", "AAAA:BBBB"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, passed := ask(k, "GET", "/api/tags", test.headers...)
			if w.Code != test.status || (passed != nil) != (test.status == 200) {
				t.Errorf("status %d, passed %v; want %d", w.Code, passed != nil, test.status)
			}
			if test.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
	if w, _ := ask(k, "GET", "/"); w.Code != 200 {
		t.Errorf("a public path answers %d without a key", w.Code)
	}
}

func TestAKnownKeyCostsNoAllocation(t *testing.T) {
	k := ring(t, &source{keys: []Key{secret("right-key")}})
	bearer := "Bearer right-key"
	header := func(name string) string {
		if name == "Authorization" {
			return bearer
		}
		return ""
	}
	allocations := testing.AllocsPerRun(100, func() {
		if key, refusal := k.Authorize("POST", "/api/chat", "", header); refusal != nil || key.Name != "test" {
			t.Errorf("refused: %v", refusal)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestRefusalsHaveTheShapeOfTheAPI(t *testing.T) {
	k := ring(t, &source{})
	w, _ := ask(k, "GET", "/v1/models", "Authorization", "Bearer x")
	if want := `{"error":{"message":"the API key is not valid","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`; w.Body.String() != want {
		t.Errorf("OpenAI: %s", w.Body)
	}
	w, _ = ask(k, "GET", "/api/tags", "Authorization", "Bearer x")
	if want := `{"error":"the API key is not valid"}`; w.Body.String() != want {
		t.Errorf("Ollama: %s", w.Body)
	}
}

func TestWithoutTheDatabaseKnownKeysGoOnAndUnknownOnesGet503(t *testing.T) {
	s := &source{keys: []Key{secret("right-key")}}
	k := ring(t, s)
	s.set(errors.New("away"))
	k.tried = time.Time{} // the last reload is long ago
	if w, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer right-key"); w.Code != 200 {
		t.Errorf("known key: %d", w.Code)
	}
	if w, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer other"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("unknown key: %d %v", w.Code, w.Header())
	}
	if w, _ := ask(k, "GET", "/api/tags"); w.Code != 401 {
		t.Errorf("no key: %d", w.Code)
	}
}

func TestBeforeTheFirstSnapshotKeysAreUndecided(t *testing.T) {
	k := ring(t, &source{err: errors.New("away")})
	if k.Loaded() {
		t.Error("loaded without a snapshot")
	}
	if w, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer any"); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
}

func TestANewKeyWorksAtOnceAndGuessingCostsOneQueryASecond(t *testing.T) {
	s := &source{}
	k := ring(t, s)
	k.tried = time.Time{}
	s.set(nil, secret("new-key"))
	if w, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer new-key"); w.Code != 200 {
		t.Errorf("a key younger than the snapshot gets %d", w.Code)
	}
	before := s.loads
	for i := range 100 {
		ask(k, "GET", "/api/tags", "Authorization", fmt.Sprintf("Bearer guess-%d", i))
	}
	if s.loads-before > 1 {
		t.Errorf("100 guesses made %d queries", s.loads-before)
	}
}

func TestARevokedKeyStopsAtTheNextReload(t *testing.T) {
	s := &source{keys: []Key{secret("old-key")}}
	k := ring(t, s)
	s.set(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	k.Invalidate()
	deadline := time.Now().Add(5 * time.Second)
	for {
		w, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer old-key")
		if w.Code == 401 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still valid after 5 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	<-done
}

// sign makes the headers and the query of the ollama command line.
func sign(private ed25519.PrivateKey, method, path string, at time.Time) (authorization, target string) {
	public := private.Public().(ed25519.PublicKey)
	wire := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), public...)
	message := fmt.Sprintf("%s,%s?ts=%d", method, path, at.Unix())
	signature := ed25519.Sign(private, []byte(message))
	return base64.StdEncoding.EncodeToString(wire) + ":" + base64.StdEncoding.EncodeToString(signature),
		fmt.Sprintf("%s?ts=%d", path, at.Unix())
}

func TestSignedRequests(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, _ := ed25519.GenerateKey(nil)
	k := ring(t, &source{keys: []Key{{Name: "cli", Kind: PublicKey, Digest: [32]byte(public)}}})

	good, target := sign(private, "POST", "/api/chat", time.Now())
	w, passed := ask(k, "POST", target+"&keep=1", "Authorization", good)
	if w.Code != 200 || passed.URL.RawQuery != "keep=1" {
		t.Fatalf("signed request: %d, forwarded query %v", w.Code, passed)
	}
	for name, test := range map[string]struct {
		method, target, authorization string
	}{
		"another method": {"DELETE", target, good},
		"another path":   {"POST", strings.Replace(target, "chat", "pull", 1), good},
		"another time":   {"POST", "/api/chat?ts=1", good},
		"two times":      {"POST", target + "&ts=2", good},
		"no time":        {"POST", "/api/chat", good},
		"cut signature":  {"POST", target, good[:len(good)-8]},
		"no signature":   {"POST", target, good[:strings.Index(good, ":")+1]},
	} {
		if w, _ := ask(k, test.method, test.target, "Authorization", test.authorization); w.Code != 401 {
			t.Errorf("%s: %d, not 401", name, w.Code)
		}
	}
	for name, at := range map[string]time.Time{"replayed late": time.Now().Add(-61 * time.Second), "from the future": time.Now().Add(62 * time.Second)} {
		authorization, target := sign(private, "POST", "/api/chat", at)
		if w, _ := ask(k, "POST", target, "Authorization", authorization); w.Code != 401 || !strings.Contains(w.Body.String(), "signed time") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	authorization, target := sign(stranger, "POST", "/api/chat", time.Now())
	if w, _ := ask(k, "POST", target, "Authorization", authorization); w.Code != 401 {
		t.Errorf("unregistered key: %d", w.Code)
	}
	if w, _ := ask(k, "POST", "/api/chat", "Authorization", "Bearer "+string(public)); w.Code != 401 {
		t.Errorf("a public key shown as a secret: %d", w.Code)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	k := NewKeyring(&source{keys: []Key{secret("omx_0123456789abcdef0123456789abcdef0123456789ab")}}, time.Minute, time.Minute,
		slog.New(slog.DiscardHandler), func(bool) {})
	_ = k.reload(b.Context())
	bearer := "Bearer omx_0123456789abcdef0123456789abcdef0123456789ab"
	header := func(string) string { return bearer }
	for b.Loop() {
		_, _ = k.Authorize("POST", "/api/chat", "", header)
	}
}
