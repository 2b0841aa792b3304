package aliases_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ollamamax/gateway/internal/aliases"
	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/openapitest"
)

var errAway = errors.New("connection refused")

// database is one that can go away, and whose answers can be told to be what others wrote.
type database struct {
	records []models.Record
	err     error // of all
	refuses error // of changes
	puts    int
}

func (d *database) Aliases(context.Context) ([]models.Record, error) { return d.records, d.err }

func (d *database) PutAlias(_ context.Context, spec models.Spec, by string) (models.Record, error) {
	d.puts++
	record := models.Record{Spec: spec, Source: models.API, UpdatedBy: by}
	if err := errors.Join(d.err, d.refuses); err != nil {
		return record, err
	}
	d.records = []models.Record{record}
	return record, nil
}

func (d *database) DeleteAlias(context.Context, string) (models.Record, error) {
	return models.Record{}, errors.Join(d.err, d.refuses)
}

// workers hold every model, and have each that is preloaded in memory.
type workers struct {
	loaded []string
	fails  error
	during func()
}

func (w *workers) Known(string) (nodes.Model, bool) { return nodes.Model{}, true }

func (w *workers) Preload(_ context.Context, model string) error {
	w.loaded = append(w.loaded, modelname.Short(model))
	if w.during != nil {
		w.during()
	}
	return w.fails
}

type platform struct {
	*aliases.Aliases
	names    *models.Names
	database *database
	workers  *workers
	changes  int
	gone     []string
	mux      *http.ServeMux
}

func open(records ...models.Record) *platform {
	p := &platform{names: &models.Names{}, database: &database{records: records}, workers: &workers{}, mux: http.NewServeMux()}
	p.Aliases = aliases.New(p.names, p.workers, p.workers, p.database, slog.New(slog.DiscardHandler), func() { p.changes++ },
		func(alias string) { p.gone = append(p.gone, alias) })
	p.Routes(func(pattern string, handler http.HandlerFunc) { p.mux.HandleFunc(pattern, handler) })
	return p
}

func (p *platform) ask(t *testing.T, method, name, body string) (int, string) {
	t.Helper()
	x := &exchange.Exchange{Key: &auth.Key{Name: "ci"}}
	path := "/api/v1/models/aliases/" + name
	request := httptest.NewRequestWithContext(exchange.With(t.Context(), x), method, path, strings.NewReader(body))
	answer := httptest.NewRecorder()
	p.mux.ServeHTTP(answer, request)
	openapitest.Check(t, method, path, answer.Code, answer.Body.Bytes())
	return answer.Code, answer.Body.String()
}

func (p *platform) stands(name string) string {
	if alias := p.names.Find(modelname.Canonical(name)); alias != nil {
		return alias.Models()
	}
	return ""
}

func record(source, name, model string) models.Record {
	return models.Record{Source: source, Spec: models.Spec{Name: name, Targets: []models.Target{{Model: model, Weight: 1}}}.Complete()}
}

const away = `{"error":"the database does not answer"}`

func TestWithoutTheDatabaseAliasesStayAndCantBeChanged(t *testing.T) {
	p := open(record(models.API, "chat", "old"))
	p.database.err = errAway
	if err := p.Read(t.Context()); !errors.Is(err, errAway) || p.Loaded() {
		t.Errorf("loaded from a database that is away: %v", err)
	}
	p.database.err = nil
	if err := p.Read(t.Context()); err != nil || !p.Loaded() || p.stands("chat") != "old" {
		t.Errorf("%v: chat stands for %q", err, p.stands("chat"))
	}
	p.database.err = errAway
	for _, method := range []string{"PUT", "DELETE"} {
		if status, text := p.ask(t, method, "chat", `{"targets":[{"model":"new"}]}`); status != 503 || text != away {
			t.Errorf("%s: %d %s", method, status, text)
		}
	}
	if err := p.Read(t.Context()); err == nil || !p.Loaded() || p.stands("chat") != "old" || p.changes != 0 {
		t.Errorf("%v: chat stands for %q after %d changes", err, p.stands("chat"), p.changes)
	}
	if status, text := p.ask(t, "GET", "chat", ""); status != 200 || !strings.Contains(text, `"model":"old"`) {
		t.Errorf("what this gateway knows: %d %s", status, text)
	}
}

func TestTheStacksAliasIsNotChangedAndItsModelNotEvenLoaded(t *testing.T) {
	p := open(record(models.Stack, "house", "old"))
	_ = p.Read(t.Context())
	if status, text := p.ask(t, "PUT", "house", `{"targets":[{"model":"new"}]}`); status != 409 || !strings.Contains(text, "stack's settings") {
		t.Errorf("%d %s", status, text)
	}
	if len(p.workers.loaded) != 0 || p.database.puts != 0 {
		t.Errorf("loaded %v, %d writes", p.workers.loaded, p.database.puts)
	}
}

func TestWhoCountsIsToldOfAliasesThatAreGoneAndOfNoOthers(t *testing.T) {
	p := open(record(models.API, "chat", "old"), record(models.API, "house", "old"))
	for _, records := range [][]models.Record{p.database.records, {record(models.API, "house", "new")}, {}} {
		p.database.records = records
		if err := p.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if gone := strings.Join(p.gone, " "); gone != "chat:latest house:latest" {
		t.Errorf("told of %q", gone)
	}
}

func TestWhatOthersWroteMeanwhileIsSeenByTheDatabase(t *testing.T) {
	p := open()
	for err, want := range map[error]int{
		models.ErrStack: 409, models.ErrNotFound: 404, models.Invalid(errors.New("targets[0].model: \"x\" is an alias itself")): 400,
	} {
		p.database.refuses = err
		if status, text := p.ask(t, "PUT", "chat", `{"targets":[{"model":"new"}]}`); status != want {
			t.Errorf("%v: %d %s", err, status, text)
		}
	}
	if p.changes != 0 {
		t.Errorf("%d changes", p.changes)
	}
}

func TestAModelIsLoadedBeforeTheAliasIsWrittenAndOnlyWhereItBeginsToAnswer(t *testing.T) {
	p := open(record(models.API, "chat", "old"))
	_ = p.Read(t.Context())
	p.workers.during = func() {
		if p.database.puts != 0 || p.stands("chat") != "old" {
			t.Error("the alias was changed before its model was there")
		}
	}
	status, text := p.ask(t, "PUT", "chat", `{"targets":[{"model":"old","weight":9},{"model":"new"},{"model":"rare","weight":0}],"fallbacks":["small"]}`)
	if status != 200 || strings.Join(p.workers.loaded, " ") != "new:latest" || p.stands("chat") != "old, new, rare" || p.changes != 1 {
		t.Errorf("%d %s: loaded %v, %d changes", status, text, p.workers.loaded, p.changes)
	}
	p.workers.fails, p.workers.during = errors.New("no room"), nil
	status, text = p.ask(t, "PUT", "chat", `{"targets":[{"model":"next"}]}`)
	if status != 503 || text != `{"error":"next could not be made resident, and the alias stays as it is: no room"}` || p.stands("chat") != "old, new, rare" {
		t.Errorf("%d %s: chat stands for %s", status, text, p.stands("chat"))
	}
}
