package accounts

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ollamamax/gateway/internal/store"
)

// parameters reads a query and collects what is wrong with it.
type parameters struct {
	values   url.Values
	asked    []string // names that are known
	problems []error
}

func (p *parameters) wrong(format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf(format, args...))
}

// text returns the value of name, or nil where it is not given.
func (p *parameters) text(name string) *string {
	p.asked = append(p.asked, name)
	if !p.values.Has(name) {
		return nil
	}
	value := p.values.Get(name)
	return &value
}

func (p *parameters) number(name string, least, most int64) *int64 {
	text := p.text(name)
	if text == nil {
		return nil
	}
	value, err := strconv.ParseInt(*text, 10, 64)
	if err != nil || value < least || value > most {
		p.wrong("%s: %q is not a number between %d and %d", name, *text, least, most)
	}
	return &value
}

func (p *parameters) choice(name string) bool {
	text := p.text(name)
	if text == nil {
		return false
	}
	value, err := strconv.ParseBool(*text)
	if err != nil {
		p.wrong("%s: %q is not true or false", name, *text)
	}
	return value
}

func (p *parameters) day(name string, otherwise time.Time) time.Time {
	text := p.text(name)
	if text == nil {
		return otherwise
	}
	value, err := time.Parse(time.DateOnly, *text)
	if err != nil {
		p.wrong("%s: %q is not a day such as 2026-01-31", name, *text)
	}
	return value
}

// tenant returns the tenant that is asked for within the caller's reach; nil is all.
func (p *parameters) tenant(r *http.Request) *string {
	asked, limit := p.text("tenant"), reach(r)
	if limit == nil {
		return asked
	}
	if asked != nil && *asked != *limit {
		p.wrong("tenant: %q is not yours (%q)", *asked, *limit)
	}
	return limit
}

// groups returns what usage is to be grouped by, each once.
func (p *parameters) groups() []string {
	text := p.text("group_by")
	if text == nil {
		return []string{"day"}
	}
	var groups []string
	for name := range strings.SplitSeq(*text, ",") {
		if !slices.Contains(store.UsageGroups(), name) {
			p.wrong("group_by: %q is not one of %s", name, strings.Join(store.UsageGroups(), ", "))
		} else if !slices.Contains(groups, name) {
			groups = append(groups, name)
		}
	}
	return groups
}

// page returns how much is asked for and from where on.
func (p *parameters) page() (limit int, after int64) {
	const usual, most = 100, 1000
	limit = usual
	if asked := p.number("limit", 1, most); asked != nil {
		limit = int(*asked)
	}
	if asked := p.number("after", 0, 1<<53); asked != nil {
		after = *asked
	}
	return limit, after
}

// err returns all problems, unknown names included.
func (p *parameters) err() error {
	for name := range p.values {
		if !slices.Contains(p.asked, name) {
			p.wrong("%s: no such parameter: there are %s", name, strings.Join(p.asked, ", "))
		}
	}
	if len(p.problems) == 0 {
		return nil
	}
	return invalid(errors.Join(p.problems...))
}

// cut takes the one row too many off, which tells that there is a next page, and returns where that begins.
func cut[T any](rows []T, limit int, end func(last T) int64) (page []T, next *string) {
	if len(rows) <= limit {
		return append([]T{}, rows...), nil // never null
	}
	after := strconv.FormatInt(end(rows[limit-1]), 10)
	return rows[:limit], &after
}
