//go:build integration

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/realparts"
)

// stands returns the model that answers for a name, or the status of an error.
func (p place) stands(t *testing.T, name string) string {
	t.Helper()
	status, header, text := askWhole(t, firstKey, "POST", p.url+"/api/generate",
		`{"model":"`+name+`","prompt":"a","stream":false,"options":{"num_predict":1}}`)
	if status != http.StatusOK {
		return strconv.Itoa(status)
	}
	model := header.Get("X-Ollamamax-Model")
	if model != "" && !strings.Contains(text, `"model":"`+strings.TrimSuffix(model, ":latest")+`"`) {
		t.Errorf("%s answered, and the answer says %s", model, text)
	}
	return model
}

// becomes waits until a name stands for a model on a gateway, and returns how long that took.
func (p place) becomes(t *testing.T, name, model string) time.Duration {
	t.Helper()
	began := time.Now()
	within(t, fmt.Sprintf("%s stands for %s at %s", name, model, p.name), func() error {
		if got := p.stands(t, name); got != model {
			return fmt.Errorf("it stands for %s", got)
		}
		return nil
	})
	return time.Since(began)
}

// migrateAliases registers aliases, as YAML, as the stack's only ones.
func (p place) migrateAliases(t *testing.T, aliases string) {
	t.Helper()
	p.migrateWith(t, firstKey) // which takes away those of before
	path := p.folder + "/migrate.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "models: {aliases: ["+aliases+"]}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if status := run([]string{"migrate", "--config", path}, io.Discard, &stderr); status != 0 {
		t.Fatalf("migrate exits with %d: %s", status, stderr.String())
	}
}

func TestAnAliasHoldsOnEveryGatewayThroughARestartAndWhileTheDatabaseIsAway(t *testing.T) {
	one, two, database, redis := pair(t)
	put := func(p place, name, model string) (int, string) {
		return ask(t, firstKey, "PUT", p.url+"/api/v1/models/aliases/"+name, `{"targets":[{"model":"`+model+`"}]}`)
	}
	if status, text := ask(t, firstKey, "POST", one.url+"/api/copy", `{"source":"tiny","destination":"other"}`); status != 200 {
		t.Fatalf("copy: %d %s", status, text)
	}
	defer ask(t, firstKey, "DELETE", one.url+"/api/delete", `{"model":"other"}`)
	if status, text := put(one, "chat", "tiny"); status != 201 {
		t.Fatalf("put: %d %s", status, text)
	}
	defer ask(t, firstKey, "DELETE", one.url+"/api/v1/models/aliases/chat", "")
	for i := range 3 {
		model := [...]string{"other", "tiny"}[i%2]
		if status, text := put(one, "chat", model); status != 200 {
			t.Fatalf("put: %d %s", status, text)
		}
		if got := one.stands(t, "chat"); got != model+":latest" {
			t.Errorf("at the gateway that was asked the alias stands for %s", got)
		}
		if took := two.becomes(t, "chat", model+":latest"); took > time.Second {
			t.Errorf("the other gateway knows after %v", took)
		}
	}
	redis.Pull()
	if status, text := put(one, "chat", "tiny"); status != 200 {
		t.Fatalf("put without Redis: %d %s", status, text)
	}
	if took := two.becomes(t, "chat", "tiny:latest"); took > 11*time.Second {
		t.Errorf("without Redis the other gateway knows after %v", took)
	}
	redis.Plug()

	database.Pull()
	if status, text := put(two, "chat", "other"); status != 503 || text != `{"error":"the database does not answer"}` {
		t.Errorf("put without the database: %d %s", status, text)
	}
	for _, p := range []place{one, two} {
		if got := p.stands(t, "chat"); got != "tiny:latest" {
			t.Errorf("%s without the database: %s", p.name, got)
		}
	}
	database.Plug()
	three := configureAt(t, "gateway-3", database.Address, realparts.Needed(t, realparts.Redis))
	three.start(t)
	if got := three.stands(t, "chat"); got != "tiny:latest" {
		t.Errorf("at a gateway that has just started the alias stands for %s", got)
	}
}

func TestTheStacksAliasesAreWrittenByMigrateAndChangedInTheSettingsAlone(t *testing.T) {
	p := configure(t)
	p.migrateAliases(t, `{name: house, targets: [{model: tiny, weight: 1}], fallbacks: [tiny:small]}`)
	p.start(t)
	if got := p.stands(t, "house"); got != "tiny:latest" {
		t.Errorf("the stack's alias stands for %s", got)
	}
	if _, text := ask(t, firstKey, "GET", p.url+"/api/tags", ""); !strings.Contains(text, `"alias_of":["tiny:latest"]`) {
		t.Errorf("tags: %s", text)
	}
	want := `{"error":"the alias is the stack's: change it in the stack's settings"}`
	if status, text := ask(t, firstKey, "PUT", p.url+"/api/v1/models/aliases/house", `{"targets":[{"model":"tiny"}]}`); status != 409 || text != want {
		t.Errorf("put: %d %s", status, text)
	}
	if status, text := ask(t, firstKey, "DELETE", p.url+"/api/v1/models/aliases/house", ""); status != 409 || text != want {
		t.Errorf("delete: %d %s", status, text)
	}
	p.migrateAliases(t, "")
	if took := p.becomes(t, "house", "404"); took > time.Second {
		t.Errorf("the gateway knows after %v that the alias has left the settings", took)
	}
}
