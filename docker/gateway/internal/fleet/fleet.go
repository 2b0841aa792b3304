// Package fleet serves the platform's routes about workers: what they are and do, and that one takes
// nothing new for a while, which the database remembers and all gateways keep to.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/follow"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/store"
)

// Database remembers the nodes.
type Database interface {
	ListNodes(ctx context.Context) ([]store.Node, error)
	Told(ctx context.Context) (drained []string, pinned map[string][]string, err error)
	SetDrained(ctx context.Context, name string, drained bool) error
}

// Fleet serves the routes, and keeps what the pool's nodes are told as the database has it: to be drained, and to
// keep models in memory.
type Fleet struct {
	*follow.Follower
	gateway  string
	pool     *nodes.Pool
	database Database
	changed  func() // a node was told something
}

// New returns the fleet that the gateway of this name sees. changed is called after every change.
func New(gateway string, pool *nodes.Pool, database Database, log *slog.Logger, changed func()) *Fleet {
	f := &Fleet{gateway: gateway, pool: pool, database: database, changed: changed}
	f.Follower = follow.New("what nodes are told", f.load, log)
	return f
}

// Changed has what was written to the database hold here at once, and tells the other gateways.
func (f *Fleet) Changed(ctx context.Context) {
	f.changed()
	f.Written(ctx)
}

func (f *Fleet) load(ctx context.Context) error {
	drained, pinned, err := f.database.Told(ctx)
	if err != nil {
		return err
	}
	f.pool.SetDrained(drained)
	f.pool.SetPinned(pinned)
	return nil
}

// Routes names all routes.
func (f *Fleet) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /api/v1/nodes", f.list)
	route("POST /api/v1/nodes/{node...}", f.command)
}

// node is one worker: what all gateways know of it, and what this one does.
type node struct {
	Name     string     `json:"name"`
	Address  string     `json:"address"`
	Healthy  bool       `json:"healthy"`
	Drained  bool       `json:"drained"`
	LastSeen *time.Time `json:"last_seen"` // null while the database is away
	Models   []string   `json:"models"`
	Here     *here      `json:"here"` // null where this gateway does not know it
}

// here is what one gateway sees of a node.
type here struct {
	Takes    bool              `json:"takes_requests"`
	Leaving  bool              `json:"leaving"`
	Ejected  float64           `json:"ejected_seconds"` // for how long yet
	InFlight int               `json:"in_flight"`
	Slots    int               `json:"slots"` // of each model; 0: no limit
	Loaded   []string          `json:"loaded"`
	Pinned   map[string]string `json:"pinned"`   // resident, loading, or why it is not, by model
	Breakers map[string]string `json:"breakers"` // those that are not closed, by model
}

func (f *Fleet) list(w http.ResponseWriter, r *http.Request) {
	reply.JSON(w, http.StatusOK, map[string]any{
		"gateway": f.gateway, "waiting": f.pool.Waiting(), "nodes": f.nodes(r.Context()),
	})
}

// nodes returns all nodes: those of the database, as this gateway sees them, or, while it is away, those that
// this gateway sees.
func (f *Fleet) nodes(ctx context.Context) []node {
	seen := map[string]nodes.State{}
	var order []string
	for _, state := range f.pool.Snapshot() {
		seen[state.Name] = state
		order = append(order, state.Name)
	}
	known, err := f.database.ListNodes(ctx)
	if err != nil {
		exchange.From(ctx).Cause = err
		all := []node{}
		for _, name := range order {
			state := seen[name]
			models := []string{}
			for _, model := range state.Models {
				models = append(models, modelname.Short(model.Canonical))
			}
			all = append(all, node{
				Name: name, Address: state.Address, Healthy: state.Up, Drained: state.Drained, Models: models, Here: view(state),
			})
		}
		return all
	}
	all := []node{}
	for _, n := range known {
		one := node{Name: n.Name, Address: n.Address, Healthy: n.Healthy, Drained: n.Drained, LastSeen: &n.LastSeen, Models: n.Models}
		if state, here := seen[n.Name]; here {
			one.Here = view(state)
		}
		all = append(all, one)
	}
	return all
}

func view(s nodes.State) *here {
	return &here{
		Takes: s.Takes(), Leaving: s.Leaving, Ejected: s.Ejected.Seconds(),
		InFlight: s.InFlight, Slots: s.Slots, Loaded: s.Loaded, Pinned: s.Pinned, Breakers: s.Breakers,
	}
}

// command drains a node or takes it in again. A node's name may have slashes.
func (f *Fleet) command(w http.ResponseWriter, r *http.Request) {
	name, drain := strings.CutSuffix(r.PathValue("node"), "/drain")
	if !drain {
		var undrain bool
		if name, undrain = strings.CutSuffix(name, "/undrain"); !undrain {
			reply.Error(w, r, http.StatusNotFound, "no such command: a node can be told to drain or to undrain")
			return
		}
	}
	err := f.database.SetDrained(r.Context(), name, drain)
	switch {
	case errors.Is(err, store.ErrNotFound):
		reply.Error(w, r, http.StatusNotFound, fmt.Sprintf("node '%s' not found", name))
		return
	case err != nil:
		exchange.DatabaseAway(w, r, err)
		return
	}
	f.Changed(r.Context())
	for _, n := range f.nodes(r.Context()) {
		if n.Name == name {
			reply.JSON(w, http.StatusOK, n)
			return
		}
	}
	reply.Error(w, r, http.StatusNotFound, fmt.Sprintf("node '%s' not found", name))
}
