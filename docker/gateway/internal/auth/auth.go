// Package auth decides who may ask. Keys are checked against a snapshot in memory; the database is read
// in the background, and where an unknown key is shown.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"ollamamax/gateway/internal/reply"
)

// Source is where keys are kept.
type Source interface {
	Keys(ctx context.Context) ([]Key, error)
}

const (
	// LivePath is the route of the WebSocket.
	LivePath = "/ws"
	// LiveProtocol is what is spoken on it.
	LiveProtocol = "ollamamax.v1"
	// offered comes before a key among the protocols that a browser's WebSocket offers: it can set no header.
	offered = "bearer."

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
	onState func(up bool)
	onLoad  func([]Key)

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
	byPrefix map[lookup][]entry
}

type lookup struct {
	signed bool // by a public key, and no secret
	prefix [8]byte
}

// entry is one way to show a key.
type entry struct {
	digest [32]byte
	until  time.Time // zero: as long as the key is good
	key    *Key
}

func index(keys []Key) *snapshot {
	s := &snapshot{byPrefix: make(map[lookup][]entry, len(keys))}
	add := func(e entry) {
		at := lookup{e.key.Kind == PublicKey, [8]byte(e.digest[:8])}
		s.byPrefix[at] = append(s.byPrefix[at], e)
	}
	for i := range keys {
		key := &keys[i]
		add(entry{digest: key.Digest, key: key})
		if !key.PreviousUntil.IsZero() {
			add(entry{key.Previous, key.PreviousUntil, key})
		}
	}
	return s
}

// NewKeyring returns a keyring without keys. Run fills it. onState is told the outcome of every reload,
// onLoad the keys, before any of them is let in.
func NewKeyring(
	source Source, refresh, window time.Duration, log *slog.Logger, onState func(up bool), onLoad func([]Key),
) *Keyring {
	return &Keyring{
		source: source, refresh: refresh, window: window, log: log, onState: onState, onLoad: onLoad,
		kick: make(chan struct{}, 1),
	}
}

// Run reloads until ctx ends: every refresh interval, after Invalidate, and with growing delays while
// the database is away.
func (k *Keyring) Run(ctx context.Context) {
	delay := 100 * time.Millisecond
	for {
		wait := k.refresh
		shared, err := k.reload(ctx)
		if shared { // its query may have begun before the change that this is to read
			_, err = k.reload(ctx)
		}
		if err != nil && ctx.Err() == nil {
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

// reload reads the keys. Callers at the same time share one query, and are told so.
func (k *Keyring) reload(ctx context.Context) (shared bool, err error) {
	_, err, shared = k.loading.Do("", func() (any, error) {
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
		k.onLoad(keys)
		k.snapshot.Store(index(keys))
		return nil, nil
	})
	return shared, err
}

// find returns the key with a digest, or nil.
func (k *Keyring) find(now time.Time, signed bool, digest [32]byte) *Key {
	current := k.snapshot.Load()
	if current == nil {
		return nil
	}
	var found *Key
	candidates := current.byPrefix[lookup{signed, [8]byte(digest[:8])}]
	for i := range candidates {
		e := &candidates[i]
		if subtle.ConstantTimeCompare(e.digest[:], digest[:]) == 1 && (e.until.IsZero() || now.Before(e.until)) {
			found = e.key
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

func (k *Keyring) judge(now time.Time, signed bool, digest [32]byte) (*Key, verdict) {
	if key := k.find(now, signed, digest); key != nil {
		return key, known
	}
	// The key may be younger than the snapshot.
	k.mu.Lock()
	fresh := time.Since(k.tried) < freshFor
	failed := k.failed
	k.mu.Unlock()
	if !fresh {
		_, err := k.reload(context.Background())
		failed = err != nil
	}
	if key := k.find(now, signed, digest); key != nil {
		return key, known
	}
	if failed || !k.Loaded() {
		return nil, undecided
	}
	return nil, unknown
}

var (
	notShown  = &reply.Refusal{Status: http.StatusUnauthorized, Message: "an API key is needed: send it as \"Authorization: Bearer KEY\""}
	notValid  = &reply.Refusal{Status: http.StatusUnauthorized, Message: "the API key is not valid"}
	expired   = &reply.Refusal{Status: http.StatusUnauthorized, Message: "the API key has expired"}
	notToTell = &reply.Refusal{
		Status: http.StatusServiceUnavailable, Message: "keys can't be checked at the moment: the database does not answer",
	}
)

// Authorize returns the key that a request shows, or why it may not pass. header returns the value of a
// header by its canonical name. A key that is known costs neither a lock nor an allocation; one that is not
// may wait for the database.
func (k *Keyring) Authorize(now time.Time, method, path, query string, header func(name string) string) (*Key, *reply.Refusal) {
	digest, signed, refusal := k.shown(now, method, path, query, header)
	if refusal != nil {
		return nil, refusal
	}
	key, decision := k.judge(now, signed, digest)
	switch {
	case decision == unknown:
		return nil, notValid
	case decision == undecided:
		return nil, notToTell
	case key.ended(now):
		return nil, expired
	}
	if needed := Needs(method, path); !key.Scopes.Allows(needed) {
		return nil, &reply.Refusal{
			Status: http.StatusForbidden, Message: fmt.Sprintf("the API key lacks the scope %q, which this takes", needed.Names()[0]),
		}
	}
	return key, nil
}

// shown returns the digest of the key that a request shows, or why it shows none.
func (k *Keyring) shown(
	now time.Time, method, path, query string, header func(name string) string,
) (digest [32]byte, signed bool, refusal *reply.Refusal) {
	authorization := header("Authorization")
	scheme, token, _ := strings.Cut(authorization, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != "":
		return digestOf(strings.TrimSpace(token)), false, nil
	case authorization == "":
		secret := header("X-Api-Key")
		if secret == "" && path == LivePath {
			secret = amongProtocols(header("Sec-Websocket-Protocol"))
		}
		if secret != "" {
			return digestOf(secret), false, nil
		}
		return digest, false, notShown
	}
	s, err := parseSigned(method, path, query, authorization, now, k.window)
	if err != nil {
		return digest, false, &reply.Refusal{Status: http.StatusUnauthorized, Message: err.Error()}
	}
	return s.key, true, nil
}

// amongProtocols returns the key that is offered as a protocol, if any is.
func amongProtocols(list string) string {
	for protocol := range strings.SplitSeq(list, ",") {
		if secret, found := strings.CutPrefix(strings.TrimSpace(protocol), offered); found {
			return secret
		}
	}
	return ""
}

// Holds tells whether a key that let a request in would let it in still. A signature is good for as long as its
// key is.
func (k *Keyring) Holds(now time.Time, key *Key, method, path string, header func(name string) string) bool {
	digest, signed := key.Digest, key.Kind == PublicKey
	if !signed {
		digest, _, _ = k.shown(now, method, path, "", header) // which was shown once
	}
	found := k.find(now, signed, digest)
	return found != nil && !found.ended(now) && found.Scopes.Allows(Needs(method, path))
}

// digestOf is SHA-256 of a secret, without a copy of one of usual length on the heap.
func digestOf(secret string) [32]byte {
	var copied [128]byte
	return sha256.Sum256(append(copied[:0], secret...))
}
