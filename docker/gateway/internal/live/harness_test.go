package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/live"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
	"ollamamax/gateway/internal/openapitest"
)

// world is what clients follow.
type world struct {
	hub     *live.Hub
	server  *httptest.Server
	metrics *metrics.Metrics
	revoked atomic.Bool
	roomy   atomic.Bool // connections to come have the usual buffers
	reads   atomic.Int64

	mu     sync.Mutex
	things map[string]map[string]int // topic → key → value
}

var topics = []string{"letters", "numbers"}

// begin runs a hub, whose connections have buffers of a few kilobytes so that a slow client is soon seen.
func begin(t *testing.T, alter ...func(*config.Live)) *world {
	t.Helper()
	return beginWith(t, time.Second, alter...)
}

// beginWith says for how long a client may take nothing in.
func beginWith(t *testing.T, timeout time.Duration, alter ...func(*config.Live)) *world {
	t.Helper()
	w := &world{metrics: metrics.New("test"), things: map[string]map[string]int{}}
	settings := config.Default().Live
	for _, change := range alter {
		change(&settings)
	}
	var sources []live.Source
	for _, name := range topics {
		w.things[name] = map[string]int{}
		sources = append(sources, live.Source{Topic: name, Read: func(time.Time, bool) ([]live.Thing, bool) { return w.read(name), true }})
	}
	holds := func(time.Time, *auth.Key, *http.Request) bool { return !w.revoked.Load() }
	w.hub = live.New(settings, timeout, "gateway-1", w.metrics, holds, sources...)
	mux := http.NewServeMux()
	w.hub.Routes(func(pattern string, handler http.HandlerFunc) {
		mux.HandleFunc(pattern, func(rw http.ResponseWriter, r *http.Request) {
			handler(rw, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Key: &auth.Key{Name: "tests"}})))
		})
	})
	w.server = httptest.NewUnstartedServer(mux)
	w.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if !w.roomy.Load() {
			_ = c.(*net.TCPConn).SetWriteBuffer(4096)
		}
		return ctx
	}
	w.server.Start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.hub.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); w.server.Close() })
	return w
}

func (w *world) read(topic string) []live.Thing {
	w.reads.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []live.Thing
	for _, key := range slices.Sorted(maps.Keys(w.things[topic])) {
		all = append(all, live.Thing{Key: key, Value: map[string]int{"n": w.things[topic][key]}})
	}
	return all
}

// set changes things of a topic, all at once.
func (w *world) set(topic string, values map[string]int) {
	w.mu.Lock()
	maps.Copy(w.things[topic], values)
	w.mu.Unlock()
	w.hub.Changed()
}

// tell is set, and waits until a look at everything has begun after it.
func (w *world) tell(t *testing.T, topic string, values map[string]int) {
	t.Helper()
	reads := w.reads.Load()
	w.set(topic, values)
	eventually.True(t, "it is told", func() bool {
		w.hub.Changed()
		return w.reads.Load() >= reads+2*int64(len(topics))
	})
}

func (w *world) remove(topic, key string) {
	w.mu.Lock()
	delete(w.things[topic], key)
	w.mu.Unlock()
	w.hub.Changed()
}

// value is that of a metric without labels.
func (w *world) value(t *testing.T, name string) float64 {
	t.Helper()
	return metricstest.Sum(t, w.metrics.Handler(), name)
}

type message struct {
	Type, Topic, Key, Gateway, Error string
	Topics                           []string
	Count                            int
	Value                            struct{ N int }
}

func (m message) String() string {
	switch m.Type {
	case "snapshot":
		return fmt.Sprintf("snapshot of %s: %d", strings.Join(m.Topics, " "), m.Count)
	case "state":
		return fmt.Sprintf("%s %s %d", m.Topic, m.Key, m.Value.N)
	case "gone":
		return m.Topic + " " + m.Key + " gone"
	case "dropped":
		return fmt.Sprintf("dropped %d", m.Count)
	}
	return m.Type + " " + m.Error
}

// follower is a client.
type follower struct {
	t     testing.TB
	conn  *websocket.Conn
	queue []message
}

// small is a dialer of connections that take little in while nobody reads.
var small = &http.Transport{DialContext: (&net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
}}).DialContext, DisableKeepAlives: true}

var usual = &http.Transport{DisableKeepAlives: true}

func (w *world) follow(t testing.TB) *follower {
	t.Helper()
	return w.followWith(t, websocket.DialOptions{})
}

func (w *world) followWith(t testing.TB, options websocket.DialOptions) *follower {
	t.Helper()
	transport := small
	if w.roomy.Load() {
		transport = usual
	}
	options.Subprotocols, options.HTTPClient = []string{auth.LiveProtocol, "bearer.x"}, &http.Client{Transport: transport}
	conn, response, err := websocket.Dial(t.Context(), w.server.URL+"/ws", &options)
	if err != nil {
		t.Fatalf("%v: %v", response, err)
	}
	if conn.Subprotocol() != auth.LiveProtocol {
		t.Errorf("protocol %q", conn.Subprotocol())
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &follower{t: t, conn: conn}
}

// frame reads the messages of a frame.
func (f *follower) frame(ctx context.Context) ([]message, error) {
	_, text, err := f.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	openapitest.CheckSchema(f.t, "LiveFrame", text)
	var messages []message
	return messages, json.Unmarshal(text, &messages)
}

// wants reads as many messages as are wanted, and compares.
func (f *follower) wants(t *testing.T, wanted ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for len(f.queue) < len(wanted) {
		messages, err := f.frame(ctx)
		if err != nil {
			t.Fatalf("%v after %v, not %v", err, f.queue, wanted)
		}
		f.queue = append(f.queue, messages...)
	}
	var got []string
	for _, m := range f.queue[:len(wanted)] {
		got = append(got, m.String())
	}
	if !slices.Equal(got, wanted) {
		t.Fatalf("got %q\nnot %q", got, wanted)
	}
	f.queue = f.queue[len(wanted):]
}

func (f *follower) says(t *testing.T, text string) {
	t.Helper()
	if err := f.conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// ends reads to the end, and returns how the gateway closed the connection.
func (f *follower) ends(t *testing.T) websocket.CloseError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, err := f.frame(ctx); err != nil {
			var closed websocket.CloseError
			if !errors.As(err, &closed) {
				t.Fatalf("not closed: %v", err)
			}
			return closed
		}
	}
}
