// Package realparts finds the real database and Redis for integration tests, and takes them away.
package realparts

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/config"
)

// Environment variables that tests/gateway sets to where it has started the real parts.
const (
	Database = "OLLAMAMAX_TEST_DATABASE" // PostgreSQL itself, host:port
	Pool     = "OLLAMAMAX_TEST_POOL"     // PgBouncer, host:port
	Redis    = "OLLAMAMAX_TEST_REDIS"    // host:port
	Workers  = "OLLAMAMAX_TEST_WORKERS"  // Ollama servers, each host:port
	Secrets  = "OLLAMAMAX_TEST_SECRETS"  // folder of passwords and the certificate authority

	containers = "OLLAMAMAX_TEST_CONTAINERS" // what the names of the parts' containers begin with
)

// Needed returns an environment variable, without which a test fails.
func Needed(t testing.TB, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Fatalf("%s is not set: tests/gateway starts the real parts and sets it", variable)
	}
	return value
}

// Configuration returns the settings of a database and a Redis at these addresses, and what is secret of them.
func Configuration(t testing.TB, database, redis string) (config.Config, config.Secrets) {
	t.Helper()
	host, port, err := net.SplitHostPort(database)
	if err != nil {
		t.Fatal(err)
	}
	cfg, folder := config.Default(), Needed(t, Secrets)
	cfg.Database.Host = host
	if cfg.Database.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	cfg.Database.PasswordFile, cfg.Database.CAFile = folder+"/database-password", folder+"/ca.pem"
	cfg.Redis = config.Redis{Address: redis, PasswordFile: folder + "/redis-password", CAFile: folder + "/ca.pem"}
	secrets, err := cfg.ReadSecrets(config.Serving)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, secrets
}

// Cable is a connection to a server that can be pulled.
type Cable struct {
	Address string // of its near end

	to      string
	mu      sync.Mutex
	pulled  bool
	refused int
	open    []net.Conn
}

// Lay lays a cable to the address of a server, until the test ends.
func Lay(t testing.TB, to string) *Cable {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cable{Address: listener.Addr().String(), to: to}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go c.connect(near)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); c.Pull() })
	return c
}

func (c *Cable) connect(near net.Conn) {
	far, err := net.DialTimeout("tcp", c.to, 2*time.Second) //nolint:noctx // ends with its time limit
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || c.pulled {
		c.refused++
		_ = near.Close()
		if err == nil {
			_ = far.Close()
		}
		return
	}
	c.open = append(c.open, near, far)
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
}

// Pull breaks all connections and lets no more be made.
func (c *Cable) Pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	for _, conn := range c.open {
		_ = conn.Close()
	}
	c.open = nil
}

// Plug lets connections be made again.
func (c *Cable) Plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}

// Refused is how many connections could not be made.
func (c *Cable) Refused() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// Container is the real part itself: what a Cable does to one gateway, it does to all.
type Container struct {
	client *http.Client
	url    string
}

// ContainerOf returns the container of a part: "postgres", "pgbouncer", "redis", "worker-1". When the test ends
// it runs again.
func ContainerOf(t testing.TB, part string) Container {
	t.Helper()
	daemon := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", "/var/run/docker.sock")
	}
	c := Container{&http.Client{Transport: &http.Transport{DialContext: daemon}}, "http://docker/containers/" + Needed(t, containers) + part + "/"}
	t.Cleanup(func() {
		_ = c.order("unpause") // an error where it is not paused
		_ = c.order("start")
	})
	return c
}

func (c Container) order(what string) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.url+what, nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if text, _ := io.ReadAll(response.Body); response.StatusCode >= 300 {
		return fmt.Errorf("%s: %s %s", request.URL, response.Status, text)
	}
	return nil
}

// How often, and how long after each other, a pause is ordered again: while its processes start others, as a
// server does for each connection, the kernel may not get all of a container frozen in time.
const (
	unfrozen     = 4
	unfrozenWait = 300 * time.Millisecond
)

// Order has the Docker daemon stop, start, pause or unpause it. One that is paused accepts connections, by the
// kernel's hand, and says nothing.
func (c Container) Order(t testing.TB, what string) {
	t.Helper()
	err := c.order(what)
	for range unfrozen {
		if err == nil || what != "pause" {
			break
		}
		time.Sleep(unfrozenWait)
		err = c.order(what)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// LayToRedis lays a cable to the real Redis, which answers, and returns how to connect through it.
func LayToRedis(t testing.TB) (*Cable, func(ctx context.Context) (redis.Conn, error)) {
	t.Helper()
	cable := Lay(t, Needed(t, Redis))
	_, secrets := Configuration(t, Needed(t, Database), cable.Address)
	dial := func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", cable.Address,
			redis.DialUseTLS(true), redis.DialTLSConfig(secrets.RedisTLS), redis.DialPassword(secrets.RedisPassword))
	}
	conn, err := dial(t.Context())
	if err != nil {
		t.Fatalf("redis: %v", err)
	}
	_ = conn.Close()
	return cable, dial
}
