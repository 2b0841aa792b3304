package residency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/store"
)

// pulled is the last line of a pull, after which a load follows.
var pulled = []byte(`{"status":"success"}`)

// Routes names all routes.
func (r *Residency) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /api/v1/models", r.list)
	route("POST /api/v1/models/{model...}", r.command)
}

// model is one model, where it is, and what it does here.
type model struct {
	ID          string    `json:"id"`
	Digest      string    `json:"digest"`
	SizeBytes   int64     `json:"size_bytes"`
	MemoryBytes int64     `json:"memory_bytes"` // 0: it has not been in memory yet
	ModifiedAt  time.Time `json:"modified_at"`
	Nodes       []string  `json:"nodes"`
	Loaded      []string  `json:"loaded"`
	Pinned      []string  `json:"pinned"`
	InFlight    int       `json:"in_flight"`
	Waiting     int       `json:"waiting"`
}

func (r *Residency) list(w http.ResponseWriter, _ *http.Request) {
	models := []model{}
	for _, p := range r.pool.Models() {
		models = append(models, model{
			modelname.Short(p.Canonical), p.Digest, p.Size, p.Bytes, p.ModifiedAt, p.Nodes, p.Loaded, p.Pinned, p.InFlight, p.Waiting,
		})
	}
	reply.JSON(w, http.StatusOK, map[string]any{"gateway": r.gateway, "models": models})
}

// order is what a command says beside the model's name.
type order struct {
	Nodes  []string `json:"nodes"`
	Copies int      `json:"copies"`
	Keep   bool     `json:"keep"`
	Stream bool     `json:"stream"`
}

// command loads or unloads a model, whose name may have slashes.
func (r *Residency) command(w http.ResponseWriter, q *http.Request) {
	name, preload := strings.CutSuffix(q.PathValue("model"), "/preload")
	if !preload {
		var unload bool
		if name, unload = strings.CutSuffix(name, "/unload"); !unload {
			reply.Error(w, q, http.StatusNotFound, "no such command: a model can be told to preload or to unload")
			return
		}
	}
	var o order
	body, err := reply.Order(q)
	if err == nil {
		err = reply.Decode(body, &o)
	}
	if err == nil && (o.Copies < 0 || (o.Copies > 0 && len(o.Nodes) > 0)) {
		err = errors.New("copies: give a number from 1 on, or name the nodes")
	}
	if err == nil && !preload && (o.Copies > 0 || o.Keep || o.Stream) {
		err = errors.New("a model is unloaded from nodes: there is nothing else to say")
	}
	if err != nil {
		reply.Error(w, q, http.StatusBadRequest, err.Error())
		return
	}
	targets, unknown := r.pool.Named(o.Nodes)
	if unknown != "" {
		reply.Error(w, q, http.StatusNotFound, fmt.Sprintf("node '%s' not found", unknown))
		return
	}
	began := time.Now()
	defer exchange.From(q.Context()).Waited(began)
	if preload {
		r.preload(w, q, o, name, targets)
	} else {
		r.unload(w, q, name, targets)
	}
}

func (r *Residency) preload(w http.ResponseWriter, q *http.Request, o order, name string, targets []*nodes.Node) {
	canonical := modelname.Canonical(name)
	if len(targets) == 0 {
		targets = r.pool.Best(canonical, max(1, o.Copies))
		if !r.settings.Pull {
			held := r.pool.Holding(canonical)
			if len(held) == 0 {
				reply.Error(w, q, http.StatusNotFound, fmt.Sprintf("model '%s' not found", name))
				return
			}
			targets = slices.DeleteFunc(targets, func(n *nodes.Node) bool { return !slices.Contains(held, n) })
		}
		if len(targets) < max(1, o.Copies) {
			reply.Error(w, q, http.StatusServiceUnavailable,
				fmt.Sprintf("%d of %d nodes can load the model now: the others are down, drained, or full of models in use", len(targets), max(1, o.Copies)))
			return
		}
	}
	if o.Keep && !r.pin(w, q, names(targets), name, true) {
		return
	}
	lines := proxy.NewLines(w)
	show := func([]byte) {}
	if o.Stream || strings.Contains(q.Header.Get("Accept"), "application/x-ndjson") {
		show = func(line []byte) {
			if !bytes.Equal(line, pulled) {
				lines.Write(line)
			}
		}
	}
	outcomes := r.bringAll(q.Context(), load{targets, name, o.Keep, 0}, show)
	if err := q.Context().Err(); err != nil {
		exchange.From(q.Context()).Abandon(err)
		panic(http.ErrAbortHandler)
	}
	status, text := sum(canonical, outcomes)
	if lines.Begun {
		lines.Write(text)
		return
	}
	reply.Bytes(w, status, text)
}

// answer is what became of a command, on each node.
type answer struct {
	Status string    `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
	Model  string    `json:"model"`
	Nodes  []outcome `json:"nodes"`
}

// sum makes one answer of all. It is an error where one node failed.
func sum(canonical string, outcomes []outcome) (status int, text []byte) {
	a := answer{Model: modelname.Short(canonical), Nodes: outcomes}
	status = http.StatusOK
	var problems []string
	for _, o := range outcomes {
		if o.err == nil {
			continue
		}
		problems = append(problems, o.Node+": "+o.Error)
		switch {
		case errors.Is(o.err, nodes.ErrNotHeld):
			status = http.StatusNotFound
		case errors.Is(o.err, nodes.ErrNoMemory), errors.Is(o.err, nodes.ErrNotTaking):
			status = http.StatusServiceUnavailable
		default:
			status = http.StatusBadGateway
		}
	}
	if a.Error = strings.Join(problems, "; "); a.Error == "" {
		a.Status = "success"
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // texts and numbers alone always encode
	}
	return status, text
}

func (r *Residency) unload(w http.ResponseWriter, q *http.Request, name string, targets []*nodes.Node) {
	canonical := modelname.Canonical(name)
	bySettings, onRequest := r.pool.PinnedBy(canonical)
	if len(targets) == 0 {
		targets = r.pool.Having(canonical)
	} else {
		asked := names(targets)
		elsewhere := func(node string) bool { return !slices.Contains(asked, node) }
		bySettings, onRequest = slices.DeleteFunc(bySettings, elsewhere), slices.DeleteFunc(onRequest, elsewhere)
	}
	if len(bySettings) > 0 {
		reply.Error(w, q, http.StatusConflict,
			"the settings keep the model in memory of "+strings.Join(bySettings, ", ")+": take it off the list there")
		return
	}
	if len(onRequest) > 0 && !r.pin(w, q, onRequest, name, false) {
		return
	}
	outcomes := []outcome{}
	for _, node := range targets {
		o := outcome{Node: node.Name}
		if o.err = r.pool.Unload(q.Context(), node, canonical); o.err != nil {
			o.Error = o.err.Error()
		}
		outcomes = append(outcomes, o)
	}
	status, text := sum(canonical, outcomes)
	reply.Bytes(w, status, text)
}

// pin has the database remember whether nodes are to keep a model in memory, or answers with an error and
// returns false.
func (r *Residency) pin(w http.ResponseWriter, q *http.Request, nodes []string, model string, pinned bool) bool {
	err := r.database.SetPinned(q.Context(), nodes, model, pinned)
	switch {
	case errors.Is(err, store.ErrNotFound):
		reply.Error(w, q, http.StatusServiceUnavailable, "the database does not know the nodes yet")
	case err != nil:
		exchange.DatabaseAway(w, q, err)
	default:
		r.told.Pinned(q.Context())
	}
	return err == nil
}

func names(targets []*nodes.Node) []string {
	all := make([]string, len(targets))
	for i, node := range targets {
		all[i] = node.Name
	}
	return all
}
