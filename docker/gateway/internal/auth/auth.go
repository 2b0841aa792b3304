// Package auth decides who may ask. Keys are checked against a snapshot in memory; the database is read
// in the background, and where an unknown key is shown.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/reply"
)

// Kind tells what a key's digest is.
type Kind string

const (
	// Secret is a key sent as it is; its digest is the SHA-256 of it.
	Secret Kind = "secret"
	// PublicKey is an ed25519 key that requests are signed with; its digest is the key's 32 bytes.
	PublicKey Kind = "ed25519"
)

// Key is one registered key. It is read by many requests at once: a change makes another.
type Key struct {
	Name   string
	Kind   Kind
	Digest [32]byte
}

// Source is where keys are kept.
type Source interface {
	Keys(ctx context.Context) ([]Key, error)
}

const (
	loadTimeout = 3 * time.Second
	// freshFor is how long a reload answers for unknown keys, which bounds what guessing costs the
	// database to one query in this time.
	freshFor = time.Second
	maxDelay = 5 * time.Second // between reloads while the database is away
)

// Keyring is the snapshot of all keys.
type Keyring struct {
	source  Source
	refresh time.Duration
	window  time.Duration
	log     *slog.Logger
	onState func(up bool) // told the outcome of every reload

	snapshot atomic.Pointer[snapshot]
	loading  singleflight.Group
	kick     chan struct{}
	mu       sync.Mutex
	tried    time.Time // last reload
	failed   bool      // and its outcome
}

type snapshot struct {
	// byPrefix finds candidates by the first bytes of a digest. What its timing tells is a hash that an
	// attacker can't aim; the rest is compared in constant time.
	byPrefix map[lookup][]*Key
}

type lookup struct {
	kind   Kind
	prefix [8]byte
}

// NewKeyring returns a keyring without keys. Run fills it.
func NewKeyring(source Source, refresh, window time.Duration, log *slog.Logger, onState func(up bool)) *Keyring {
	return &Keyring{
		source: source, refresh: refresh, window: window, log: log, onState: onState,
		kick: make(chan struct{}, 1),
	}
}

// Run reloads until ctx ends: every refresh interval, after Invalidate, and with growing delays while
// the database is away.
func (k *Keyring) Run(ctx context.Context) {
	delay := 100 * time.Millisecond
	for {
		wait := k.refresh
		if err := k.reload(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("keys not reloaded: those known go on working", "error", err)
			wait = min(delay, k.refresh)
			delay = min(delay*2, maxDelay)
		} else {
			delay = 100 * time.Millisecond
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-k.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Invalidate asks for a reload soon.
func (k *Keyring) Invalidate() {
	select {
	case k.kick <- struct{}{}:
	default: // one is due anyway
	}
}

// Loaded tells whether keys have been read at least once.
func (k *Keyring) Loaded() bool { return k.snapshot.Load() != nil }

// reload reads the keys. Callers at the same time share one query.
func (k *Keyring) reload(ctx context.Context) error {
	_, err, _ := k.loading.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		keys, err := k.source.Keys(ctx)
		k.mu.Lock()
		k.tried, k.failed = time.Now(), err != nil
		k.mu.Unlock()
		k.onState(err == nil)
		if err != nil {
			return nil, err
		}
		next := &snapshot{byPrefix: make(map[lookup][]*Key, len(keys))}
		for i := range keys {
			key := &keys[i]
			at := lookup{key.Kind, [8]byte(key.Digest[:8])}
			next.byPrefix[at] = append(next.byPrefix[at], key)
		}
		k.snapshot.Store(next)
		return nil, nil
	})
	return err
}

// find returns the key with a digest, or nil.
func (k *Keyring) find(kind Kind, digest [32]byte) *Key {
	current := k.snapshot.Load()
	if current == nil {
		return nil
	}
	var found *Key
	for _, key := range current.byPrefix[lookup{kind, [8]byte(digest[:8])}] {
		if subtle.ConstantTimeCompare(key.Digest[:], digest[:]) == 1 {
			found = key
		}
	}
	return found
}

// verdict on a key.
type verdict int

const (
	known verdict = iota
	unknown
	undecided // the database can't be asked
)

func (k *Keyring) judge(kind Kind, digest [32]byte) (*Key, verdict) {
	if key := k.find(kind, digest); key != nil {
		return key, known
	}
	// The key may be younger than the snapshot.
	k.mu.Lock()
	fresh := time.Since(k.tried) < freshFor
	failed := k.failed
	k.mu.Unlock()
	if !fresh {
		failed = k.reload(context.Background()) != nil
	}
	if key := k.find(kind, digest); key != nil {
		return key, known
	}
	if failed || !k.Loaded() {
		return nil, undecided
	}
	return nil, unknown
}

// Refusal says why a request may not pass.
type Refusal struct {
	Status  int // 401, or 503 where nobody can tell
	Message string
}

var (
	notShown  = &Refusal{http.StatusUnauthorized, "an API key is needed: send it as \"Authorization: Bearer KEY\""}
	notValid  = &Refusal{http.StatusUnauthorized, "the API key is not valid"}
	notToTell = &Refusal{http.StatusServiceUnavailable, "keys can't be checked at the moment: the database does not answer"}
)

// Authorize returns the key that a request shows, or why it may not pass. header returns the value of a
// header by its canonical name. A key that is known costs neither a lock nor an allocation; one that is not
// may wait for the database.
func (k *Keyring) Authorize(method, path, query string, header func(name string) string) (*Key, *Refusal) {
	kind, digest, refusal := k.shown(method, path, query, header)
	if refusal != nil {
		return nil, refusal
	}
	key, decision := k.judge(kind, digest)
	switch decision {
	case unknown:
		return nil, notValid
	case undecided:
		return nil, notToTell
	}
	return key, nil
}

// Require lets requests with a registered key through, without the key. isPublic names what needs none.
func (k *Keyring) Require(isPublic func(*http.Request) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPublic(r) {
			next.ServeHTTP(w, r)
			return
		}
		key, refusal := k.Authorize(r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get)
		if refusal != nil {
			if refusal.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", Challenge)
			}
			reply.Error(w, r, refusal.Status, refusal.Message)
			return
		}
		exchange.From(r.Context()).Key = key.Name
		if key.Kind == PublicKey {
			r.URL.RawQuery = WithoutStamp(r.URL.RawQuery)
		}
		next.ServeHTTP(w, r)
	})
}

// Challenge is the WWW-Authenticate header of a 401.
const Challenge = `Bearer realm="ollamamax"`

// shown returns the digest of the key that a request shows, or why it shows none.
func (k *Keyring) shown(method, path, query string, header func(name string) string) (Kind, [32]byte, *Refusal) {
	authorization := header("Authorization")
	scheme, token, _ := strings.Cut(authorization, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != "":
		return Secret, digest(strings.TrimSpace(token)), nil
	case authorization == "":
		if secret := header("X-Api-Key"); secret != "" {
			return Secret, digest(secret), nil
		}
		return "", [32]byte{}, notShown
	}
	s, err := parseSigned(method, path, query, authorization, time.Now(), k.window)
	if err != nil {
		return "", [32]byte{}, &Refusal{http.StatusUnauthorized, err.Error()}
	}
	return PublicKey, s.key, nil
}

// digest is SHA-256 of a secret, without a copy of one of usual length on the heap.
func digest(secret string) [32]byte {
	var copied [128]byte
	return sha256.Sum256(append(copied[:0], secret...))
}
