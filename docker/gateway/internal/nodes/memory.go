package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// forever is a keep-alive after which nobody asks any more: Ollama's own for "always" is 292 years.
const forever = 365 * 24 * time.Hour

// setLoaded records which models a node had in memory when it was asked. One that was used since counts as
// well, and one that a request is under way for: it is there, or about to be.
func (n *Node) setLoaded(list []resident, asked time.Duration) {
	for model, l := range n.lanes {
		digest := n.models[model].Digest
		i := slices.IndexFunc(list, func(r resident) bool { return r.model == model || (digest != "" && r.digest == digest) })
		listed := i >= 0 && l.evicted < asked
		l.loaded = l.inUse > 0 || (l.loaded && l.used >= asked) || listed
		if listed {
			l.note(list[i], asked)
		}
		l.ready = l.ready && l.loaded
	}
	n.countLoaded()
}

// note records what a node says of a model in memory. When it would expire moves with each use: where that was
// none of this gateway's, another one's traffic keeps the model from being idle.
func (l *lane) note(r resident, asked time.Duration) {
	if l.used < l.noted && !r.expires.Equal(l.expires) {
		l.used = asked
	}
	l.expires, l.noted = r.expires, asked
	l.kept = time.Until(r.expires) > forever
	l.bytes, l.place.bytes = r.bytes, r.bytes
}

func (n *Node) countLoaded() {
	n.loaded, n.used = 0, 0
	for _, l := range n.lanes {
		if l.loaded && !l.remote() {
			n.loaded++
			n.used += l.size()
		}
	}
}

// remote tells whether the model runs elsewhere, and takes no memory here.
func (l *lane) remote() bool { return l.node.models[l.place.model].Remote }

// size is what a model takes in memory, bytes: as it did when it was last there, or on another node, and the
// size of its file before it has ever been loaded.
func (l *lane) size() int64 {
	switch {
	case l.bytes > 0:
		return l.bytes
	case l.place.bytes > 0:
		return l.place.bytes
	}
	return l.node.models[l.place.model].Size
}

// way appends to none what has to make way for a model: nothing where it fits, or else those idle for
// longest, the fewest that will do. It is no way where too few are idle.
func (n *Node) way(l *lane, none []*lane) (way []*lane, open bool) {
	way = none
	if l.remote() {
		return way, true
	}
	loaded, used := n.loaded, n.used
	for !n.fits(l.size(), loaded, used) {
		next := n.idlest(way)
		if next == nil {
			return none, false
		}
		way = append(way, next)
		loaded--
		used -= next.size()
	}
	return way, true
}

// fits tells whether a model fits beside others. Alone it always does: how much of it is where is then
// Ollama's to decide.
func (n *Node) fits(size int64, loaded int, used int64) bool {
	return loaded == 0 || ((n.maxLoaded == 0 || loaded < n.maxLoaded) && (n.memory == 0 || used+size <= n.memory))
}

// idlest returns the loaded lane without a request that was used the longest ago, or nil. Pinned models make
// way only where no other is left, not even one that works.
func (n *Node) idlest(gone []*lane) *lane {
	var found *lane
	others := false
	for _, l := range n.lanes {
		if !l.loaded || l.remote() || slices.Contains(gone, l) {
			continue
		}
		if !l.pinned && !others {
			others, found = true, nil
		}
		if l.inUse == 0 && l.pinned != others && (found == nil || l.used < found.used) {
			found = l
		}
	}
	return found
}

// evict notes that models are no longer in memory, and returns them by the names that their node has for them.
func (n *Node) evict(way []*lane, now time.Duration) []string {
	if len(way) == 0 {
		return nil
	}
	names := make([]string, len(way))
	for i, l := range way {
		l.loaded, l.ready, l.evicted = false, false, now
		names[i] = n.models[l.place.model].Name
	}
	n.evictions += len(way)
	n.countLoaded()
	return names
}

// makeWay tells a node to unload models, so that it is these that go: Ollama itself takes one that has the
// shortest keep-alive, and of these the first by the name of its file. What works there for another gateway it
// finishes first. Where the node does not answer, it is left to choose.
func (p *Pool) makeWay(ctx context.Context, node *Node, models []string) {
	if len(models) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.settings.HealthTimeout)
	defer cancel()
	for _, model := range models {
		p.log.Info("model makes way for another", "node", node.Name, "model", model)
		if err := node.unload(ctx, model); err != nil {
			p.log.Warn("model not unloaded", "node", node.Name, "model", model, "error", err)
		}
	}
}

// order is a request without a prompt, which loads or unloads a model.
type order struct {
	Model     string `json:"model"`
	Stream    bool   `json:"stream"`
	KeepAlive *int   `json:"keep_alive,omitempty"` // 0: it goes; -1: it stays for good; nil: as long as the node keeps one
}

// unload asks the node to let go of a model.
func (n *Node) unload(ctx context.Context, model string) error {
	_, err := n.post(ctx, "/api/generate", order{Model: model, KeepAlive: new(int)})
	return err
}

// load asks the node to have a model in memory, for good or for as long as it keeps an unused one, and returns
// once it is there.
func (n *Node) load(ctx context.Context, model string, keep bool) error {
	body := order{Model: model}
	if keep {
		always := -1
		body.KeepAlive = &always
	}
	status, err := n.post(ctx, "/api/generate", body)
	if status == http.StatusBadRequest { // what a model says that only embeds
		_, err = n.post(ctx, "/api/embed", body)
	}
	return err
}

func (n *Node) post(ctx context.Context, path string, body order) (status int, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL()+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["Idempotency-Key"] = nil // not sent: it has a connection that the node has closed replaced
	response, err := n.Transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return 0, err
	}
	if response.StatusCode == http.StatusOK {
		return response.StatusCode, nil
	}
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		said.Error = response.Status
	}
	return response.StatusCode, fmt.Errorf("%s", said.Error)
}
