// Package aliases keeps the names that stand for models as the database has them, and serves the platform's
// routes about them.
package aliases

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/follow"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
)

// Database keeps aliases.
type Database interface {
	Aliases(ctx context.Context) ([]models.Record, error)
	PutAlias(ctx context.Context, spec models.Spec, by string) (models.Record, error)
	DeleteAlias(ctx context.Context, name string) (models.Record, error)
}

// Workers know which models there are.
type Workers interface {
	// Known tells whether a node has the model, whatever that node does at the moment.
	Known(model string) (nodes.Model, bool)
}

// Residency brings models into memory.
type Residency interface {
	// Preload returns once the model, a canonical name, is resident.
	Preload(ctx context.Context, model string) error
}

// Aliases serves the routes, and keeps names as the database has them.
type Aliases struct {
	*follow.Follower
	names     *models.Names
	workers   Workers
	residency Residency
	database  Database
	changed   func()             // an alias is not what the gateways know
	gone      func(alias string) // it stands for nothing any more
}

// New returns what keeps names. changed is called after every change that is asked for here, gone for every alias
// that is no longer there, whoever deleted it.
func New(names *models.Names, workers Workers, residency Residency, database Database, log *slog.Logger, changed func(), gone func(alias string)) *Aliases {
	a := &Aliases{names: names, workers: workers, residency: residency, database: database, changed: changed, gone: gone}
	a.Follower = follow.New("model aliases", a.load, log)
	return a
}

func (a *Aliases) load(ctx context.Context) error {
	records, err := a.database.Aliases(ctx)
	if err != nil {
		return err
	}
	before := a.names.All()
	a.names.Set(records)
	for _, alias := range before {
		if a.names.Find(modelname.Canonical(alias.Name)) == nil {
			a.gone(alias.Name)
		}
	}
	return nil
}

// Routes names all routes.
func (a *Aliases) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /api/v1/models/aliases", a.list)
	route("GET /api/v1/models/aliases/{name...}", a.get)
	route("PUT /api/v1/models/aliases/{name...}", a.put)
	route("DELETE /api/v1/models/aliases/{name...}", a.remove)
}

func (a *Aliases) list(w http.ResponseWriter, _ *http.Request) {
	all := []models.Record{}
	for _, alias := range a.names.All() {
		all = append(all, alias.Record)
	}
	reply.JSON(w, http.StatusOK, map[string]any{"aliases": all})
}

func (a *Aliases) get(w http.ResponseWriter, r *http.Request) {
	alias := a.names.Find(modelname.Canonical(r.PathValue("name")))
	if alias == nil {
		a.fail(w, r, models.ErrNotFound)
		return
	}
	answer(w, http.StatusOK, alias.Record)
}

func answer(w http.ResponseWriter, status int, record models.Record) {
	reply.JSON(w, status, map[string]any{"alias": record})
}

// wanted is what a request says about an alias.
type wanted struct {
	Targets []struct {
		Model   string `json:"model"`
		Weight  *int   `json:"weight"` // nil: 1
		Variant string `json:"variant"`
	} `json:"targets"`
	Fallbacks []string `json:"fallbacks"`
	Preload   bool     `json:"preload"`
}

func read(r *http.Request) (wanted, error) {
	want := wanted{Preload: true}
	body, err := reply.Order(r)
	if err == nil {
		err = reply.Decode(body, &want)
	}
	return want, models.Invalid(err)
}

func (want wanted) spec(name string) models.Spec {
	spec := models.Spec{Name: name, Fallbacks: want.Fallbacks}
	for _, target := range want.Targets {
		weight := 1
		if target.Weight != nil {
			weight = *target.Weight
		}
		spec.Targets = append(spec.Targets, models.Target{Model: target.Model, Weight: weight, Variant: target.Variant})
	}
	return spec.Complete()
}

// put makes an alias or changes it. The models that begin to answer are resident before the first request gets
// to them, and the change then holds in one step: what is under way ends as it began.
func (a *Aliases) put(w http.ResponseWriter, r *http.Request) {
	want, err := read(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	spec := want.spec(r.PathValue("name"))
	before := a.names.Find(modelname.Canonical(spec.Name))
	if before != nil && before.Source == models.Stack {
		a.fail(w, r, models.ErrStack)
		return
	}
	if err := a.check(spec); err != nil {
		a.fail(w, r, err)
		return
	}
	if want.Preload {
		if err := a.preload(r.Context(), spec, before); err != nil {
			exchange.From(r.Context()).Cause = errors.Unwrap(err)
			reply.Error(w, r, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	record, err := a.database.PutAlias(r.Context(), spec, exchange.From(r.Context()).Key.Name)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.flip(r.Context())
	status := http.StatusOK
	if before == nil {
		status = http.StatusCreated
	}
	answer(w, status, record)
}

// check returns all that is wrong with an alias, as far as this gateway knows.
func (a *Aliases) check(spec models.Spec) error {
	var there []models.Record
	for _, alias := range a.names.All() {
		there = append(there, alias.Record)
	}
	problems := []error{spec.Check(), spec.Against(there)}
	for i, target := range spec.Targets {
		if _, known := a.workers.Known(modelname.Canonical(target.Model)); !known && target.Weight > 0 && modelname.Valid(target.Model) {
			problems = append(problems, fmt.Errorf("targets[%d].model: no worker has %q: pull it first", i, target.Model))
		}
	}
	return models.Invalid(problems...)
}

// preload makes the models resident that get requests of the alias and did not before.
func (a *Aliases) preload(ctx context.Context, spec models.Spec, before *models.Alias) error {
	for _, target := range spec.Targets {
		if target.Weight == 0 || (before != nil && before.Gives(target.Model)) {
			continue
		}
		if err := a.residency.Preload(ctx, modelname.Canonical(target.Model)); err != nil {
			return fmt.Errorf("%s could not be made resident, and the alias stays as it is: %w", target.Model, err)
		}
	}
	return nil
}

func (a *Aliases) remove(w http.ResponseWriter, r *http.Request) {
	record, err := a.database.DeleteAlias(r.Context(), modelname.Short(r.PathValue("name")))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.flip(r.Context())
	answer(w, http.StatusOK, record)
}

// flip has all gateways take what the database has: this one before it answers.
func (a *Aliases) flip(ctx context.Context) {
	a.changed()
	a.Written(ctx)
}

// fail answers with an error.
func (a *Aliases) fail(w http.ResponseWriter, r *http.Request, err error) {
	var invalid models.InvalidError
	switch {
	case errors.As(err, &invalid):
		reply.Error(w, r, http.StatusBadRequest, strings.ReplaceAll(err.Error(), "\n", "; "))
	case errors.Is(err, models.ErrNotFound):
		reply.Error(w, r, http.StatusNotFound, err.Error())
	case errors.Is(err, models.ErrStack):
		reply.Error(w, r, http.StatusConflict, err.Error())
	default:
		exchange.DatabaseAway(w, r, err)
	}
}
