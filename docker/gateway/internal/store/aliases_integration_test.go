//go:build integration

package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/realparts"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/storetest"
)

func stands(name string, targets ...string) models.Spec {
	spec := models.Spec{Name: name}
	for _, model := range targets {
		spec.Targets = append(spec.Targets, models.Target{Model: model, Weight: 1})
	}
	return spec.Complete()
}

// list is all aliases, as words.
func list(t *testing.T, s *store.Store) string {
	t.Helper()
	all, err := s.Aliases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, alias := range all {
		words = append(words, fmt.Sprint(alias.Name, "=", alias.Models(), " ", alias.Source))
	}
	return strings.Join(words, "; ")
}

func TestAnAliasIsReadAsItWasWritten(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	spec := models.Spec{
		Name: "Chat", Targets: []models.Target{{Model: "big", Weight: 90, Variant: "stable"}, {Model: "new", Weight: 10}}, Fallbacks: []string{"small"},
	}.Complete()
	made, err := s.PutAlias(t.Context(), spec, "ci")
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Aliases(t.Context())
	if err != nil || len(all) != 1 || fmt.Sprintf("%+v", all[0]) != fmt.Sprintf("%+v", made) {
		t.Fatalf("%+v, %v: made %+v", all, err, made)
	}
	if fmt.Sprint(all[0].Spec) != fmt.Sprint(spec) || made.Source != models.API || made.UpdatedBy != "ci" || made.UpdatedAt.IsZero() {
		t.Errorf("%+v", made)
	}
	if _, err := s.PutAlias(t.Context(), stands("chat:latest", "other"), "ci"); err != nil || list(t, s) != "chat:latest=other api" {
		t.Errorf("changed: %s, %v", list(t, s), err)
	}
	if _, err := s.PutAlias(t.Context(), stands("talk", "chat"), "ci"); !errors.As(err, &models.InvalidError{}) {
		t.Errorf("an alias of an alias: %v", err)
	}
	if gone, err := s.DeleteAlias(t.Context(), "chat:latest"); err != nil || gone.Name != "chat:latest" || list(t, s) != "" {
		t.Errorf("deleted: %+v, %v, left %s", gone, err, list(t, s))
	}
	if _, err := s.DeleteAlias(t.Context(), "chat:latest"); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestTheStacksAliasesFollowItsSettingsAndNothingElse(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	conn, err := pgx.ConnectConfig(t.Context(), storetest.Connection(t, realparts.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := s.PutAlias(t.Context(), stands("mine", "m"), "ci"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		stack []models.Spec
		want  string
	}{
		{[]models.Spec{stands("a", "m"), stands("b", "m")}, "a:latest=m stack; b:latest=m stack; mine:latest=m api"},
		{[]models.Spec{stands("b", "n"), stands("mine", "n")}, "b:latest=n stack; mine:latest=n stack"},
		{[]models.Spec{stands("b", "n")}, "b:latest=n stack"},
	} {
		if err := store.SyncStackAliases(t.Context(), conn, step.stack); err != nil || list(t, s) != step.want {
			t.Errorf("%s, not %s: %v", list(t, s), step.want, err)
		}
	}
	before, _ := s.Aliases(t.Context())
	if err := store.SyncStackAliases(t.Context(), conn, []models.Spec{stands("b", "n")}); err != nil {
		t.Fatal(err)
	}
	if after, _ := s.Aliases(t.Context()); !after[0].UpdatedAt.Equal(before[0].UpdatedAt) {
		t.Error("a deployment that changes nothing changes an alias")
	}
	if _, err := s.PutAlias(t.Context(), stands("b", "m"), "ci"); !errors.Is(err, models.ErrStack) {
		t.Errorf("the stack's is changed by the API: %v", err)
	}
	if _, err := s.DeleteAlias(t.Context(), "b:latest"); !errors.Is(err, models.ErrStack) {
		t.Errorf("the stack's is deleted by the API: %v", err)
	}
	if _, err := s.PutAlias(t.Context(), stands("x", "m"), "ci"); err != nil {
		t.Fatal(err)
	}
	err = store.SyncStackAliases(t.Context(), conn, []models.Spec{stands("c", "x")})
	if err == nil || !strings.Contains(err.Error(), `alias c:latest, beside those made by the API: targets[0].model: "x" is an alias itself`) {
		t.Errorf("%v", err)
	}
	if left := list(t, s); left != "b:latest=n stack; x:latest=m api" {
		t.Errorf("a deployment that failed changed aliases: %s", left)
	}
}
