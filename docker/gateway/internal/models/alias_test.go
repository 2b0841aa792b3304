package models_test

import (
	"errors"
	"strings"
	"testing"

	"ollamamax/gateway/internal/models"
)

func TestEveryProblemOfAnAliasIsNamedAtOnce(t *testing.T) {
	spec := models.Spec{
		Name: "a b",
		Targets: []models.Target{
			{Model: "one", Weight: -1}, {Model: "two//x", Variant: "v"}, {Model: "two", Weight: 1_000_001, Variant: "v"}, {Model: "", Variant: "é"},
		},
		Fallbacks: []string{"three", "THREE:latest", "?"},
	}
	err := spec.Complete().Check()
	want := []string{
		`name: "a b:latest" is not a model's name, such as smollm2:135m`,
		`targets[0].weight: -1 is not between 0 and 1000000`,
		`targets[1].model: "two//x" is not a model's name, such as smollm2:135m`,
		`targets[2].weight: 1000001 is not between 0 and 1000000`,
		`targets[2].variant: "v" is another target's: give each a name of its own`,
		`targets[3].model: "" is not a model's name, such as smollm2:135m`,
		`targets[3].variant: "é" is not a name of letters, digits and . _ : / -`,
		`targets: no target has a weight above 0: nothing would answer`,
		`fallbacks[1]: "THREE:latest" is listed twice`,
		`fallbacks[2]: "?" is not a model's name, such as smollm2:135m`,
	}
	var invalid models.InvalidError
	if !errors.As(err, &invalid) || err.Error() != strings.Join(want, "\n") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsLeftOutIsFilledIn(t *testing.T) {
	spec := models.Spec{Name: "Chat", Targets: []models.Target{{Model: "library/Big", Weight: 1}}}.Complete()
	if spec.Name != "chat:latest" || spec.Targets[0].Variant != "big:latest" || spec.Fallbacks == nil || spec.IsModel() {
		t.Errorf("%+v", spec)
	}
	alone := models.Spec{Name: "big", Fallbacks: []string{"small"}}.Complete()
	if !alone.IsModel() || len(alone.Targets) != 1 || alone.Check() != nil {
		t.Errorf("fallbacks of a model: %+v, %v", alone, alone.Check())
	}
}

func TestAnAliasThatChangesNothingIsRefused(t *testing.T) {
	for spec, want := range map[*models.Spec]string{
		{Name: "big"}: `targets: "big:latest" stands for itself alone: name another model, or fallbacks`,
		{Name: "chat", Targets: []models.Target{{Model: "big", Weight: 1}}, Fallbacks: []string{"big:latest"}}: `fallbacks[0]: "big:latest" is a target with a weight: it is tried before the fallbacks anyway`,
		{Name: "chat", Targets: make([]models.Target, 21), Fallbacks: make([]string, 11)}:                      `targets: 21 are more than 20`,
	} {
		if err := spec.Complete().Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

func TestAnAliasNeverStandsForAnAlias(t *testing.T) {
	records := func(specs ...models.Spec) (all []models.Record) {
		for _, spec := range specs {
			all = append(all, models.Record{Spec: spec.Complete()})
		}
		return all
	}
	to := func(name string, targets ...string) models.Spec {
		spec := models.Spec{Name: name}
		for _, model := range targets {
			spec.Targets = append(spec.Targets, models.Target{Model: model, Weight: 1})
		}
		return spec.Complete()
	}
	there := records(to("chat", "big", "small"), to("canary", "canary", "new"))
	for _, c := range []struct {
		spec models.Spec
		want string
	}{
		{to("talk", "library/Chat"), `targets[0].model: "library/Chat" is an alias itself: name a model that it stands for (big, small)`},
		{models.Spec{Name: "big", Fallbacks: []string{"chat"}}.Complete(), `fallbacks[0]: "chat" is an alias itself: name a model that it stands for (big, small)`},
		{to("big", "other"), `name: the alias "chat:latest" has "big" in targets[0].model, and an alias never stands for an alias: change that first`},
		{to("talk", "canary"), ""}, // a model's own name: it means that model
		{models.Spec{Name: "big", Fallbacks: []string{"small"}}.Complete(), ""}, // and here
		{to("chat", "big"), ""}, // what is there is replaced
	} {
		err := c.spec.Against(there)
		if (c.want == "") != (err == nil) || (err != nil && err.Error() != c.want) {
			t.Errorf("%+v: %v", c.spec, err)
		}
	}
}
