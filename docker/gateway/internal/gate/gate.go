// Package gate decides whether a request comes in, and accounts for it when it has ended: its key is known
// and may do what is asked, and has something left of its limits.
package gate

import (
	"net/http"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/limits"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/usage"
)

// Gate is the way in.
type Gate struct {
	keys   *auth.Keyring
	limits *limits.Limits
	meter  *usage.Meter
}

// New returns a gate.
func New(keys *auth.Keyring, l *limits.Limits, meter *usage.Meter) *Gate {
	return &Gate{keys: keys, limits: l, meter: meter}
}

// Enter lets a request in on the account of its key, or says why not. header returns the value of a header
// by its canonical name. The standing holds for the answer's headers either way.
func (g *Gate) Enter(
	now time.Time, method, path, query string, header func(name string) string,
) (*auth.Key, limits.Standing, *reply.Refusal) {
	key, refusal := g.keys.Authorize(now, method, path, query, header)
	if refusal != nil {
		return nil, limits.Standing{}, refusal
	}
	standing, refusal := g.limits.Admit(now, key, auth.Needs(method, path) == auth.Inference)
	if refusal != nil {
		return nil, standing, refusal
	}
	return key, standing, nil
}

// Holds tells whether a request that came in with a key still would.
func (g *Gate) Holds(now time.Time, key *auth.Key, r *http.Request) bool {
	return g.keys.Holds(now, key, r.Method, r.URL.Path, r.Header.Get)
}

// Leave accounts for a request that came in, once it has been answered with status.
func (g *Gate) Leave(x *exchange.Exchange, status int) {
	if x.Key == nil {
		return
	}
	now := time.Now()
	used := usage.Counts{Requests: 1, PromptTokens: x.PromptTokens, CompletionTokens: x.CompletionTokens}
	if status >= 500 {
		used.Failures = 1
	}
	// Charged before it is recorded: what the database has of it is never more than what was charged.
	g.limits.Charge(now, x.Key, x.PromptTokens+x.CompletionTokens)
	g.meter.Record(now, x.Key.ID, x.Model, used)
}

// Require lets requests in that Enter lets in, without their key. isPublic names what needs none.
func (g *Gate) Require(isPublic func(*http.Request) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPublic(r) {
			next.ServeHTTP(w, r)
			return
		}
		x := exchange.From(r.Context())
		key, standing, refusal := g.Enter(x.Start, r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get)
		standing.Headers(w.Header().Set)
		if refusal != nil {
			reply.Refuse(w, r, refusal)
			return
		}
		x.Key = key
		if key.Kind == auth.PublicKey {
			r.URL.RawQuery = auth.WithoutStamp(r.URL.RawQuery)
		}
		next.ServeHTTP(w, r)
	})
}
