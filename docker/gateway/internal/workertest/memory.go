package workertest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// inMemory is a model that is loaded.
type inMemory struct {
	name string
	kept bool // for good
	used int  // the higher, the later
}

// Remember makes memory so scarce that only some models fit, of which none is loaded yet. Loading one takes
// a while and unloads, as Ollama does, one that is not kept for good, and of these the first by name.
func (w *Worker) Remember(models int, loading time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.memory, w.loading, w.loaded = models, loading, nil
}

// Loads is how many models were loaded since Remember.
func (w *Worker) Loads() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loads
}

// Loaded lists what is in memory, sorted.
func (w *Worker) Loaded() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, model := range w.inMemory() {
		names = append(names, model.name)
	}
	return names
}

// inMemory is what is loaded. The caller holds mu.
func (w *Worker) inMemory() []inMemory {
	if w.memory > 0 {
		return w.loaded
	}
	var all []inMemory
	for _, name := range w.models {
		all = append(all, inMemory{name: name, kept: true})
	}
	return all
}

// load brings the model that a body names into memory, or out of it.
func (w *Worker) load(body []byte) {
	var named struct {
		Model     string
		Prompt    string
		KeepAlive *int `json:"keep_alive"`
	}
	_ = json.Unmarshal(body, &named) // a body that names none loads none
	name := tagged(named.Model)
	is := func(m inMemory) bool { return m.name == name }
	w.mu.Lock()
	if w.memory == 0 || !slices.Contains(w.models, name) {
		w.mu.Unlock()
		return
	}
	if named.Prompt == "" && named.KeepAlive != nil && *named.KeepAlive == 0 {
		w.loaded = slices.DeleteFunc(w.loaded, is)
		w.mu.Unlock()
		return
	}
	cold := !slices.ContainsFunc(w.loaded, is)
	if cold {
		w.loads++
		if len(w.loaded) == w.memory {
			goes := max(0, slices.IndexFunc(w.loaded, func(m inMemory) bool { return !m.kept }))
			w.loaded = slices.Delete(w.loaded, goes, goes+1)
		}
		w.loaded = append(w.loaded, inMemory{name: name})
		slices.SortFunc(w.loaded, func(a, b inMemory) int { return strings.Compare(a.name, b.name) })
	}
	w.uses++
	model := &w.loaded[slices.IndexFunc(w.loaded, is)]
	model.used = w.uses
	if named.KeepAlive != nil {
		model.kept = *named.KeepAlive < 0
	}
	loading := w.loading
	w.mu.Unlock()
	if cold {
		time.Sleep(loading)
	}
}

// ps lists what is in memory.
func (w *Worker) ps(out http.ResponseWriter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	type entry struct {
		Name      string    `json:"name"`
		Node      string    `json:"node"`
		Digest    string    `json:"digest"`
		Size      int64     `json:"size"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	list := map[string][]entry{"models": {}}
	for _, model := range w.inMemory() {
		expires := w.began.Add(time.Duration(model.used) * time.Second) // moves with each use
		if model.kept {
			expires = expires.AddDate(292, 0, 0)
		}
		list["models"] = append(list["models"], entry{model.name, w.Address, w.digestOf(model.name), Size, expires})
	}
	_ = json.NewEncoder(out).Encode(list) // a client that has gone can't be told
}
