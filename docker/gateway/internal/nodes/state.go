package nodes

import (
	"slices"
	"strings"
	"time"

	"ollamamax/gateway/internal/breaker"
	"ollamamax/gateway/internal/modelname"
)

// State is what is known of a node at one moment.
type State struct {
	Name     string
	Address  string
	Up       bool
	Seen     bool // Models is what the node said, not merely nothing
	Models   []Model
	Leaving  bool // its source says that it goes
	Drained  bool
	Ejected  time.Duration     // for how long yet; 0: it is not
	InFlight int               // requests under way from here
	Slots    int               // of each model; 0: no limit
	Loaded   []string          // models in memory, as listed
	Pinned   map[string]string // what has become of those that are to be there always
	Breakers map[string]string // states of those that are not closed, by model as listed
}

// Takes tells whether the node is given requests.
func (s *State) Takes() bool { return s.Up && !s.Drained && !s.Leaving && s.Ejected == 0 }

// Snapshot returns every node, sorted by name, its models sorted too.
func (p *Pool) Snapshot() []State { return p.states(true) }

// Look is Snapshot without the models that the nodes hold, which are many.
func (p *Pool) Look() []State { return p.states(false) }

func (p *Pool) states(withModels bool) []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	states := make([]State, 0, len(p.nodes))
	for _, node := range p.nodes {
		state := State{
			Name: node.Name, Address: node.Address, Up: node.up, Seen: node.seen, Leaving: node.leaving,
			Drained: node.drained, Ejected: max(0, node.record.Until()-now), InFlight: node.outstanding,
			Slots: node.slots, Loaded: []string{}, Pinned: map[string]string{}, Breakers: map[string]string{},
		}
		for _, pin := range node.pins {
			state.Pinned[modelname.Short(pin.model)] = node.state(pin)
		}
		if withModels {
			for _, model := range node.models {
				state.Models = append(state.Models, model)
			}
			slices.SortFunc(state.Models, func(a, b Model) int { return strings.Compare(a.Canonical, b.Canonical) })
		}
		for model, l := range node.lanes {
			if l.loaded {
				state.Loaded = append(state.Loaded, modelname.Short(model))
			}
			if b := l.breaker.State(&p.breaking, now); b != breaker.Closed {
				state.Breakers[modelname.Short(model)] = b.String()
			}
		}
		slices.Sort(state.Loaded)
		states = append(states, state)
	}
	return states
}

// Placed is where a model is at one moment.
type Placed struct {
	Model             // as the node has it that got it last
	Nodes    []string // that hold it, sorted
	Loaded   []string // of these, those that have it in memory
	Pinned   []string // and those that are to have it there always
	Bytes    int64    // that it takes in memory; 0: it has not been there yet
	InFlight int      // requests that hold a slot of it
	Waiting  int      // requests that wait for one
}

// Models returns every model that some node holds, sorted by name.
func (p *Pool) Models() []Placed {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Placed, 0, len(p.places))
	for _, place := range p.places {
		if len(place.lanes) == 0 {
			continue
		}
		model := Placed{Nodes: []string{}, Loaded: []string{}, Pinned: []string{}, Bytes: place.bytes, Waiting: place.waiting.Len()}
		for _, l := range place.lanes {
			if here := l.node.models[place.model]; model.Canonical == "" || here.ModifiedAt.After(model.ModifiedAt) {
				model.Model = here
			}
			model.Nodes = append(model.Nodes, l.node.Name)
			if l.loaded {
				model.Loaded = append(model.Loaded, l.node.Name)
			}
			if l.pinned {
				model.Pinned = append(model.Pinned, l.node.Name)
			}
			model.InFlight += l.inUse
		}
		all = append(all, model)
	}
	slices.SortFunc(all, func(a, b Placed) int { return strings.Compare(a.Canonical, b.Canonical) })
	return all
}
