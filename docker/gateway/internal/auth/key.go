package auth

import (
	"fmt"
	"time"
)

// Kind tells what a key's digest is.
type Kind string

const (
	// Secret is a key sent as it is; its digest is the SHA-256 of it.
	Secret Kind = "secret"
	// Issued is a Secret that the gateway made. Releases that know neither scopes nor limits do not know this
	// kind either, and so never take such a key for one that may do everything.
	Issued Kind = "issued"
	// PublicKey is an ed25519 key that requests are signed with; its digest is the key's 32 bytes.
	PublicKey Kind = "ed25519"
)

// Key is one registered key. It is read by many requests at once: a change makes another.
type Key struct {
	ID            int64
	Account       string // the ID as text, of which there is one for all requests
	Name          string
	Tenant        string // whose it is; empty: the platform's own
	Kind          Kind
	Digest        [32]byte
	Previous      [32]byte  // of the secret before the last rotation,
	PreviousUntil time.Time // which is good until then
	Scopes        Scope
	Limits        Limits
	Priority      Priority
	Expires       time.Time // zero: never
}

// ended tells whether the key is good no longer.
func (k *Key) ended(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Limits bound what a key uses. Zero is no limit.
type Limits struct {
	RequestsPerMinute int64
	TokensPerMinute   int64
	TokensPerMonth    int64
}

// Priority orders requests that wait for a slot.
type Priority int8

// The priorities, as queues count them.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

func (p Priority) String() string {
	switch {
	case p < Normal:
		return "low"
	case p > Normal:
		return "high"
	}
	return "normal"
}

// ParsePriority reads what String writes.
func ParsePriority(name string) (Priority, error) {
	for _, p := range []Priority{Low, Normal, High} {
		if p.String() == name {
			return p, nil
		}
	}
	return Normal, fmt.Errorf("%q is not low, normal or high", name)
}
