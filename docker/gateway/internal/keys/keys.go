// Package keys says what a key that the gateway issues may be: its description, the rules for it, its secret.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"ollamamax/gateway/internal/auth"
)

var (
	// ErrNotFound means that there is no such key, or none that the caller may know of.
	ErrNotFound = errors.New("no such key")
	// ErrRevoked means that a key is good for nothing any more.
	ErrRevoked = errors.New("the key is revoked")
	// ErrStack means that the stack's settings decide about a key.
	ErrStack = errors.New("the key is the stack's: change it in the stack's settings")
)

// Spec is what people decide about a key. A limit that is nil is none.
type Spec struct {
	Name              string     `json:"name"`
	Tenant            string     `json:"tenant"` // empty: the platform's own
	Scopes            []string   `json:"scopes"`
	RequestsPerMinute *int64     `json:"requests_per_minute"`
	TokensPerMinute   *int64     `json:"tokens_per_minute"`
	TokensPerMonth    *int64     `json:"tokens_per_month"`
	Priority          string     `json:"priority"`
	ExpiresAt         *time.Time `json:"expires_at"` // nil: never
}

// Record is a key as the database has it. Its secret is in none.
type Record struct {
	ID int64 `json:"id"`
	Spec
	Source         string     `json:"source"` // "stack": from the stack's settings; "issued": made by the gateway
	CreatedAt      time.Time  `json:"created_at"`
	CreatedBy      string     `json:"created_by"`
	LastUsedAt     *time.Time `json:"last_used_at"`
	RevokedAt      *time.Time `json:"revoked_at"`
	OldSecretUntil *time.Time `json:"old_secret_valid_until"` // after a rotation
	Digest         []byte     `json:"-"`
	PreviousDigest []byte     `json:"-"`
}

// Issued is the source of keys that the gateway made.
const Issued = "issued"

// New returns what a key is where nothing else is said.
func New() Spec {
	return Spec{Scopes: []string{"inference", "models:read"}, Priority: auth.Normal.String()}
}

const (
	prefix      = "omx_"
	secretBytes = 32
	maxName     = 100
	maxGrace    = 30 * 24 * time.Hour
	// DefaultGrace is how long the secret before a rotation stays good where nothing else is said.
	DefaultGrace = "24h"
)

var tenantPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// NewSecret returns a secret, which is shown once, and the digest that is kept of it.
func NewSecret() (secret string, digest []byte) {
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // never fails
	secret = prefix + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:]
}

// State says in a word what a key is good for.
func (r *Record) State(now time.Time) string {
	switch {
	case r.RevokedAt != nil:
		return "revoked"
	case r.ExpiresAt != nil && !now.Before(*r.ExpiresAt):
		return "expired"
	case r.Source != Issued:
		return "the stack's"
	}
	return "valid"
}

// Changeable tells why a key can't be changed, or returns nil.
func (r *Record) Changeable() error {
	switch {
	case r.Source != Issued:
		return ErrStack
	case r.RevokedAt != nil:
		return ErrRevoked
	}
	return nil
}

// Revoke ends a key. One that has ended stays as it is.
func (r *Record) Revoke(now time.Time) error {
	err := r.Changeable()
	if errors.Is(err, ErrRevoked) {
		return nil
	}
	if err == nil {
		r.RevokedAt = &now
	}
	return err
}

// Rotate gives a key another secret and returns it. The one before stays good for grace, and any from before
// that is good no longer.
func (r *Record) Rotate(now time.Time, grace time.Duration) (secret string, err error) {
	if err := r.Changeable(); err != nil {
		return "", err
	}
	r.PreviousDigest, r.OldSecretUntil = nil, nil
	if grace > 0 {
		until := now.Add(grace)
		r.PreviousDigest, r.OldSecretUntil = r.Digest, &until
	}
	secret, r.Digest = NewSecret()
	return secret, nil
}

// ParseGrace reads how long the secret before a rotation stays good.
func ParseGrace(text string) (time.Duration, error) {
	grace, err := time.ParseDuration(text)
	if err != nil || grace < 0 || grace > maxGrace {
		return 0, fmt.Errorf("grace: %q is not a duration between 0s and %s", text, maxGrace)
	}
	return grace, nil
}

// Check returns all that is wrong with a description, one line each, or nil.
func (s Spec) Check(now time.Time) error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Name == "" || len(s.Name) > maxName || strings.IndexFunc(s.Name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		add("name: %q is not between 1 and %d printable characters", s.Name, maxName)
	}
	if s.Tenant != "" && !tenantPattern.MatchString(s.Tenant) {
		add("tenant: %q is not a name: use small letters, digits, dots and dashes, 63 at most", s.Tenant)
	}
	if len(s.Scopes) == 0 {
		add("scopes: names none: there are %s", strings.Join(auth.ScopeNames(), ", "))
	} else if _, err := auth.ParseScopes(s.Scopes); err != nil {
		add("scopes: %w", err)
	}
	for _, limit := range s.limits() {
		if limit.value != nil && *limit.value < 1 {
			add("%s: %d is less than 1; leave it out for no limit", limit.name, *limit.value)
		}
	}
	if _, err := auth.ParsePriority(s.Priority); err != nil {
		add("priority: %w", err)
	}
	if s.ExpiresAt != nil && !s.ExpiresAt.After(now) {
		add("expires_at: %s is not in the future", s.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return errors.Join(problems...)
}

type limit struct {
	name  string
	value *int64
	most  int64 // that the caller has; 0: no limit
}

func (s Spec) limits() []limit {
	return []limit{
		{name: "requests_per_minute", value: s.RequestsPerMinute},
		{name: "tokens_per_minute", value: s.TokensPerMinute},
		{name: "tokens_per_month", value: s.TokensPerMonth},
	}
}

// Within returns what of a description goes beyond the key by, one line each, or nil: who makes a key gives
// nothing that it has not itself. An admin has everything.
func (s Spec) Within(by *auth.Key) error {
	if by.Scopes.Allows(auth.Admin) {
		return nil
	}
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Tenant != by.Tenant {
		add("tenant: %q is not yours (%q)", s.Tenant, by.Tenant)
	}
	if scopes, err := auth.ParseScopes(s.Scopes); err == nil && !by.Scopes.Allows(scopes) {
		add("scopes: %s are more than yours (%s)", strings.Join(s.Scopes, ", "), strings.Join(by.Scopes.Names(), ", "))
	}
	limits := s.limits()
	limits[0].most, limits[1].most, limits[2].most = by.Limits.RequestsPerMinute, by.Limits.TokensPerMinute, by.Limits.TokensPerMonth
	for _, limit := range limits {
		if limit.most > 0 && (limit.value == nil || *limit.value > limit.most) {
			add("%s: must be given, and not more than yours (%d)", limit.name, limit.most)
		}
	}
	if priority, err := auth.ParsePriority(s.Priority); err == nil && priority > by.Priority {
		add("priority: %s is more than yours (%s)", s.Priority, by.Priority)
	}
	if !by.Expires.IsZero() && (s.ExpiresAt == nil || s.ExpiresAt.After(by.Expires)) {
		add("expires_at: must be given, and not later than yours (%s)", by.Expires.UTC().Format(time.RFC3339))
	}
	return errors.Join(problems...)
}
