package models

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"ollamamax/gateway/internal/modelname"
)

// Alias is a name that requests ask for.
type Alias struct {
	Record
	variants  []*Variant // in the order of Targets
	fallbacks []*Variant
	total     uint64 // of the weights
	salt      uint64 // so that what one alias makes of a conversation says nothing of another
}

// Variant is a model that answers in the name of an alias.
type Variant struct {
	Alias  string // as listed
	Name   string // of the variant
	Short  string // of the model, as listed
	Model  string // canonical
	JSON   []byte // the model's name as a body has it
	weight uint64
}

func newVariant(alias, name, model string, weight int) *Variant {
	return &Variant{
		Alias: alias, Name: name, Short: modelname.Short(model), Model: modelname.Canonical(model),
		JSON:   []byte(`"` + model + `"`), // a name that has been checked needs no escapes
		weight: uint64(max(0, weight)),
	}
}

// Names is what names stand for. Its zero value has none.
type Names struct {
	known atomic.Pointer[map[string]*Alias] // by canonical name
}

// Set replaces all aliases, in one step.
func (n *Names) Set(records []Record) {
	known := make(map[string]*Alias, len(records))
	for _, record := range records {
		a := &Alias{Record: record, salt: xxhash.Sum64String(record.Name)}
		for _, target := range record.Targets {
			v := newVariant(record.Name, target.Variant, target.Model, target.Weight)
			a.variants = append(a.variants, v)
			a.total += v.weight
		}
		for _, model := range record.Fallbacks {
			a.fallbacks = append(a.fallbacks, newVariant(record.Name, modelname.Short(model), model, 0))
		}
		if a.total > 0 { // as what has been checked has
			known[modelname.Canonical(record.Name)] = a
		}
	}
	n.known.Store(&known)
}

// Find returns the alias of a canonical name, or nil. It is called for every request: it must not allocate.
func (n *Names) Find(canonical string) *Alias {
	known := n.known.Load()
	if known == nil {
		return nil
	}
	return (*known)[canonical]
}

// All returns all aliases, sorted by name.
func (n *Names) All() []*Alias {
	var all []*Alias
	if known := n.known.Load(); known != nil {
		for _, alias := range *known {
			all = append(all, alias)
		}
	}
	slices.SortFunc(all, func(a, b *Alias) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Variant returns the variant of that name, or nil.
func (a *Alias) Variant(name string) *Variant {
	for _, v := range a.variants {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Variants lists the names of the variants.
func (a *Alias) Variants() []string {
	names := make([]string, len(a.variants))
	for i, v := range a.variants {
		names[i] = v.Name
	}
	return names
}

// Gives tells whether requests get the model without asking for it.
func (a *Alias) Gives(model string) bool {
	return slices.ContainsFunc(a.variants, func(v *Variant) bool { return v.weight > 0 && v.Model == modelname.Canonical(model) })
}

// Choose returns the variant for a request: equal points, which are hashes of what must stay together, get equal
// variants, and all points each its share. Where the model of the one can't be served, the others share its
// part; where none can, the first fallback that can; and where none of these, the one that it would have been.
func (a *Alias) Choose(point uint64, serves func(model string) bool) *Variant {
	point = a.hash(point)
	chosen := at(point, a.variants, a.total)
	if serves(chosen.Model) {
		return chosen
	}
	var served []*Variant
	total := uint64(0)
	for _, v := range a.variants {
		if v.weight > 0 && v != chosen && serves(v.Model) {
			served = append(served, v)
			total += v.weight
		}
	}
	if total > 0 {
		return at(a.hash(point), served, total) // anew: where the point lies is what chose the one that can't
	}
	for _, v := range a.fallbacks {
		if serves(v.Model) {
			return v
		}
	}
	return chosen
}

// Others tells whether a model other than chosen's can be served, which Choose would then return.
func (a *Alias) Others(chosen *Variant, serves func(model string) bool) bool {
	other := func(v *Variant) bool { return v.Model != chosen.Model && serves(v.Model) }
	return slices.ContainsFunc(a.variants, func(v *Variant) bool { return v.weight > 0 && other(v) }) || slices.ContainsFunc(a.fallbacks, other)
}

// First returns the first variant with a share, in the order in which they are written, whose model can be
// served, or else the first of these: what a name stands for where it must stand for one model.
func (a *Alias) First(serves func(model string) bool) *Variant {
	var first *Variant
	for _, v := range a.variants {
		switch {
		case v.weight == 0:
		case serves(v.Model):
			return v
		case first == nil:
			first = v
		}
	}
	for _, v := range a.fallbacks {
		if serves(v.Model) {
			return v
		}
	}
	return first
}

// at returns the variant in whose part of the weights a point lies. The points' scale does not depend on the
// sum, so that a change of the weights moves no more points than it must.
func at(point uint64, variants []*Variant, total uint64) *Variant {
	left, _ := bits.Mul64(point, total)
	for _, v := range variants {
		if left < v.weight {
			return v
		}
		left -= v.weight
	}
	panic("the weights are not their sum")
}

// hash spreads points over all numbers, for each alias in another way.
func (a *Alias) hash(point uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], a.salt)
	binary.LittleEndian.PutUint64(b[8:], point)
	return xxhash.Sum64(b[:])
}
