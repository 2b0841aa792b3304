//go:build integration

package cache_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/metrics"
)

// link dials Redis through a cable that a test can pull.
type link struct {
	pulled atomic.Bool
	open   atomic.Pointer[net.Conn]
}

func (l *link) dial(ctx context.Context) (redis.Conn, error) {
	if l.pulled.Load() {
		return nil, errors.New("pulled")
	}
	folder, address := os.Getenv("OLLAMAMAX_TEST_SECRETS"), os.Getenv("OLLAMAMAX_TEST_REDIS")
	if folder == "" || address == "" {
		return nil, errors.New("OLLAMAMAX_TEST_SECRETS or OLLAMAMAX_TEST_REDIS is not set: tests/gateway starts the real parts and sets them")
	}
	password, err := os.ReadFile(folder + "/redis-password")
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(folder + "/ca.pem")
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	return redis.DialContext(ctx, "tcp", address, redis.DialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			l.open.Store(&conn)
		}
		return conn, err
	}), redis.DialUseTLS(true), redis.DialTLSConfig(&tls.Config{RootCAs: trusted, ServerName: host, MinVersion: tls.VersionTLS12}),
		redis.DialPassword(strings.TrimSpace(string(password))))
}

// pull breaks the connection in use and keeps others from being made.
func (l *link) pull() {
	l.pulled.Store(true)
	if conn := l.open.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

type gateway struct {
	*cache.Cache
	link    *link
	metrics *metrics.Metrics
}

// run starts a gateway's cache over the real Redis.
func run(t *testing.T) gateway {
	t.Helper()
	l := &link{}
	conn, err := l.dial(t.Context())
	if err != nil {
		t.Fatalf("redis: %v", err)
	}
	_ = conn.Close()
	patient := settings
	patient.RedisTimeout = time.Second // what is tested is what happens, not how fast this machine is
	c, m := newCache(patient, l.dial)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return gateway{c, l, m}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func newKey() (k cache.Key) {
	_, _ = rand.Read(k[:]) // never fails
	return k
}

// newDigest is that of a model which no other test has.
func newDigest() string { return rand.Text() }

func (g gateway) written(t *testing.T) float64 {
	return value(t, g.metrics, "cache_writes_total", "stored")
}

func TestWhatOneGatewayKeepsAnotherGives(t *testing.T) {
	one, two := run(t), run(t)
	key, digest, body := newKey(), newDigest(), bytes.Repeat([]byte("data: {\"token\":1}\n\n"), 1000)
	if two.LookupShared(t.Context(), key, digest) != nil {
		t.Fatal("an answer that nobody gave is there")
	}
	one.Store(key, digest, "text/event-stream", body)
	eventually(t, "it is written", func() bool { return one.written(t) == 1 })
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
	conn, err := one.link.dial(t.Context())
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
	eventually(t, "all are written", func() bool { return one.written(t) == 51 })
	one.Drop(old)
	eventually(t, "all are deleted", func() bool {
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
	one.link.pull()
	for range 10 {
		if one.LookupShared(t.Context(), newKey(), digest) != nil {
			t.Fatal("an answer from nowhere")
		}
	}
	if skipped := value(t, one.metrics, "cache_requests_total", "redis", "skipped"); skipped == 0 {
		t.Error("Redis is asked all the time though it is away")
	}
	one.link.pulled.Store(false)
	eventually(t, "what is stored reaches the other", func() bool {
		one.Store(key, digest, "", []byte("body"))
		return two.LookupShared(t.Context(), key, digest) != nil
	})
	eventually(t, "Redis is asked again", func() bool { return one.LookupShared(t.Context(), key, digest) != nil })
}
