package cache

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"ollamamax/gateway/internal/stream"
)

// Answer is a worker's answer, received whole. Nobody changes it once it is kept.
type Answer struct {
	Digest      string // of the model that gave it
	ContentType string
	Format      stream.Format
	Fields      []byte // header lines for the client: its Content-Type, and Hit
	Body        []byte
	Stored      time.Time
}

func newAnswer(digest, contentType string, body []byte, stored time.Time) *Answer {
	fields := "Content-Type: " + contentType + "\r\n" + Header + ": " + Hit + "\r\n"
	return &Answer{Digest: digest, ContentType: contentType, Format: stream.FormatOf(contentType), Fields: []byte(fields), Body: body, Stored: stored}
}

// entryBytes is what an entry takes beside its body.
const entryBytes = 512

func (a *Answer) size() int64 { return int64(entryBytes + len(a.Body)) }

// memory is the first level: the answers used last, up to a number of bytes.
type memory struct {
	limit int64
	ttl   time.Duration

	mu      sync.Mutex // held for a look-up in a map, never while an answer is read
	entries *simplelru.LRU[Key, *Answer]
	bytes   int64
}

func newMemory(limit int64, ttl time.Duration) *memory {
	m := &memory{limit: limit, ttl: ttl}
	// The bytes bound the entries, not their number.
	entries, err := simplelru.NewLRU(math.MaxInt, func(_ Key, a *Answer) { m.bytes -= a.size() })
	if err != nil {
		panic(err) // the number is positive
	}
	m.entries = entries
	return m
}

func (m *memory) get(key Key, now time.Time) *Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	answer, ok := m.entries.Get(key)
	if !ok {
		return nil
	}
	if now.Sub(answer.Stored) >= m.ttl {
		m.entries.Remove(key)
		return nil
	}
	return answer
}

func (m *memory) add(key Key, answer *Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries.Remove(key) // its bytes go too
	m.entries.Add(key, answer)
	m.bytes += answer.size()
	for m.bytes > m.limit {
		m.entries.RemoveOldest()
	}
}

// drop forgets the answers of a model's digest.
func (m *memory) drop(digest string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range m.entries.Keys() {
		if answer, ok := m.entries.Peek(key); ok && answer.Digest == digest {
			m.entries.Remove(key)
		}
	}
}

// shed forgets the answers used longest ago until share of the limit is left.
func (m *memory) shed(share float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.entries.Len() > 0 && float64(m.bytes) > share*float64(m.limit) {
		m.entries.RemoveOldest()
	}
}

func (m *memory) size() (entries int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries.Len(), m.bytes
}
