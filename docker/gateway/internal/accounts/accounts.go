// Package accounts serves the platform's routes about keys and what they use. A key reaches what is its
// tenant's, an admin everything.
package accounts

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/keys"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/usage"
)

// Database keeps keys and usage.
type Database interface {
	ListKeys(ctx context.Context, page store.KeyPage) ([]keys.Record, error)
	GetKey(ctx context.Context, id int64, tenant *string) (keys.Record, error)
	AddKey(ctx context.Context, spec keys.Spec, createdBy string, digest []byte) (keys.Record, error)
	ChangeKey(ctx context.Context, id int64, tenant *string, change func(*keys.Record) error) (keys.Record, error)
	ListUsage(ctx context.Context, query store.UsageQuery) ([]store.Usage, error)
}

// Accounts serves the routes.
type Accounts struct {
	database Database
	changed  func() // some key is not what the gateways know
}

// New returns the routes. changed is called after every change of a key.
func New(database Database, changed func()) *Accounts {
	return &Accounts{database: database, changed: changed}
}

// Routes names all routes.
func (a *Accounts) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /api/v1/keys", a.list)
	route("POST /api/v1/keys", a.create)
	route("GET /api/v1/keys/{id}", a.get)
	route("PATCH /api/v1/keys/{id}", a.update)
	route("DELETE /api/v1/keys/{id}", a.revoke)
	route("POST /api/v1/keys/{id}/rotate", a.rotate)
	route("GET /api/v1/usage", a.usage)
}

// problem is an error that the caller can do something about.
type problem struct {
	status int
	error
}

func (p problem) Unwrap() error { return p.error }

func invalid(err error) error { return problem{http.StatusBadRequest, err} }

// caller is the key that asks.
func caller(r *http.Request) *auth.Key { return exchange.From(r.Context()).Key }

// reach is the tenant that the caller is limited to, or nil.
func reach(r *http.Request) *string {
	key := caller(r)
	if key.Scopes.Allows(auth.Admin) {
		return nil
	}
	return &key.Tenant
}

// fail answers with an error.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var known problem
	switch {
	case errors.As(err, &known):
		reply.Error(w, r, known.status, strings.ReplaceAll(known.Error(), "\n", "; "))
	case errors.Is(err, keys.ErrNotFound):
		reply.Error(w, r, http.StatusNotFound, err.Error())
	case errors.Is(err, keys.ErrStack), errors.Is(err, keys.ErrRevoked):
		reply.Error(w, r, http.StatusConflict, err.Error())
	default:
		exchange.DatabaseAway(w, r, err)
	}
}

// decode reads a body into value, strictly. An empty one leaves value as it is.
func decode(body []byte, value any) error {
	if err := reply.Decode(body, value); err != nil {
		return invalid(err)
	}
	return nil
}

// read returns a request's body.
func read(r *http.Request) ([]byte, error) {
	body, err := reply.Order(r)
	if err != nil {
		return nil, invalid(err)
	}
	return body, nil
}

// answer is a key and, where it is new, its secret.
type answer struct {
	Key    keys.Record `json:"key"`
	Secret string      `json:"secret,omitempty"`
}

func (a *Accounts) create(w http.ResponseWriter, r *http.Request) {
	by := caller(r)
	spec := keys.New()
	spec.Tenant = by.Tenant
	body, err := read(r)
	if err == nil {
		err = decode(body, &spec)
	}
	if err == nil {
		err = permitted(spec, by)
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	secret, digest := keys.NewSecret()
	key, err := a.database.AddKey(r.Context(), spec, by.Name, digest)
	if err != nil {
		fail(w, r, err)
		return
	}
	a.changed()
	reply.JSON(w, http.StatusCreated, answer{key, secret})
}

// permitted tells what is wrong with a description, and what of it goes beyond who asks for it.
func permitted(spec keys.Spec, by *auth.Key) error {
	if err := spec.Check(time.Now()); err != nil {
		return invalid(err)
	}
	return within(spec, by)
}

func within(spec keys.Spec, by *auth.Key) error {
	if err := spec.Within(by); err != nil {
		return problem{http.StatusForbidden, err}
	}
	return nil
}

func (a *Accounts) list(w http.ResponseWriter, r *http.Request) {
	query := parameters{values: r.URL.Query()}
	limit, after := query.page()
	page := store.KeyPage{Tenant: query.tenant(r), Revoked: query.choice("revoked"), After: after, Limit: limit + 1}
	if err := query.err(); err != nil {
		fail(w, r, err)
		return
	}
	found, err := a.database.ListKeys(r.Context(), page)
	if err != nil {
		fail(w, r, err)
		return
	}
	found, next := cut(found, limit, func(last keys.Record) int64 { return last.ID })
	reply.JSON(w, http.StatusOK, map[string]any{"keys": found, "next": next})
}

// identity is the key that a path names.
func identity(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, keys.ErrNotFound
	}
	return id, nil
}

func (a *Accounts) get(w http.ResponseWriter, r *http.Request) {
	id, err := identity(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	key, err := a.database.GetKey(r.Context(), id, reach(r))
	if err != nil {
		fail(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, answer{Key: key})
}

// change alters the key that a path names, and answers. alter gets the body, which has arrived by then: while
// the key is being changed nobody else can.
func (a *Accounts) change(w http.ResponseWriter, r *http.Request, alter func(key *keys.Record, body []byte) (secret string, err error)) {
	id, err := identity(r)
	var body []byte
	if err == nil {
		body, err = read(r)
	}
	var key keys.Record
	var secret string
	if err == nil {
		key, err = a.database.ChangeKey(r.Context(), id, reach(r), func(key *keys.Record) error {
			secret, err = alter(key, body)
			return err
		})
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	a.changed()
	reply.JSON(w, http.StatusOK, answer{key, secret})
}

func (a *Accounts) update(w http.ResponseWriter, r *http.Request) {
	by := caller(r)
	a.change(w, r, func(key *keys.Record, body []byte) (string, error) {
		if err := key.Changeable(); err != nil {
			return "", err
		}
		if err := within(key.Spec, by); err != nil {
			return "", err
		}
		if err := decode(body, &key.Spec); err != nil {
			return "", err
		}
		return "", permitted(key.Spec, by)
	})
}

func (a *Accounts) revoke(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(key *keys.Record, _ []byte) (string, error) { return "", key.Revoke(time.Now()) })
}

func (a *Accounts) rotate(w http.ResponseWriter, r *http.Request) {
	by := caller(r)
	a.change(w, r, func(key *keys.Record, body []byte) (string, error) {
		request := struct {
			Grace string `json:"grace"`
		}{keys.DefaultGrace}
		if err := decode(body, &request); err != nil {
			return "", err
		}
		grace, err := keys.ParseGrace(request.Grace)
		if err != nil {
			return "", invalid(err)
		}
		if err := within(key.Spec, by); err != nil {
			return "", err // what the key may do, its new secret lets the caller do
		}
		return key.Rotate(time.Now(), grace)
	})
}

func (a *Accounts) usage(w http.ResponseWriter, r *http.Request) {
	query := parameters{values: r.URL.Query()}
	now := time.Now().UTC()
	limit, after := query.page()
	ask := store.UsageQuery{
		From: query.day("from", usage.StartOfMonth(now)), To: query.day("to", now), GroupBy: query.groups(), Tenant: query.tenant(r),
		Key: query.number("key", 1, 1<<53), Model: query.text("model"), Limit: limit + 1, Offset: int(after),
	}
	if len(query.problems) == 0 && ask.To.Before(ask.From) {
		query.wrong("to: %s is before from: %s", ask.To.Format(time.DateOnly), ask.From.Format(time.DateOnly))
	}
	if err := query.err(); err != nil {
		fail(w, r, err)
		return
	}
	found, err := a.database.ListUsage(r.Context(), ask)
	if err != nil {
		fail(w, r, err)
		return
	}
	found, next := cut(found, limit, func(store.Usage) int64 { return after + int64(limit) })
	reply.JSON(w, http.StatusOK, map[string]any{
		"from": store.Day(ask.From), "to": store.Day(ask.To), "group_by": ask.GroupBy, "usage": found, "next": next,
	})
}
