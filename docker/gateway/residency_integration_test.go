//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inMemory is when a worker lets go of what it has loaded, by name.
func inMemory(t *testing.T, worker string) map[string]time.Time {
	t.Helper()
	status, text := ask(t, "", "GET", "http://"+worker+"/api/ps", "")
	var list struct {
		Models []struct {
			Name      string
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 {
		t.Fatalf("ps: %d %s", status, text)
	}
	all := map[string]time.Time{}
	for _, model := range list.Models {
		all[model.Name] = model.ExpiresAt
	}
	return all
}

// preloads is how many models the gateway has loaded that no request asked for.
func (p place) preloads(t *testing.T) int {
	t.Helper()
	_, text := ask(t, firstKey, "GET", p.admin+"/metrics", "")
	_, after, _ := strings.Cut(text, `ollamamax_preload_total{result="loaded"} `)
	number, _, _ := strings.Cut(after, "\n")
	loads, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("/metrics has no count of loads: %v", err)
	}
	return loads
}

func (p place) residency(t *testing.T) {
	everywhere := func(what string, holds func(time.Time) bool) {
		t.Helper()
		for _, worker := range p.workers {
			within(t, worker+": "+what, func() error {
				if at := inMemory(t, worker)["tiny:latest"]; !holds(at) {
					return fmt.Errorf("it expires at %s", at)
				}
				return nil
			})
		}
	}
	// A worker that has loaded a copy of a model goes on calling it by the copy's name.
	for _, worker := range p.workers {
		if status, text := ask(t, "", "POST", "http://"+worker+"/api/generate", `{"model":"tiny","keep_alive":0}`); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		within(t, worker+" has nothing in memory", func() error {
			if all := inMemory(t, worker); len(all) > 0 {
				return fmt.Errorf("%v", all)
			}
			return nil
		})
	}
	kept := func(at time.Time) bool { return at.After(time.Now().AddDate(100, 0, 0)) }
	route := p.url + "/api/v1/models/tiny/"
	status, text := ask(t, firstKey, "POST", route+"preload", fmt.Sprintf(`{"copies":%d,"keep":true}`, len(p.workers)))
	if status != 200 || strings.Count(text, `"resident":true`) != len(p.workers) {
		t.Fatalf("preload: %d %s", status, text)
	}
	everywhere("the model is there for good", kept)

	for _, worker := range p.workers { // behind the gateway's back
		if status, text := ask(t, "", "POST", "http://"+worker+"/api/generate", `{"model":"tiny","prompt":"a","stream":false,"keep_alive":"1m","options":{"num_predict":1}}`); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	everywhere("it is there for good again, after somebody had it kept for a minute", kept)
	before := p.preloads(t)
	for _, worker := range p.workers {
		if status, text := ask(t, "", "POST", "http://"+worker+"/api/generate", `{"model":"tiny","keep_alive":0}`); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	within(t, "the gateway has noticed and loaded it again", func() error {
		if loads := p.preloads(t) - before; loads < len(p.workers) {
			return fmt.Errorf("%d loads", loads)
		}
		return nil
	})
	everywhere("it is there again", kept)

	if status, text := ask(t, firstKey, "GET", p.url+"/api/v1/models", ""); status != 200 || !strings.Contains(text, `"pinned":["worker-1","worker-2"]`) {
		t.Errorf("models: %d %s", status, text)
	}
	if status, text := ask(t, firstKey, "POST", route+"unload", ""); status != 200 {
		t.Fatalf("unload: %d %s", status, text)
	}
	everywhere("it is gone", time.Time.IsZero)
}
