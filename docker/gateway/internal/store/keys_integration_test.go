//go:build integration

package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/keys"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/storetest"
	"ollamamax/gateway/internal/usage"
)

func pointer[T any](value T) *T { return &value }

// add writes a key; what spec leaves open is as people leave it.
func add(t *testing.T, s *store.Store, spec keys.Spec) keys.Record {
	t.Helper()
	if spec.Scopes == nil {
		spec.Scopes = keys.New().Scopes
	}
	spec.Priority = keys.New().Priority
	_, digest := keys.NewSecret()
	record, err := s.AddKey(t.Context(), spec, "tests", digest)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func TestAKeyIsReadAsItWasWritten(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	secret, digest := keys.NewSecret()
	spec := keys.Spec{
		Name: "ci", Tenant: "acme", Scopes: []string{"inference", "usage:read"}, RequestsPerMinute: pointer(int64(60)),
		TokensPerMinute: pointer(int64(1000)), TokensPerMonth: pointer(int64(5000)), Priority: "low", ExpiresAt: &expires,
	}
	made, err := s.AddKey(t.Context(), spec, "stack", digest)
	if err != nil {
		t.Fatal(err)
	}
	if made.Source != "issued" || made.CreatedBy != "stack" || made.LastUsedAt != nil || made.RevokedAt != nil || made.CreatedAt.IsZero() {
		t.Errorf("made %+v", made)
	}
	all, err := s.Keys(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	want := auth.Key{
		ID: made.ID, Account: fmt.Sprint(made.ID), Name: "ci", Tenant: "acme", Kind: auth.Issued, Digest: sha256.Sum256([]byte(secret)),
		Scopes: auth.Inference | auth.UsageRead, Limits: auth.Limits{RequestsPerMinute: 60, TokensPerMinute: 1000, TokensPerMonth: 5000},
		Priority: auth.Low, Expires: all[0].Expires,
	}
	if all[0] != want || !all[0].Expires.Equal(expires) {
		t.Errorf("got  %+v\nwant %+v", all[0], want)
	}
}

func TestAChangedKeyIsWrittenWholeAndARefusedChangeNotAtAll(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	made := add(t, s, keys.Spec{Name: "a", Tenant: "acme", RequestsPerMinute: pointer(int64(5))})
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	if _, err := s.ChangeKey(t.Context(), made.ID, pointer("acme"), func(k *keys.Record) error {
		k.Name, k.RequestsPerMinute, k.TokensPerMonth = "b", nil, pointer(int64(9))
		k.PreviousDigest, k.OldSecretUntil = k.Digest, &until
		_, k.Digest = keys.NewSecret()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if _, err := s.ChangeKey(t.Context(), made.ID, nil, func(k *keys.Record) error {
		k.Name = "c"
		return refused
	}); !errors.Is(err, refused) {
		t.Error(err)
	}
	found, err := s.GetKey(t.Context(), made.ID, nil)
	if err != nil || found.Name != "b" || found.RequestsPerMinute != nil || *found.TokensPerMonth != 9 || !found.OldSecretUntil.Equal(until) {
		t.Errorf("%+v, %v", found, err)
	}
	all, _ := s.Keys(t.Context())
	if [32]byte(made.Digest) != all[0].Previous || !all[0].PreviousUntil.Equal(until) {
		t.Errorf("the secret before the rotation is lost: %+v", all[0])
	}
	for name, ask := range map[string]func() error{
		"another tenant's": func() error { _, err := s.GetKey(t.Context(), made.ID, pointer("other")); return err },
		"no key":           func() error { _, err := s.GetKey(t.Context(), made.ID+1, nil); return err },
		"change of another tenant's": func() error {
			_, err := s.ChangeKey(t.Context(), made.ID, pointer(""), func(*keys.Record) error { return nil })
			return err
		},
	} {
		if err := ask(); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreListedPageByPage(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	for i := range 5 {
		add(t, s, keys.Spec{Name: fmt.Sprint(i), Tenant: fmt.Sprint("t", i%2)})
	}
	list := func(page store.KeyPage) (names string, last int64) {
		found, err := s.ListKeys(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range found {
			names, last = names+key.Name, key.ID
		}
		return names, last
	}
	first, last := list(store.KeyPage{Limit: 3})
	if rest, _ := list(store.KeyPage{After: last, Limit: 3}); first != "012" || rest != "34" {
		t.Errorf("pages %q and %q", first, rest)
	}
	own, last := list(store.KeyPage{Tenant: pointer("t0"), Limit: 9})
	if own != "024" {
		t.Errorf("a tenant's keys: %q", own)
	}
	if _, err := s.ChangeKey(t.Context(), last, nil, func(k *keys.Record) error { k.RevokedAt = pointer(time.Now()); return nil }); err != nil {
		t.Fatal(err)
	}
	valid, _ := list(store.KeyPage{Limit: 9})
	all, _ := list(store.KeyPage{Limit: 9, Revoked: true})
	if valid != "0123" || all != "01234" {
		t.Errorf("valid %q, with those revoked %q", valid, all)
	}
}

var today = time.Now().UTC().Truncate(24 * time.Hour)

// of is a day's use, that many days ago.
func of(key int64, model string, ago int) usage.Of {
	return usage.Of{Day: int32(today.AddDate(0, 0, -ago).Unix() / (24 * 60 * 60)), Key: key, Model: model}
}

// prepare makes room for the days since that many ago.
func prepare(t *testing.T, s *store.Store, ago int) {
	t.Helper()
	if err := s.PrepareUsage(t.Context(), today.AddDate(0, 0, -ago), today.AddDate(0, 0, 7), 90); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, s *store.Store, gateway, batch string, rows map[usage.Of]usage.Counts) {
	t.Helper()
	if err := s.AddUsage(t.Context(), gateway, usage.Batch{ID: batch, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

func TestUsageAddsUpOverGatewaysAndABatchCountsOnce(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	prepare(t, s, 3)
	key := add(t, s, keys.Spec{Name: "a"})
	rows := map[usage.Of]usage.Counts{
		of(key.ID, "tiny", 0): {Requests: 1, PromptTokens: 10, CompletionTokens: 5},
		of(key.ID, "", 0):     {Requests: 2},
		of(key.ID, "tiny", 3): {Requests: 1, PromptTokens: 100},
	}
	write(t, s, "gateway-1", "A", rows)
	write(t, s, "gateway-1", "A", rows) // its answer was lost
	write(t, s, "gateway-1", "B", rows)
	write(t, s, "gateway-2", "A", rows)
	tokens, err := s.TokensSince(t.Context(), today, []int64{key.ID, 99})
	if err != nil || len(tokens) != 1 || tokens[key.ID] != 45 {
		t.Errorf("since today %v, %v", tokens, err)
	}
	if tokens, err = s.TokensSince(t.Context(), today.AddDate(0, 0, -3), []int64{key.ID}); err != nil || tokens[key.ID] != 345 {
		t.Errorf("since three days ago %v, %v", tokens, err)
	}
	found, err := s.GetKey(t.Context(), key.ID, nil)
	if err != nil || found.LastUsedAt == nil || time.Since(*found.LastUsedAt) > time.Minute {
		t.Errorf("last used %v, %v", found.LastUsedAt, err)
	}
}

func TestAKeyThatIsBeingChangedDoesNotHoldUpUsage(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	prepare(t, s, 0)
	key := add(t, s, keys.Spec{Name: "a"})
	if _, err := s.ChangeKey(t.Context(), key.ID, nil, func(*keys.Record) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return s.AddUsage(ctx, "gateway-1", usage.Batch{ID: "A", Rows: map[usage.Of]usage.Counts{of(key.ID, "tiny", 0): {PromptTokens: 1}}})
	}); err != nil {
		t.Fatal(err)
	}
	if tokens, err := s.TokensSince(t.Context(), today, []int64{key.ID}); err != nil || tokens[key.ID] != 1 {
		t.Errorf("%v, %v", tokens, err)
	}
}

func TestUsageIsDroppedAfterItsTimeAndThereIsRoomAhead(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	key := add(t, s, keys.Spec{Name: "a"})
	row := func(ago int) map[usage.Of]usage.Counts {
		return map[usage.Of]usage.Counts{of(key.ID, "", ago): {Requests: 1, PromptTokens: 1}}
	}
	if err := s.AddUsage(t.Context(), "gateway-1", usage.Batch{ID: "no room", Rows: row(0)}); err == nil {
		t.Fatal("written where no partition is")
	}
	prepare(t, s, 40)
	for ago := -7; ago <= 40; ago++ {
		write(t, s, "gateway-1", fmt.Sprint(ago), row(ago))
	}
	// Several at once, each of which finds the work to do or done.
	var wait sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		wait.Go(func() {
			errs[i] = s.PrepareUsage(t.Context(), today, today.AddDate(0, 0, 8), 32)
		})
	}
	wait.Wait()
	// A gateway whose clock is years ahead.
	errs = append(errs, s.PrepareUsage(t.Context(), today.AddDate(5, 0, 0), today.AddDate(5, 0, 7), 32))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	tokens, err := s.TokensSince(t.Context(), today.AddDate(0, 0, -90), []int64{key.ID})
	if err != nil || tokens[key.ID] != 7+1+32 {
		t.Errorf("%v days are left, not 40 (%v)", tokens, err)
	}
	write(t, s, "gateway-1", "ahead", row(-8))
}
