// Package gate decides whether a request comes in, and accounts for it when it has ended: its key is known
// and may do what is asked, and has something left of its limits.
package gate

import (
	"net/http"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/inflate"
	"ollamamax/gateway/internal/limits"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/usage"
)

// Gate is the way in.
type Gate struct {
	keys   *auth.Keyring
	limits *limits.Limits
	meter  *usage.Meter
	memory Memory
	limit  int64
}

// Memory is what bodies of requests take.
type Memory interface {
	// Take claims memory for a request for a model, with a body of length bytes, -1 where that is not known.
	Take(length int64) (claimed int64, ok bool)
	// Give gives back what was claimed.
	Give(claimed int64)
}

// full refuses a request that there is no memory for.
var full = &reply.Refusal{
	Status: http.StatusServiceUnavailable, Message: "the gateway is short of memory", RetryAfter: 5 * time.Second,
}

// New returns a gate. limit is the most bytes that a body may have, decompressed.
func New(keys *auth.Keyring, l *limits.Limits, meter *usage.Meter, memory Memory, limit int64) *Gate {
	return &Gate{keys: keys, limits: l, meter: meter, memory: memory, limit: limit}
}

// Enter lets a request in on the account of its key, or says why not. length is what its body takes, or may take
// once it is decompressed, -1 where that is not known; header returns the value of a header by its canonical name.
// The standing holds for the answer's headers either way.
func (g *Gate) Enter(
	x *exchange.Exchange, method, path, query string, length int64, header func(name string) string,
) (*auth.Key, limits.Standing, *reply.Refusal) {
	key, refusal := g.keys.Authorize(x.Start, method, path, query, header)
	if refusal != nil {
		return nil, limits.Standing{}, refusal
	}
	asksModel := auth.Needs(method, path) == auth.Inference
	if asksModel {
		claimed, ok := g.memory.Take(length)
		if !ok {
			return nil, limits.Standing{}, full
		}
		x.Claimed = claimed
	}
	standing, refusal := g.limits.Admit(x.Start, key, asksModel)
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
	g.memory.Give(x.Claimed)
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

// became gives back what was claimed for a request beyond what its body takes.
func (g *Gate) became(x *exchange.Exchange, length int64) {
	if more := x.Claimed - length; more > 0 {
		g.memory.Give(more)
		x.Claimed = length
	}
}

// Require lets requests in that Enter lets in, without their key. isPublic names what needs none.
func (g *Gate) Require(isPublic func(*http.Request) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPublic(r) {
			next.ServeHTTP(w, r)
			return
		}
		x := exchange.From(r.Context())
		// Compressed bodies come this way alone. A few hundred bytes may become a megabyte, so that many at once are
		// refused before they do, and not when it is too late.
		length, encoding := r.ContentLength, r.Header.Get("Content-Encoding")
		if !inflate.Plain(encoding) {
			length = inflate.Most(encoding, length, g.limit)
			x.Became = func(plain int64) { g.became(x, plain) }
		}
		key, standing, refusal := g.Enter(x, r.Method, r.URL.Path, r.URL.RawQuery, length, r.Header.Get)
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
