package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
)

// listed returns every model and alias by the names that requests may ask for, newest first.
func (a *API) listed(ctx context.Context) []nodes.Model {
	all := a.models(ctx)
	for _, alias := range a.names.All() {
		entry, there := a.entry(alias)
		if !there {
			continue
		}
		all = slices.DeleteFunc(all, func(model nodes.Model) bool { return model.Canonical == entry.Canonical })
		all = append(all, entry)
	}
	slices.SortStableFunc(all, func(a, b nodes.Model) int { return b.ModifiedAt.Compare(a.ModifiedAt) })
	return all
}

// entry is an alias as lists have it: the first of its models that is there, under the alias's name and with the
// models that it stands for. It returns false where none is there, and where the name is a model's own.
func (a *API) entry(alias *models.Alias) (entry nodes.Model, there bool) {
	if alias.IsModel() {
		return nodes.Model{}, false
	}
	first := alias.First(func(model string) bool {
		entry, known := a.pool.Known(model)
		return known && entry.Raw != nil // or else no worker has been seen to have it yet
	})
	entry, there = a.pool.Known(first.Model)
	members := map[string]any{}
	if !there || json.Unmarshal(entry.Raw, &members) != nil { // it has been read before
		return nodes.Model{}, false
	}
	entry.Name, entry.Canonical, entry.ModifiedAt = alias.Name, modelname.Canonical(alias.Name), alias.UpdatedAt
	members["name"], members["model"], members["modified_at"] = alias.Name, alias.Name, alias.UpdatedAt
	stands := []string{}
	for _, target := range alias.Targets {
		stands = append(stands, modelname.Short(target.Model))
	}
	members["alias_of"] = stands
	raw, err := json.Marshal(members)
	entry.Raw = raw
	return entry, err == nil
}

// own reads a request that changes a model, which must be meant by its own name, and returns the canonical one.
// Where that is an alias it answers with an error and returns false.
func (a *API) own(w http.ResponseWriter, r *http.Request) (body []byte, model string, ok bool) {
	body, fields, ok := a.scan(w, r)
	if !ok {
		return nil, "", false
	}
	model = modelname.Canonical(string(fields.Model))
	var others struct {
		Destination string `json:"destination"`
		From        string `json:"from"`
	}
	_ = json.Unmarshal(body, &others) // what is wrong with it the worker says
	for _, name := range []string{model, others.Destination, others.From} {
		if alias := a.names.Find(modelname.Canonical(name)); alias != nil && !alias.IsModel() {
			reply.Error(w, r, http.StatusConflict, fmt.Sprintf(
				"'%s' is an alias of %s: name a model, or change the alias at /api/v1/models/aliases/%s",
				alias.Name, alias.Models(), alias.Name))
			return nil, "", false
		}
	}
	return body, model, true
}

// push sends a model, by its own name, from a node that holds it.
func (a *API) push(w http.ResponseWriter, r *http.Request) {
	if body, model, ok := a.own(w, r); ok {
		a.forward(w, r, nodes.Want{Model: model, Light: true}, body)
	}
}
