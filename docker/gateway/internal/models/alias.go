// Package models says which models a name stands for: aliases, with the shares and the fallbacks of their
// models.
package models

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ollamamax/gateway/internal/modelname"
)

var (
	// ErrNotFound means that there is no such alias.
	ErrNotFound = errors.New("no such alias")
	// ErrStack means that the stack's settings decide about an alias.
	ErrStack = errors.New("the alias is the stack's: change it in the stack's settings")
)

// InvalidError is all that is wrong with a description, one line each.
type InvalidError struct{ error }

// Invalid returns problems, those that are nil left out, as an InvalidError, or nil where there are none.
func Invalid(problems ...error) error {
	if err := errors.Join(problems...); err != nil {
		return InvalidError{err}
	}
	return nil
}

// Who says what a name stands for.
const (
	Stack = "stack" // the stack's settings
	API   = "api"   // somebody, while the platform runs
)

const (
	maxTargets   = 20 // each is a series of metrics
	maxFallbacks = 10
	maxWeight    = 1_000_000
)

var variantPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

// Spec is what people decide about an alias.
type Spec struct {
	Name      string   `json:"name"      yaml:"name"`
	Targets   []Target `json:"targets"   yaml:"targets"`
	Fallbacks []string `json:"fallbacks" yaml:"fallbacks"` // models that answer where no target can, the first first
}

// Target is a model that an alias stands for.
type Target struct {
	Model   string `json:"model"   yaml:"model"`
	Weight  int    `json:"weight"  yaml:"weight"`  // its share, beside the others' weights; 0: only who asks for the variant gets it
	Variant string `json:"variant" yaml:"variant"` // what requests and metrics call it by
}

// Record is an alias as the database has it.
type Record struct {
	Spec
	Source    string    `json:"source"` // Stack or API
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by"`
}

// Complete fills in what a description leaves out. An alias without targets stands for the model of its own
// name, which so gets fallbacks. A target without a variant has its model's name.
func (s Spec) Complete() Spec {
	s.Name = modelname.Short(s.Name)
	s.Targets, s.Fallbacks = append([]Target{}, s.Targets...), append([]string{}, s.Fallbacks...)
	if len(s.Targets) == 0 {
		s.Targets = []Target{{Model: s.Name, Weight: 1}}
	}
	for i := range s.Targets {
		if target := &s.Targets[i]; target.Variant == "" {
			target.Variant = modelname.Short(target.Model)
		}
	}
	return s
}

// IsModel tells whether the name is a model's own, which is then among its targets. Such a model can be pulled
// and deleted, and other aliases can stand for it: they mean the model alone.
func (s Spec) IsModel() bool {
	return slices.ContainsFunc(s.Targets, func(target Target) bool { return same(target.Model, s.Name) })
}

func same(one, other string) bool { return modelname.Canonical(one) == modelname.Canonical(other) }

// Check returns what is wrong with a complete description, an InvalidError, or nil.
func (s Spec) Check() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	model := func(path, name string) {
		if !modelname.Valid(name) {
			add("%s: %q is not a model's name, such as smollm2:135m", path, name)
		}
	}
	model("name", s.Name)
	if len(s.Targets) > maxTargets {
		add("targets: %d are more than %d", len(s.Targets), maxTargets)
	}
	sum, variants := 0, map[string]bool{}
	for i, target := range s.Targets {
		path := fmt.Sprintf("targets[%d]", i)
		model(path+".model", target.Model)
		if target.Weight < 0 || target.Weight > maxWeight {
			add("%s.weight: %d is not between 0 and %d", path, target.Weight, maxWeight)
		} else {
			sum += target.Weight
		}
		switch {
		case !variantPattern.MatchString(target.Variant):
			add("%s.variant: %q is not a name of letters, digits and . _ : / -", path, target.Variant)
		case variants[target.Variant]:
			add("%s.variant: %q is another target's: give each a name of its own", path, target.Variant)
		}
		variants[target.Variant] = true
	}
	if sum == 0 {
		add("targets: no target has a weight above 0: nothing would answer")
	}
	if len(s.Fallbacks) > maxFallbacks {
		add("fallbacks: %d are more than %d", len(s.Fallbacks), maxFallbacks)
	}
	for i, name := range s.Fallbacks {
		path := fmt.Sprintf("fallbacks[%d]", i)
		model(path, name)
		if slices.ContainsFunc(s.Fallbacks[:i], func(before string) bool { return same(before, name) }) {
			add("%s: %q is listed twice", path, name)
		}
		if slices.ContainsFunc(s.Targets, func(target Target) bool { return target.Weight > 0 && same(target.Model, name) }) {
			add("%s: %q is a target with a weight: it is tried before the fallbacks anyway", path, name)
		}
	}
	if s.IsModel() && len(s.Targets) == 1 && len(s.Fallbacks) == 0 {
		add("targets: %q stands for itself alone: name another model, or fallbacks", s.Name)
	}
	return Invalid(problems...)
}

// Against returns what keeps the alias from being there beside others, an InvalidError, or nil: an alias stands
// for models, never for an alias.
func (s Spec) Against(others []Record) error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, other := range others {
		if same(other.Name, s.Name) {
			continue
		}
		for _, at := range s.names() {
			if same(at.model, other.Name) && !other.IsModel() {
				add("%s: %q is an alias itself: name a model that it stands for (%s)", at.path, at.model, other.Models())
			}
		}
		for _, at := range other.names() {
			if same(at.model, s.Name) && !s.IsModel() {
				add("name: the alias %q has %q in %s, and an alias never stands for an alias: change that first", other.Name, at.model, at.path)
			}
		}
	}
	return Invalid(problems...)
}

// named is a model that a description names, and where.
type named struct{ path, model string }

func (s Spec) names() []named {
	var all []named
	for i, target := range s.Targets {
		all = append(all, named{fmt.Sprintf("targets[%d].model", i), target.Model})
	}
	for i, name := range s.Fallbacks {
		all = append(all, named{fmt.Sprintf("fallbacks[%d]", i), name})
	}
	return all
}

// Models names the models of the targets, for a sentence.
func (s Spec) Models() string {
	names := make([]string, len(s.Targets))
	for i, target := range s.Targets {
		names[i] = target.Model
	}
	return strings.Join(names, ", ")
}
