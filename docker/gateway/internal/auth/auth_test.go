package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/reply"
)

type source struct {
	mu    sync.Mutex
	keys  []Key
	err   error
	loads int
	hold  chan struct{} // answers wait for it, if set
}

func (s *source) Keys(context.Context) ([]Key, error) {
	s.mu.Lock()
	s.loads++
	keys, err, hold := s.keys, s.err, s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return keys, err
}

func (s *source) set(err error, keys ...Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.err = keys, err
}

func secret(text string) Key {
	return Key{Name: "test", Kind: Secret, Digest: sha256.Sum256([]byte(text)), Scopes: Admin}
}

func ring(t *testing.T, s *source) *Keyring {
	t.Helper()
	k := NewKeyring(s, time.Minute, time.Minute, slog.New(slog.DiscardHandler), func(bool) {}, func([]Key) {})
	_, _ = k.reload(t.Context()) // an absent database is part of some tests
	return k
}

// ask returns the status for a request with headers, 200 for one that passes, and the refusal of another.
func ask(k *Keyring, method, target string, headers ...string) (int, *reply.Refusal) {
	return askAt(time.Now(), k, method, target, headers...)
}

func askAt(now time.Time, k *Keyring, method, target string, headers ...string) (int, *reply.Refusal) {
	path, query, _ := strings.Cut(target, "?")
	key, refusal := k.Authorize(now, method, path, query, func(name string) string {
		for i := 0; i < len(headers); i += 2 {
			if headers[i] == name {
				return headers[i+1]
			}
		}
		return ""
	})
	if (key == nil) != (refusal != nil) {
		panic("neither let in nor refused, or both")
	}
	if refusal != nil {
		return refusal.Status, refusal
	}
	return 200, nil
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
			if status, _ := ask(k, "GET", "/api/tags", test.headers...); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
		})
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
		if key, refusal := k.Authorize(time.Now(), "POST", "/api/chat", "", header); refusal != nil || key.Name != "test" {
			t.Errorf("refused: %v", refusal)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestWithoutTheDatabaseKnownKeysGoOnAndUnknownOnesGet503(t *testing.T) {
	s := &source{keys: []Key{secret("right-key")}}
	k := ring(t, s)
	s.set(errors.New("away"))
	k.tried = time.Time{} // the last reload is long ago
	if status, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer right-key"); status != 200 {
		t.Errorf("known key: %d", status)
	}
	if status, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer other"); status != 503 {
		t.Errorf("unknown key: %d", status)
	}
	if status, _ := ask(k, "GET", "/api/tags"); status != 401 {
		t.Errorf("no key: %d", status)
	}
}

func TestBeforeTheFirstSnapshotKeysAreUndecided(t *testing.T) {
	k := ring(t, &source{err: errors.New("away")})
	if k.Loaded() {
		t.Error("loaded without a snapshot")
	}
	if status, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer any"); status != 503 {
		t.Errorf("status %d", status)
	}
}

func TestANewKeyWorksAtOnceAndGuessingCostsOneQueryASecond(t *testing.T) {
	s := &source{}
	k := ring(t, s)
	k.tried = time.Time{}
	s.set(nil, secret("new-key"))
	if status, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer new-key"); status != 200 {
		t.Errorf("a key younger than the snapshot gets %d", status)
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
	eventually.True(t, "no longer valid", func() bool {
		status, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer old-key")
		return status == 401
	})
	cancel()
	<-done
}

func TestARevokedKeyStopsThoughAQueryFromBeforeIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{keys: []Key{secret("old-key")}}
		k := ring(t, s)
		s.hold = make(chan struct{})
		time.Sleep(2 * freshFor)
		go ask(k, "GET", "/api/tags", "Authorization", "Bearer a-guess")
		synctest.Wait() // for the answer to its query, which has the key
		s.set(nil)
		ctx, cancel := context.WithCancel(t.Context())
		go k.Run(ctx)
		synctest.Wait()
		close(s.hold)
		synctest.Wait()
		if status, _ := ask(k, "GET", "/api/tags", "Authorization", "Bearer old-key"); status != 401 {
			t.Errorf("after the reload: %d", status)
		}
		cancel()
		synctest.Wait()
	})
}

func TestAKeyDoesWhatItsScopesSayAndNoMore(t *testing.T) {
	for route, needed := range map[string]string{
		"POST /api/generate":         "inference",
		"POST /v1/chat/completions":  "inference",
		"POST /v1/messages":          "inference",
		"GET /api/tags":              "models:read",
		"GET /v1/models/tiny":        "models:read",
		"POST /api/show":             "models:read",
		"GET /api/v1/models/tiny":    "models:read",
		"POST /api/pull":             "models:write",
		"DELETE /api/delete":         "models:write",
		"HEAD /api/blobs/sha256:00":  "models:write",
		"PUT /api/v1/models/tiny":    "models:write",
		"GET /api/v1/nodes":          "nodes",
		"POST /api/v1/nodes/a/drain": "nodes",
		"GET /api/v1/metrics":        "nodes",
		"GET /ws":                    "nodes",
		"POST /api/v1/keys":          "keys",
		"DELETE /api/v1/keys/7":      "keys",
		"GET /api/v1/usage":          "usage:read",
		"GET /api/version":           "",
		"GET /api/v1/keysandmore":    "admin",
		"POST /api/generate/":        "admin",
		"GET /api/generate":          "admin",
		"POST /no/such/route":        "admin",
	} {
		method, path, _ := strings.Cut(route, " ")
		for _, name := range append(ScopeNames(), "") {
			key := secret("key")
			key.Scopes, _ = ParseScopes(strings.Fields(name))
			k := ring(t, &source{keys: []Key{key}})
			want := 403
			if name == needed || name == "admin" || needed == "" {
				want = 200
			}
			if status, _ := ask(k, method, path, "Authorization", "Bearer key"); status != want {
				t.Errorf("%s with scope %q: %d, not %d", route, name, status, want)
			}
		}
	}
}

func TestScopesAreReadAsTheyAreWritten(t *testing.T) {
	all, err := ParseScopes(ScopeNames())
	if err != nil || strings.Join(all.Names(), " ") != strings.Join(ScopeNames(), " ") {
		t.Errorf("%v, %v", all.Names(), err)
	}
	if _, err := ParseScopes([]string{"keys", "root"}); err == nil || !strings.Contains(err.Error(), `"root" is no scope`) {
		t.Errorf("root: %v", err)
	}
}

func TestAKeyThatHasExpiredSaysSo(t *testing.T) {
	now := time.Now()
	key := secret("key")
	key.Expires = now.Add(time.Hour)
	k := ring(t, &source{keys: []Key{key}})
	if status, _ := askAt(now, k, "GET", "/api/tags", "Authorization", "Bearer key"); status != 200 {
		t.Errorf("an hour before: %d", status)
	}
	if status, why := askAt(now.Add(time.Hour), k, "GET", "/api/tags", "Authorization", "Bearer key"); status != 401 || why.Message != "the API key has expired" {
		t.Errorf("at its end: %d %v", status, why)
	}
}

func TestTheSecretBeforeARotationIsGoodForAWhile(t *testing.T) {
	now := time.Now()
	key := secret("new")
	key.Previous, key.PreviousUntil = sha256.Sum256([]byte("old")), now.Add(time.Hour)
	k := ring(t, &source{keys: []Key{key}})
	for _, test := range []struct {
		secret string
		after  time.Duration
		want   int
	}{{"new", 0, 200}, {"old", 0, 200}, {"old", 59 * time.Minute, 200}, {"old", time.Hour, 401}, {"new", time.Hour, 200}} {
		if status, _ := askAt(now.Add(test.after), k, "GET", "/api/tags", "Authorization", "Bearer "+test.secret); status != test.want {
			t.Errorf("the %s secret after %v: %d, not %d", test.secret, test.after, status, test.want)
		}
	}
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
	k := ring(t, &source{keys: []Key{{Name: "cli", Kind: PublicKey, Digest: [32]byte(public), Scopes: Admin}}})

	good, target := sign(private, "POST", "/api/chat", time.Now())
	if status, why := ask(k, "POST", target+"&keep=1", "Authorization", good); status != 200 {
		t.Fatalf("signed request: %d %v", status, why)
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
		if status, _ := ask(k, test.method, test.target, "Authorization", test.authorization); status != 401 {
			t.Errorf("%s: %d, not 401", name, status)
		}
	}
	for name, at := range map[string]time.Time{"replayed late": time.Now().Add(-61 * time.Second), "from the future": time.Now().Add(62 * time.Second)} {
		authorization, target := sign(private, "POST", "/api/chat", at)
		if status, why := ask(k, "POST", target, "Authorization", authorization); status != 401 || !strings.Contains(why.Message, "signed time") {
			t.Errorf("%s: %d %v", name, status, why)
		}
	}
	authorization, target := sign(stranger, "POST", "/api/chat", time.Now())
	if status, _ := ask(k, "POST", target, "Authorization", authorization); status != 401 {
		t.Errorf("unregistered key: %d", status)
	}
	if status, _ := ask(k, "POST", "/api/chat", "Authorization", "Bearer "+string(public)); status != 401 {
		t.Errorf("a public key shown as a secret: %d", status)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	k := NewKeyring(&source{keys: []Key{secret("omx_0123456789abcdef0123456789abcdef0123456789ab")}}, time.Minute, time.Minute,
		slog.New(slog.DiscardHandler), func(bool) {}, func([]Key) {})
	_, _ = k.reload(b.Context())
	bearer := "Bearer omx_0123456789abcdef0123456789abcdef0123456789ab"
	header := func(string) string { return bearer }
	for b.Loop() {
		_, _ = k.Authorize(time.Now(), "POST", "/api/chat", "", header)
	}
}
