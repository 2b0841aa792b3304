//go:build integration

package bus_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/bus"
)

// link dials Redis through a cable that a test can pull.
type link struct {
	mu     sync.Mutex
	pulled bool
	failed int // dials while it was pulled
	open   []net.Conn
}

func (l *link) dial(ctx context.Context) (redis.Conn, error) {
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
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.pulled {
			l.failed++
			return nil, errors.New("pulled")
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			l.open = append(l.open, conn)
		}
		return conn, err
	}), redis.DialUseTLS(true), redis.DialTLSConfig(&tls.Config{RootCAs: trusted, ServerName: host, MinVersion: tls.VersionTLS12}),
		redis.DialPassword(strings.TrimSpace(string(password))))
}

func (l *link) pull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pulled = true
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}

func (l *link) failures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *link) plug() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pulled = false
}

type listener struct {
	*bus.Bus
	link  *link
	heard [3]atomic.Int64
}

var topics = []bus.Topic{bus.Keys, bus.Models, bus.Inventory}

func join(t *testing.T) *listener {
	t.Helper()
	l := &listener{link: &link{}}
	l.Bus = bus.New(l.link.dial, slog.New(slog.NewTextHandler(io.Discard, nil)), func(topic bus.Topic) {
		for i := range topics {
			if topics[i] == topic {
				l.heard[i].Add(1)
			}
		}
	}, func(bool) {})
	first, err := l.link.dial(t.Context())
	if err != nil {
		t.Fatalf("redis: %v", err)
	}
	_ = first.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "connected", l.Live)
	return l
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

func TestWhatOneGatewayPublishesAllHear(t *testing.T) {
	one, two := join(t), join(t)
	before := two.heard[0].Load()
	one.Publish(bus.Keys)
	eventually(t, "the other hears", func() bool { return two.heard[0].Load() > before })
}

func TestWhileRedisIsAwayTheBusIsNotLiveAndAfterwardsEverythingCountsAsChanged(t *testing.T) {
	one, two := join(t), join(t)
	two.link.pull()
	eventually(t, "not live", func() bool { return !two.Live() })
	one.Publish(bus.Inventory)
	before := two.heard[2].Load()
	two.link.plug()
	eventually(t, "live again", two.Live)
	eventually(t, "told of what it missed", func() bool { return two.heard[2].Load() > before })
}

func TestWhatIsPublishedWhileRedisIsAwayArrivesLater(t *testing.T) {
	one, two := join(t), join(t)
	one.link.pull()
	eventually(t, "not live", func() bool { return !one.Live() })
	before := two.heard[1].Load()
	one.Publish(bus.Models)
	tried := one.link.failures()
	eventually(t, "publishing was tried in vain", func() bool { return one.link.failures() >= tried+2 })
	one.link.plug()
	eventually(t, "the other hears", func() bool { return two.heard[1].Load() > before })
}
