package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
)

// models returns every model of every node once, newest first. The nodes are asked now, so that a model
// that was just made is there whichever gateway is asked; one that fails to answer is remembered.
func (a *API) models(ctx context.Context) []nodes.Model {
	began := time.Now()
	a.pool.Refresh(ctx)
	exchange.From(ctx).Waited(began)
	newest := map[string]nodes.Model{}
	for _, state := range a.pool.Snapshot() {
		for _, model := range state.Models {
			if other, ok := newest[model.Canonical]; !ok || model.ModifiedAt.After(other.ModifiedAt) {
				newest[model.Canonical] = model
			}
		}
	}
	for _, model := range a.pool.Asleep() {
		newest[model.Canonical] = model
	}
	merged := make([]nodes.Model, 0, len(newest))
	for _, model := range newest {
		merged = append(merged, model)
	}
	slices.SortFunc(merged, func(a, b nodes.Model) int {
		return cmp.Or(b.ModifiedAt.Compare(a.ModifiedAt), cmp.Compare(a.Canonical, b.Canonical))
	})
	return merged
}

// awake answers 503 and returns false where no node takes requests, unless some come only when they are asked for:
// what can be said without any is said.
func (a *API) awake(w http.ResponseWriter, r *http.Request) bool {
	return a.pool.Sleeps() || a.ready(w, r) != nil
}

// ready answers 503 and returns nil where no node takes requests.
func (a *API) ready(w http.ResponseWriter, r *http.Request) []*nodes.Node {
	// A lease waits for a node to come up, as every other request does.
	lease, err := a.pool.Acquire(r.Context(), nodes.Want{Light: true}, nil)
	if err != nil {
		reply.Error(w, r, http.StatusServiceUnavailable, err.Error())
		return nil
	}
	lease.Release()
	return a.pool.Taking()
}

func (a *API) tags(w http.ResponseWriter, r *http.Request) {
	if !a.awake(w, r) {
		return
	}
	entries := []json.RawMessage{}
	for _, model := range a.listed(r.Context()) {
		entries = append(entries, model.Raw)
	}
	reply.JSON(w, http.StatusOK, map[string]any{"models": entries})
}

// ps lists what is loaded, once for every node that has it loaded.
func (a *API) ps(w http.ResponseWriter, r *http.Request) {
	if !a.awake(w, r) {
		return
	}
	targets := a.pool.Taking()
	type list struct {
		Models []json.RawMessage `json:"models"`
	}
	lists := make([]list, len(targets))
	x := exchange.From(r.Context())
	began := time.Now()
	var wait sync.WaitGroup
	for i, node := range targets {
		wait.Go(func() {
			if body, err := a.proxy.Get(r.Context(), node, "/api/ps"); err == nil {
				_ = json.Unmarshal(body, &lists[i]) // a node that can't say is left out
			}
		})
	}
	wait.Wait()
	x.Waited(began)
	merged := list{Models: []json.RawMessage{}}
	for _, one := range lists {
		merged.Models = append(merged.Models, one.Models...)
	}
	reply.JSON(w, http.StatusOK, merged)
}

// onEveryNode sends a pull or create to all healthy nodes.
func (a *API) onEveryNode(w http.ResponseWriter, r *http.Request) {
	body, model, ok := a.own(w, r)
	if !ok {
		return
	}
	targets := a.ready(w, r)
	if targets == nil {
		return
	}
	a.service.Label(exchange.From(r.Context()), model)
	defer a.altered()
	a.proxy.All(w, r, targets, body)
}

// onHolders sends a copy or delete to the nodes that hold the model, or to any one, which then words
// the error, where none does.
func (a *API) onHolders(w http.ResponseWriter, r *http.Request) {
	body, model, ok := a.own(w, r)
	if !ok {
		return
	}
	if a.ready(w, r) == nil {
		return
	}
	a.service.Label(exchange.From(r.Context()), model)
	a.pool.Refresh(r.Context())
	targets := a.pool.Holding(model)
	if len(targets) == 0 {
		a.forward(w, r, nodes.Want{Light: true}, body)
		return
	}
	defer a.altered()
	a.proxy.All(w, r, targets, body)
}

// altered makes this gateway and the others look again at what the nodes hold. The caller's next request
// may come at once, so this gateway looks before the answer ends.
func (a *API) altered() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	a.pool.Refresh(ctx)
	a.changed()
}

func (a *API) headBlob(w http.ResponseWriter, r *http.Request) {
	if targets := a.ready(w, r); targets != nil {
		a.proxy.HeadBlob(w, r, targets)
	}
}

func (a *API) uploadBlob(w http.ResponseWriter, r *http.Request) {
	if targets := a.ready(w, r); targets != nil {
		a.proxy.UploadBlob(w, r, targets)
	}
}

// openAIModel is a model in OpenAI's shape.
type openAIModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func openAIEntry(model nodes.Model) openAIModel {
	return openAIModel{model.Name, "model", model.ModifiedAt.Unix(), modelname.Namespace(model.Name)}
}

// openAIModels lists the models in OpenAI's shape.
func (a *API) openAIModels(w http.ResponseWriter, r *http.Request) {
	if !a.awake(w, r) {
		return
	}
	list := struct {
		Object string        `json:"object"`
		Data   []openAIModel `json:"data"`
	}{"list", []openAIModel{}}
	for _, model := range a.listed(r.Context()) {
		list.Data = append(list.Data, openAIEntry(model))
	}
	w.Header().Set("Content-Type", "application/json") // as Ollama says it here
	reply.JSON(w, http.StatusOK, list)
}

// openAIModel asks a node that holds the model, or any, which then words the error.
func (a *API) openAIModel(w http.ResponseWriter, r *http.Request) {
	canonical := modelname.Canonical(r.PathValue("model"))
	if alias := a.names.Find(canonical); alias != nil {
		if entry, there := a.entry(alias); there {
			reply.JSON(w, http.StatusOK, openAIEntry(entry))
			return
		}
	}
	a.forward(w, r, nodes.Want{Model: canonical, Light: true}, nil)
}
