//go:build integration

package cache_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/realparts"
)

type gateway struct {
	*cache.Cache
	cable   *realparts.Cable
	dial    func(ctx context.Context) (redis.Conn, error)
	metrics *metrics.Metrics
}

// run starts a gateway's cache over the real Redis.
func run(t *testing.T) gateway {
	t.Helper()
	cable, dial := realparts.LayToRedis(t)
	patient := settings
	patient.RedisTimeout = time.Second // what is tested is what happens, not how fast this machine is
	c, m := newCache(patient, dial)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return gateway{c, cable, dial, m}
}

func newKey() (k cache.Key) {
	_, _ = rand.Read(k[:]) // never fails
	return k
}

// newDigest is that of a model which no other test has.
func newDigest() string { return rand.Text() }

func (g gateway) written(t *testing.T) float64 {
	return value(t, g.metrics, "cache_writes_total", "result=stored")
}

func TestWhatOneGatewayKeepsAnotherGives(t *testing.T) {
	one, two := run(t), run(t)
	key, digest, body := newKey(), newDigest(), bytes.Repeat([]byte("data: {\"token\":1}\n\n"), 1000)
	if two.LookupShared(t.Context(), key, digest) != nil {
		t.Fatal("an answer that nobody gave is there")
	}
	one.Store(key, digest, "text/event-stream", body)
	eventually.True(t, "it is written", func() bool { return one.written(t) == 1 })
	answer := two.LookupShared(t.Context(), key, digest)
	if answer == nil || !bytes.Equal(answer.Body, body) || answer.ContentType != "text/event-stream" || answer.Digest != digest {
		t.Fatalf("%+v", answer)
	}
	if kept := two.Lookup(key); kept != answer {
		t.Error("what came from Redis is not kept in memory")
	}
	if two.LookupShared(t.Context(), key, newDigest()) != nil {
		t.Error("an answer is given for another digest")
	}
	conn, err := one.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	names, err := redis.Strings(conn.Do("KEYS", "ollamamax:answer:"+digest[:24]+":*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("keys %v: %v", names, err)
	}
	size, _ := redis.Int(conn.Do("STRLEN", names[0]))
	left, _ := redis.Int64(conn.Do("PTTL", names[0]))
	if size > len(body)/10 || left <= 0 || left > settings.TTL.Milliseconds() {
		t.Errorf("%d bytes for %d, to live %d ms: neither compressed nor bounded in time", size, len(body), left)
	}
	if _, err := conn.Do("SET", names[0], "what another version wrote"); err != nil {
		t.Fatal(err)
	}
	if run(t).LookupShared(t.Context(), key, digest) != nil {
		t.Error("a value that is no answer is given")
	}
}

func TestAnswersOfAChangedModelAreDeletedFromRedis(t *testing.T) {
	one, two := run(t), run(t)
	old, other := newDigest(), newDigest()
	keys := make([]cache.Key, 50)
	for i := range keys {
		keys[i] = newKey()
		one.Store(keys[i], old, "", []byte("body"))
	}
	kept := newKey()
	one.Store(kept, other, "", []byte("body"))
	eventually.True(t, "all are written", func() bool { return one.written(t) == 51 })
	one.Drop(old)
	eventually.True(t, "all are deleted", func() bool {
		for _, key := range keys {
			if two.LookupShared(t.Context(), key, old) != nil {
				return false
			}
		}
		return true
	})
	if two.LookupShared(t.Context(), kept, other) == nil {
		t.Error("another model's answer was deleted too")
	}
}

func TestRedisIsUsedAgainWhenItIsBack(t *testing.T) {
	one, two := run(t), run(t)
	digest, key := newDigest(), newKey()
	one.cable.Pull()
	for range 10 {
		if one.LookupShared(t.Context(), newKey(), digest) != nil {
			t.Fatal("an answer from nowhere")
		}
	}
	if skipped := value(t, one.metrics, "cache_requests_total", "level=redis", "result=skipped"); skipped == 0 {
		t.Error("Redis is asked all the time though it is away")
	}
	one.cable.Plug()
	eventually.True(t, "what is stored reaches the other", func() bool {
		one.Store(key, digest, "", []byte("body"))
		return two.LookupShared(t.Context(), key, digest) != nil
	})
	eventually.True(t, "Redis is asked again", func() bool { return one.LookupShared(t.Context(), key, digest) != nil })
}
