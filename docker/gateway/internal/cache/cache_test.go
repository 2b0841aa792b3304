package cache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
)

var settings = config.ResultCache{
	MemoryBytes: 1 << 20, MaxAnswerBytes: 64 << 10, TTL: time.Hour, RedisTimeout: 20 * time.Millisecond,
}

func away(context.Context) (redis.Conn, error) { return nil, errors.New("connection refused") }

func newCache(settings config.ResultCache, dial bus.Dial) (*cache.Cache, *metrics.Metrics) {
	m := metrics.New("tests")
	return cache.New(settings, dial, m, slog.New(slog.DiscardHandler)), m
}

func key(n int) cache.Key { return sha256.Sum256(fmt.Append(nil, n)) }

func value(t testing.TB, m *metrics.Metrics, metric string, labels ...string) float64 {
	t.Helper()
	return metricstest.Sum(t, m.Handler(), "ollamamax_"+metric, labels...)
}

func TestWhatIsKeptIsGivenAsItWas(t *testing.T) {
	c, m := newCache(settings, away)
	if c.Lookup(key(1)) != nil {
		t.Fatal("an empty cache answers")
	}
	c.Store(key(1), "digest", "application/x-ndjson", []byte("{\"done\":false}\n{\"done\":true}\n"))
	answer := c.Lookup(key(1))
	if answer == nil || string(answer.Body) != "{\"done\":false}\n{\"done\":true}\n" || answer.ContentType != "application/x-ndjson" {
		t.Errorf("%+v", answer)
	}
	if hits, misses := value(t, m, "cache_requests_total", "level=memory", "result=hit"), value(t, m, "cache_requests_total", "level=memory", "result=miss"); hits != 1 || misses != 1 {
		t.Errorf("%v hits and %v misses counted, not 1 and 1", hits, misses)
	}
}

func TestAnswersAreForgottenWhenTheyAreTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newCache(settings, away)
		c.Store(key(1), "digest", "", []byte("body"))
		time.Sleep(settings.TTL - time.Second)
		if c.Lookup(key(1)) == nil {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		if c.Lookup(key(1)) != nil {
			t.Error("an answer outlives resultCache.ttl")
		}
	})
}

func TestMemoryIsBoundedAndTheAnswersUsedLastAreKept(t *testing.T) {
	c, m := newCache(settings, away)
	for i := range 100 {
		c.Store(key(i), "digest", "", bytes.Repeat([]byte("x"), 60<<10))
		if c.Lookup(key(0)) == nil {
			t.Fatalf("the answer that is asked for all the time was dropped at the %dth", i)
		}
	}
	if size := value(t, m, "cache_bytes"); size > float64(settings.MemoryBytes) || size < float64(settings.MemoryBytes)/2 {
		t.Errorf("%v bytes are kept, the limit is %d", size, settings.MemoryBytes)
	}
	if c.Lookup(key(99)) == nil || c.Lookup(key(50)) != nil {
		t.Error("not the answers used last are kept")
	}
	c.Shed(0.5)
	if size := value(t, m, "cache_bytes"); size > float64(settings.MemoryBytes)/2 {
		t.Errorf("%v bytes are left after shedding", size)
	}
	c.Shed(0)
	if entries, size := value(t, m, "cache_entries"), value(t, m, "cache_bytes"); entries != 0 || size != 0 {
		t.Errorf("%v entries of %v bytes are left after shedding all", entries, size)
	}
}

func TestWhatIsStoredAgainCountsOnce(t *testing.T) {
	c, m := newCache(settings, away)
	c.Store(key(1), "digest", "", []byte("first"))
	once := value(t, m, "cache_bytes")
	c.Store(key(1), "digest", "", []byte("again"))
	if string(c.Lookup(key(1)).Body) != "again" || value(t, m, "cache_bytes") != once {
		t.Error("an answer stored again is counted twice, or not taken")
	}
}

func TestRoomThatABodyHasToSpareIsNotKept(t *testing.T) {
	c, _ := newCache(settings, away)
	c.Store(key(1), "digest", "", make([]byte, 1000, 32<<10))
	if spare := cap(c.Lookup(key(1)).Body) - 1000; spare > 250 {
		t.Errorf("%d bytes are kept for nothing, and not counted", spare)
	}
}

func TestAnAnswerLargerThanTheLimitIsNotKept(t *testing.T) {
	c, _ := newCache(settings, away)
	c.Store(key(1), "digest", "", make([]byte, settings.MaxAnswerBytes+1))
	if c.Lookup(key(1)) != nil {
		t.Error("kept")
	}
}

func TestAChangedModelsAnswersAreDroppedAndNoOthers(t *testing.T) {
	c, _ := newCache(settings, away)
	c.Store(key(1), "old", "", []byte("body"))
	c.Store(key(2), "other", "", []byte("body"))
	c.Drop("old")
	if c.Lookup(key(1)) != nil || c.Lookup(key(2)) == nil {
		t.Error("not the answers of the changed model alone were dropped")
	}
}

func TestWithoutRedisNoRequestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := func(context.Context) (redis.Conn, error) {
			time.Sleep(2 * time.Second)
			return nil, errors.New("timeout")
		}
		c, m := newCache(settings, hanging)
		began := time.Now()
		for range 10 {
			c.LookupShared(t.Context(), key(1), "digest")
		}
		if waited := time.Since(began); waited != 3*settings.RedisTimeout {
			t.Errorf("ten requests waited %s for a Redis that hangs: three in a row are enough to know", waited)
		}
		time.Sleep(time.Second)
		for range 10 {
			c.LookupShared(t.Context(), key(1), "digest")
		}
		if asked := value(t, m, "cache_requests_total", "level=redis", "result=error"); asked != 4 {
			t.Errorf("%v questions failed, not three and one to see whether Redis is back", asked)
		}
		if skipped := value(t, m, "cache_requests_total", "level=redis", "result=skipped"); skipped != 16 {
			t.Errorf("%v questions were not asked, not 16", skipped)
		}
		time.Sleep(10 * time.Second) // the last dials end
	})
}

func TestClientsThatLeaveAreNoFailuresOfRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := func(context.Context) (redis.Conn, error) {
			time.Sleep(2 * time.Second)
			return nil, errors.New("timeout")
		}
		c, m := newCache(settings, hanging)
		left, leave := context.WithCancel(t.Context())
		leave()
		for range 10 {
			c.LookupShared(left, key(1), "digest")
		}
		if skipped := value(t, m, "cache_requests_total", "level=redis", "result=skipped"); skipped != 0 {
			t.Errorf("%v questions were not asked of a Redis that nobody has waited for", skipped)
		}
		time.Sleep(10 * time.Second) // the last dials end
	})
}

func TestWritesThatRedisCannotTakeAreDropped(t *testing.T) {
	c, m := newCache(settings, away) // and nobody runs it
	for i := range 2000 {
		c.Store(key(i), "digest", "", make([]byte, 32<<10))
	}
	if dropped := value(t, m, "cache_writes_total", "result=dropped"); dropped < 1400 {
		t.Errorf("%v of 2,000 writes were dropped: too many wait", dropped)
	}
}

func TestPolicy(t *testing.T) {
	type given struct {
		deterministic, commands bool
		cacheControl, header    string
	}
	for g, want := range map[given]cache.Policy{
		{deterministic: true}:                 {Read: true, Write: true},
		{}:                                    {},
		{header: "use"}:                       {Read: true, Write: true},
		{header: "hit"}:                       {},
		{deterministic: true, commands: true}: {},
		{header: "use", commands: true}:       {},
		{deterministic: true, cacheControl: "no-store"}:                    {},
		{header: "use", cacheControl: "max-age=0, No-Store"}:               {},
		{deterministic: true, cacheControl: "no-cache"}:                    {Write: true},
		{deterministic: true, cacheControl: "max-age=0"}:                   {Write: true},
		{deterministic: true, cacheControl: "private"}:                     {Read: true, Write: true, Private: true},
		{deterministic: true, cacheControl: "private, no-cache, max-age="}: {Write: true, Private: true},
	} {
		if policy := cache.Decide(g.deterministic, g.commands, g.cacheControl, g.header); policy != want {
			t.Errorf("%+v: %+v, not %+v", g, policy, want)
		}
	}
}

// TestACacheAnswersTheSameQuestionAlone: another digest, another tenant, other options, another route and
// other headers are other questions.
func TestACacheAnswersTheSameQuestionAlone(t *testing.T) {
	c, _ := newCache(settings, away)
	if err := quick.Check(func(one, other cache.Question) bool {
		c.Store(one.Key(), one.Digest, "", []byte(one.Tenant))
		if answer := c.Lookup(one.Key()); answer == nil || string(answer.Body) != one.Tenant {
			return false
		}
		changed := []cache.Question{one, one, one, one, one, one, one}
		changed[0].Digest, changed[1].Tenant, changed[2].Target = other.Digest, other.Tenant, other.Target
		changed[3].Accept, changed[4].ContentType, changed[5].Body = other.Accept, other.ContentType, other.Body
		changed[6].Shared = other.Shared
		for i, question := range changed {
			same := reflect.DeepEqual(question, one) || (i == 1 && one.Shared)
			if kept := c.Lookup(question.Key()) != nil; kept != same {
				return false
			}
		}
		return true
	}, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func TestOptionsOfARequestAreInItsKey(t *testing.T) {
	question := func(body string) cache.Key {
		q := cache.Question{Target: "/api/generate", Digest: "d", Tenant: "t", Body: []byte(body)}
		return q.Key()
	}
	base := question(`{"model":"m","prompt":"p","options":{"temperature":0,"num_ctx":2048}}`)
	for _, body := range []string{
		`{"model":"m","prompt":"p","options":{"temperature":0,"num_ctx":4096}}`,
		`{"model":"m","prompt":"p","options":{"temperature":0,"num_ctx":2048},"stream":false}`,
		`{"model":"m","prompt":"p","options":{"temperature":0,"num_ctx":2048},"system":"s"}`,
		`{"model":"alias","prompt":"p","options":{"temperature":0,"num_ctx":2048}}`,
	} {
		if question(body) == base {
			t.Errorf("%s has the key of another request", body)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("/api/chat", "d", "t", false, []byte(nil), []byte(nil), []byte("body"), "/api/chat", "dt", "", true, []byte(nil), []byte(nil), []byte("body"))
	f.Add("", "", "", false, []byte(nil), []byte(nil), []byte(nil), "", "", "", false, []byte(nil), []byte(nil), []byte{0, 0, 0, 0, 0, 0, 0, 0})
	// What ends one part and begins the next is in the key.
	f.Add("/api/chat", "d", "t", false, []byte("c"), []byte("a"), []byte("b"), "/api/cha", "td", "t", false, []byte("c"), []byte("a"), []byte("b"))
	f.Add("/api/chat", "d", "t", false, []byte("c"), []byte("a"), []byte("b"), "/api/chat", "dt", "", false, []byte("c"), []byte("a"), []byte("b"))
	f.Add("/api/chat", "d", "t", false, []byte("c"), []byte("a"), []byte("b"), "/api/chat", "d", "tc", false, []byte(nil), []byte("a"), []byte("b"))
	f.Add("/api/chat", "d", "t", false, []byte("c"), []byte("a"), []byte("b"), "/api/chat", "d", "t", false, []byte("ca"), []byte(nil), []byte("b"))
	f.Add("/api/chat", "d", "t", false, []byte("c"), []byte("a"), []byte("b"), "/api/chat", "d", "t", false, []byte("c"), []byte("ab"), []byte(nil))
	f.Fuzz(func(t *testing.T, target, digest, tenant string, shared bool, contentType, accept, body []byte,
		target2, digest2, tenant2 string, shared2 bool, contentType2, accept2, body2 []byte,
	) {
		one := cache.Question{Target: target, Digest: digest, Tenant: tenant, Shared: shared, ContentType: contentType, Accept: accept, Body: body}
		two := cache.Question{Target: target2, Digest: digest2, Tenant: tenant2, Shared: shared2, ContentType: contentType2, Accept: accept2, Body: body2}
		same := target == target2 && digest == digest2 && shared == shared2 && (shared || tenant == tenant2) &&
			bytes.Equal(contentType, contentType2) && bytes.Equal(accept, accept2) && bytes.Equal(body, body2)
		if equal := one.Key() == two.Key(); equal != same {
			t.Errorf("equal keys: %v, equal questions: %v", equal, same)
		}
		if again := one; again.Key() != one.Key() {
			t.Error("a question has two keys")
		}
	})
}

func TestAHitAllocatesNothingOfItsOwn(t *testing.T) {
	c, _ := newCache(settings, away)
	question := cache.Question{Target: "/api/chat", Digest: "digest", Tenant: "key", Body: bytes.Repeat([]byte("x"), 200)}
	c.Store(question.Key(), "digest", "", []byte("body"))
	if allocations := testing.AllocsPerRun(100, func() {
		if c.Lookup(question.Key()) == nil {
			t.Fatal("not kept")
		}
	}); allocations > 1 { // the race detector has pools forget things now and then
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkHit(b *testing.B) {
	c, _ := newCache(settings, away)
	question := cache.Question{Target: "/api/chat", Digest: "sha256:0123456789abcdef", Tenant: "key", Body: bytes.Repeat([]byte("x"), 200)}
	c.Store(question.Key(), "digest", "", make([]byte, 1024))
	b.ReportAllocs()
	for b.Loop() {
		if c.Lookup(question.Key()) == nil {
			b.Fatal("not kept")
		}
	}
}
