// Package live tells clients over WebSockets what goes on: what there is when they come, then what changes.
// Each message is encoded once, however many clients there are, and kept in one ring that all of them read
// from, each at its own pace. Who falls behind the ring is told how much it missed and gets what there is
// anew. While nobody is there nothing is done.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
)

const (
	// lookEvery is the time between two looks at what changes without a word: as often as a person can read.
	lookEvery = 250 * time.Millisecond
	// judgeEvery is how often the clients' keys are judged again.
	judgeEvery = time.Second
)

// Thing is something that clients follow, as it is at one moment.
type Thing struct {
	Key   string // among those of its topic
	Value any    // encoded as JSON
}

// Source is where the things of a topic come from.
type Source struct {
	Topic string
	Every time.Duration // the least time between two reads; 0: they are read whenever something may have changed
	// Read returns all that there is, or false where there is nothing to say yet. first tells that nobody was
	// there before.
	Read func(now time.Time, first bool) ([]Thing, bool)
}

// Hub knows what there is, and who follows it.
type Hub struct {
	settings config.Live
	timeout  time.Duration // of a frame that a client does not take
	gateway  string
	sources  []Source
	holds    func(now time.Time, key *auth.Key, r *http.Request) bool
	metrics  metrics.Live

	pingEvery time.Duration

	woken    chan struct{}
	watched  atomic.Int64 // clients
	handlers sync.WaitGroup

	mu      sync.Mutex
	closing bool
	clients map[*client]struct{}
	topics  []topic // of the sources
	ring    []*message
	first   uint64 // number of the oldest message in the ring
	next    uint64 // number of the message to come
	news    chan struct{}
	frame   frame
}

// topic is what is known of a source. Guarded by Hub.mu; what only Run changes it may read without.
type topic struct {
	source Source
	read   time.Time // last
	things map[string]*message
	told   uint64 // messages so far
}

// message is a state, which many clients may be sending at once.
type message struct {
	topic int
	key   string
	gone  bool
	text  []byte
}

// set of topics, by their places.
type set uint8

const maxTopics = 8

func (s set) has(topic int) bool { return s&(1<<topic) != 0 }

// New returns a hub of a gateway, with maxTopics sources at most. holds tells whether a key that let a request
// in still would.
func New(
	settings config.Live, timeout time.Duration, gateway string, m *metrics.Metrics,
	holds func(now time.Time, key *auth.Key, r *http.Request) bool, sources ...Source,
) *Hub {
	h := &Hub{
		settings: settings, timeout: timeout, gateway: gateway, sources: sources, holds: holds, pingEvery: pingEvery,
		woken: make(chan struct{}, 1), clients: map[*client]struct{}{}, news: make(chan struct{}),
	}
	h.metrics = m.NewLive(func() float64 { return float64(h.watched.Load()) })
	return h
}

// Changed says that something may be new. It does not block.
func (h *Hub) Changed() {
	if h.watched.Load() > 0 {
		h.wake()
	}
}

func (h *Hub) wake() {
	select {
	case h.woken <- struct{}{}:
	default: // a look is due anyway
	}
}

// Run looks at what there is until ctx ends, while somebody is there, and then ends all clients.
func (h *Hub) Run(ctx context.Context) {
	defer h.handlers.Wait()
	defer h.Close()
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	var judged time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.woken:
		case <-look.C:
		}
		if h.watched.Load() == 0 {
			h.forget()
			look.Stop()
			continue
		}
		now := time.Now()
		h.look(now)
		if now.Sub(judged) >= judgeEvery {
			judged = now
			h.judge(now)
		}
		look.Reset(lookEvery)
		select {
		case <-ctx.Done():
			return
		case <-time.After(h.settings.Flush): // what changes meanwhile is told together
		}
	}
}

// forget drops all that is known: it will be old when somebody comes again.
func (h *Hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) > 0 { // one has just come
		h.wake()
		return
	}
	h.topics, h.ring, h.first, h.next, h.frame = nil, nil, 0, 0, frame{}
}

// look reads the sources that are due, and tells what is not as it was.
func (h *Hub) look(now time.Time) {
	begins := h.topics == nil // which nobody else changes
	topics := h.topics
	if begins {
		for _, source := range h.sources {
			topics = append(topics, topic{source: source, things: map[string]*message{}})
		}
	}
	var told []*message
	for i := range topics {
		t := &topics[i]
		if now.Sub(t.read) < t.source.Every {
			continue
		}
		t.read = now
		if things, known := t.source.Read(now, begins); known {
			told = append(told, t.differ(i, things)...)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topics = topics
	for _, m := range told {
		t := &h.topics[m.topic]
		if m.gone {
			delete(t.things, m.key)
		} else {
			t.things[m.key] = m
		}
		if len(h.ring) == h.settings.Buffer {
			h.ring[h.next%uint64(len(h.ring))] = m
			h.first++
		} else {
			h.ring = append(h.ring, m)
		}
		h.next++
		t.told++
	}
	if len(told) > 0 || begins {
		close(h.news)
		h.news = make(chan struct{})
	}
}

// differ returns what has to be told for things to be known.
func (t *topic) differ(place int, things []Thing) []*message {
	var told []*message
	left := make(map[string]bool, len(t.things))
	for key := range t.things {
		left[key] = true
	}
	for _, thing := range things {
		delete(left, thing.Key)
		m := &message{topic: place, key: thing.Key, text: encode(state{"state", t.source.Topic, thing.Key, thing.Value})}
		if before := t.things[thing.Key]; before == nil || !bytes.Equal(before.text, m.text) {
			told = append(told, m)
		}
	}
	for key := range left {
		told = append(told, &message{topic: place, key: key, gone: true, text: encode(departure{"gone", t.source.Topic, key})})
	}
	return told
}

// The messages about things.
type (
	state struct {
		Type  string `json:"type"` // state
		Topic string `json:"topic"`
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	departure struct {
		Type  string `json:"type"` // gone
		Topic string `json:"topic"`
		Key   string `json:"key"`
	}
)

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // values are the gateway's own types
	}
	return text
}

// judge ends the clients whose keys are good no longer.
func (h *Hub) judge(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		if c.key != nil && !h.holds(now, c.key, c.request) {
			c.end(errKey)
		}
	}
}

// names lists the topics of a set.
func (h *Hub) names(topics set) []string {
	names := []string{}
	for i, source := range h.sources {
		if topics.has(i) {
			names = append(names, source.Topic)
		}
	}
	return names
}

// all is the set of all topics.
func (h *Hub) all() set { return set(1<<len(h.sources) - 1) }

// present lists what there is of some topics, in their order, and of a topic by key. The caller holds mu.
func (h *Hub) present(topics set) []*message {
	var all []*message
	for i := range h.topics {
		if !topics.has(i) {
			continue
		}
		begin := len(all)
		for _, m := range h.topics[i].things {
			all = append(all, m)
		}
		slices.SortFunc(all[begin:], func(a, b *message) int { return strings.Compare(a.key, b.key) })
	}
	return all
}

// Close ends all clients, and lets no more come.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closing = true
	for c := range h.clients {
		c.end(errStopping)
	}
}
