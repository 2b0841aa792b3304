package main

import (
	"fmt"
	"sync"
	"time"
)

// memory is a node's: models are loaded into it when they are asked for, and the one that was used least
// lately makes way, or one that the gateway says.
type memory struct {
	models, room int
	loading      time.Duration

	mu     sync.Mutex
	freed  sync.Cond
	loaded map[string]*resident
	loads  int
	waited int // requests that waited for their model
}

// resident is a model in memory, or on its way there.
type resident struct {
	ready time.Time
	users int
	used  time.Time
}

func newMemory() *memory {
	m := &memory{loaded: map[string]*resident{}}
	m.freed.L = &m.mu
	return m
}

func modelName(k int) string { return fmt.Sprintf("model-%02d", k) }

// use waits until a model is in memory. It stays there at least until release.
func (m *memory) use(model string) (release func()) {
	m.mu.Lock()
	r := m.claim(model)
	r.users++
	wait := time.Until(r.ready)
	if wait > 0 {
		m.waited++
	}
	m.mu.Unlock()
	time.Sleep(wait)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		r.users--
		r.used = time.Now()
		m.freed.Broadcast()
	}
}

func (m *memory) claim(model string) *resident {
	for {
		if r := m.loaded[model]; r != nil {
			return r
		}
		if len(m.loaded) < m.room || m.evict() {
			m.loads++
			r := &resident{ready: time.Now().Add(m.loading)}
			m.loaded[model] = r
			return r
		}
		m.freed.Wait()
	}
}

// drop lets go of a model that is idle.
func (m *memory) drop(model string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.loaded[model]; r != nil && r.users == 0 {
		delete(m.loaded, model)
		m.freed.Broadcast()
	}
}

// evict makes room, unless all models are in use.
func (m *memory) evict() bool {
	oldest := ""
	for model, r := range m.loaded {
		if r.users == 0 && (oldest == "" || r.used.Before(m.loaded[oldest].used)) {
			oldest = model
		}
	}
	delete(m.loaded, oldest)
	return oldest != ""
}

func (m *memory) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for model := range m.loaded {
		names = append(names, model)
	}
	return names
}
