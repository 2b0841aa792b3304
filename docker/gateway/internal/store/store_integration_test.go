//go:build integration

package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/keys"
	"ollamamax/gateway/internal/migrations"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/realparts"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/storetest"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func state(name string, models ...string) nodes.State {
	s := nodes.State{Name: name, Address: "10.0.0.1:11434", Up: true, Seen: true}
	for _, model := range models {
		s.Models = append(s.Models, nodes.Model{Name: model, Digest: "d-" + model, Size: 7, ModifiedAt: time.Unix(1700000000, 0)})
	}
	return s
}

func save(t *testing.T, s *store.Store, states ...nodes.State) bool {
	t.Helper()
	changed, err := s.SaveInventory(t.Context(), states)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestMigrationsGoForwardAndBackAndTwoAtOnceAgree(t *testing.T) {
	direct := storetest.Connection(t, realparts.Database)
	for range 2 {
		if err := migrations.Run(direct, migrations.None, discard()); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			wait.Go(func() { errs[i] = migrations.Run(direct, migrations.Latest, discard()) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []int64{1, 3, migrations.Latest} {
		if err := migrations.Run(direct, version, discard()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStackKeysFollowTheConfigurationAndOthersStay(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	conn, err := pgx.ConnectConfig(t.Context(), storetest.Connection(t, realparts.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	someones := sha256.Sum256([]byte("someone's"))
	if _, err := conn.Exec(t.Context(), `INSERT INTO api_keys (name, kind, digest, source) VALUES ('someone', 'secret', $1, 'user')`, someones[:]); err != nil {
		t.Fatal(err)
	}
	first := auth.Key{Name: "stack", Kind: auth.Secret, Digest: sha256.Sum256([]byte("first"))}
	second := auth.Key{Name: "stack", Kind: auth.Secret, Digest: sha256.Sum256([]byte("second"))}
	public := auth.Key{Name: "laptop", Kind: auth.PublicKey, Digest: [32]byte{1}}
	for _, step := range []struct {
		keys []auth.Key
		want string
	}{
		{[]auth.Key{first, public}, "laptop someone stack"},
		{[]auth.Key{first, public, public}, "laptop someone stack"},
		{[]auth.Key{second}, "someone stack"},
		{nil, "someone"},
		{[]auth.Key{first}, "someone stack"},
	} {
		if err := store.SyncStackKeys(t.Context(), conn, step.keys); err != nil {
			t.Fatal(err)
		}
		keys, err := s.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := make([]string, 0, len(keys))
		for _, key := range keys {
			found = append(found, key.Name)
		}
		slices.Sort(found)
		if got := strings.Join(found, " "); got != step.want {
			t.Errorf("keys %q, not %q", got, step.want)
		}
	}
}

func TestAStackKeyInThePlaceOfAnotherLeavesThatOneGoodForADayAndNoneFromBefore(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	conn, err := pgx.ConnectConfig(t.Context(), storetest.Connection(t, realparts.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var account string
	for _, step := range []struct{ secret, before string }{
		{"first", ""}, {"second", "first"}, {"second", "first"}, {"third", "second"},
	} {
		digest, before := sha256.Sum256([]byte(step.secret)), sha256.Sum256([]byte(step.before))
		stack := []auth.Key{{Name: "stack", Kind: auth.Secret, Digest: digest}}
		if err := store.SyncStackKeys(t.Context(), conn, stack); err != nil {
			t.Fatal(err)
		}
		all, err := s.Keys(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		key, left := all[0], time.Until(all[0].PreviousUntil)
		if account == "" {
			account = key.Account
		}
		if key.Digest != digest || key.Account != account {
			t.Errorf("%q: %+v is not the same account with that secret", step.secret, key)
		}
		if step.before == "" && !key.PreviousUntil.IsZero() {
			t.Errorf("%q: something was before it: %+v", step.secret, key)
		}
		if step.before != "" && (key.Previous != before || left < 23*time.Hour || left > 24*time.Hour) {
			t.Errorf("%q: before it %x is good for %s, not %q for a day", step.secret, key.Previous, left, step.before)
		}
	}
}

func TestAPasswordThatIsReplacedInItsFileOpensTheNextConnection(t *testing.T) {
	storetest.Open(t, 1, 1) // for the schema
	cfg, secrets := realparts.Configuration(t, realparts.Needed(t, realparts.Pool), realparts.Needed(t, realparts.Redis))
	good, file := secrets.DatabasePassword, filepath.Join(t.TempDir(), "password")
	replace := func(password string) {
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace("the one before")
	cfg.Database.PasswordFile = file
	settings, err := store.ConnConfig(cfg.Database, "the one before", secrets.DatabaseTLS)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), settings, cfg.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Keys(t.Context()); err == nil {
		t.Fatal("a wrong password opens the database")
	}
	replace(good)
	if _, err := s.Keys(t.Context()); err != nil {
		t.Errorf("with the right password in the file: %v", err)
	}
}

// What the release before writes and reads, the schema of this one must take and give.
func TestTheReleaseBeforeGoesOnWithThisSchemaAndNeverTakesALimitedKeyForOneThatMayDoEverything(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	conn, err := pgx.ConnectConfig(t.Context(), storetest.Connection(t, realparts.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	digest := sha256.Sum256([]byte("stack's"))
	if _, err := conn.Exec(t.Context(), `INSERT INTO api_keys (name, kind, digest, source) VALUES ('stack', 'secret', $1, 'stack')`, digest[:]); err != nil {
		t.Fatal(err)
	}
	add(t, s, keys.Spec{Name: "limited"})
	all, err := s.Keys(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "stack" || all[0].Scopes != auth.Admin || all[0].Limits != (auth.Limits{}) {
		t.Errorf("%+v, %v", all, err)
	}
	// It looks a key up by what it takes for its kind, which is one of two.
	var found int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND kind IN ('secret', 'ed25519')`).Scan(&found); err != nil || found != 1 {
		t.Errorf("%d keys are of a kind that the release before looks for, not 1 (%v)", found, err)
	}
	direct := storetest.Connection(t, realparts.Database)
	for _, version := range []int64{3, migrations.Latest} {
		if err := migrations.Run(direct, version, discard()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = s.Keys(t.Context()); err != nil || len(all) != 1 || all[0].Name != "stack" {
		t.Errorf("after going back and forth: %+v, %v", all, err)
	}
}

func TestASchemaOfANewerReleaseIsLeftAsItIs(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	direct := storetest.Connection(t, realparts.Database)
	conn, err := pgx.ConnectConfig(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	set := func(version int) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), `UPDATE schema_version SET version = $1`, version); err != nil {
			t.Fatal(err)
		}
	}
	var ours int
	if err := conn.QueryRow(t.Context(), `SELECT version FROM schema_version`).Scan(&ours); err != nil {
		t.Fatal(err)
	}
	set(999999)
	if err := migrations.Run(direct, migrations.Latest, discard()); err != nil {
		t.Error(err)
	}
	if _, err := s.Keys(t.Context()); err != nil {
		t.Error(err)
	}
	set(ours) // or the next test could not go back
}

func TestInventoryIsReadBackAndOnlyRealChangesCount(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	if !save(t, s, state("worker-1", "tiny:latest", "big:7b"), state("worker-2", "Tiny:latest")) {
		t.Error("the first inventory changed nothing")
	}
	if save(t, s, state("worker-1", "tiny:latest", "big:7b"), state("worker-2", "Tiny:latest")) {
		t.Error("the same inventory again is called a change")
	}
	list, err := s.ListNodes(t.Context())
	if err != nil || len(list) != 2 || strings.Join(list[0].Models, " ") != "big:7b tiny:latest" || !list[0].Healthy {
		t.Fatalf("nodes %+v, %v", list, err)
	}
	model, err := s.GetModel(t.Context(), "tiny:latest")
	if err != nil || strings.Join(model.Nodes, " ") != "worker-1 worker-2" || model.SizeBytes != 7 {
		t.Fatalf("model %+v, %v", model, err)
	}

	down := nodes.State{Name: "worker-2", Address: "10.0.0.1:11434"}
	if !save(t, s, state("worker-1", "tiny:latest"), down) {
		t.Error("a deleted model and a node that is down changed nothing")
	}
	if _, err := s.GetModel(t.Context(), "big:7b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted model is still found: %v", err)
	}
	model, err = s.GetModel(t.Context(), "tiny:latest")
	if err != nil || len(model.Nodes) != 2 {
		t.Errorf("a node that could not be asked lost its models: %+v, %v", model, err)
	}
}

func TestADrainedNodeStaysSoThroughInventoriesUntilItIsTakenInAgain(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	save(t, s, state("worker-1", "tiny:latest"), state("worker-2"))
	if err := s.SetDrained(t.Context(), "worker-3", true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a node that nobody knows: %v", err)
	}
	for _, drained := range []bool{true, false} {
		if err := s.SetDrained(t.Context(), "worker-1", drained); err != nil {
			t.Fatal(err)
		}
		save(t, s, nodes.State{Name: "worker-1", Address: "10.0.0.9:11434"}, state("worker-2"))
		names, _, err := s.Told(t.Context())
		if err != nil || strings.Join(names, " ") != map[bool]string{true: "worker-1"}[drained] {
			t.Errorf("drained: %v, %v", names, err)
		}
		list, err := s.ListNodes(t.Context())
		if err != nil || list[0].Drained != drained || list[1].Drained {
			t.Errorf("nodes %+v, %v", list, err)
		}
	}
}

func TestWhatANodeKeepsInMemoryStaysThroughInventoriesUntilItIsLetGo(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	save(t, s, state("worker-1", "tiny:latest"), state("worker-2"))
	if err := s.SetPinned(t.Context(), []string{"worker-1", "worker-3"}, "tiny", true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a node that nobody knows: %v", err)
	}
	for _, step := range []struct {
		nodes  []string
		model  string
		pinned bool
		want   string
	}{
		{[]string{"worker-1", "worker-2"}, "Tiny", true, "map[worker-1:[tiny:latest] worker-2:[tiny:latest]]"},
		{[]string{"worker-2"}, "org/big:7b", true, "map[worker-1:[tiny:latest] worker-2:[tiny:latest org/big:7b]]"},
		{[]string{"worker-2"}, "tiny", true, "map[worker-1:[tiny:latest] worker-2:[org/big:7b tiny:latest]]"},
		{[]string{"worker-1", "worker-2"}, "tiny", false, "map[worker-2:[org/big:7b]]"},
		{[]string{"worker-2"}, "org/big:7b", false, "map[]"},
	} {
		if err := s.SetPinned(t.Context(), step.nodes, step.model, step.pinned); err != nil {
			t.Fatal(err)
		}
		save(t, s, nodes.State{Name: "worker-1", Address: "10.0.0.9:11434"}, state("worker-2"))
		_, pinned, err := s.Told(t.Context())
		if err != nil || fmt.Sprint(pinned) != step.want {
			t.Errorf("after %+v: %v, %v", step, pinned, err)
		}
	}
}

func TestTheNamedStatementsWorkOnEveryConnectionThroughThePool(t *testing.T) {
	s, _ := storetest.Open(t, 20, 4)
	save(t, s, state("worker-1", "tiny:latest"))
	// More clients than PgBouncer has server connections, so that each meets one that another prepared.
	var wait sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wait.Go(func() {
			for range 20 {
				if _, err := s.GetModel(t.Context(), "tiny:latest"); err != nil {
					errs[i] = err
					return
				}
				if _, err := s.GetMetrics(t.Context(), time.Now()); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "4 idle connections at most", func() bool { return s.Idle() <= 4 })
}

func TestTheQueryCacheAnswersFromMemoryAndNeverAfterAnInvalidationOrWithoutRedis(t *testing.T) {
	s, count := storetest.Open(t, 5, 5)
	live := atomic.Bool{}
	live.Store(true)
	var looks []string
	cached := store.NewCached(s, 10000, 5*time.Minute, live.Load, func(result string) { looks = append(looks, result) })
	save(t, s, state("worker-1", "tiny:latest"))
	read := func() error { _, err := cached.GetModel(t.Context(), "tiny:latest"); return err }
	_ = read()
	if n := count.During(func() { _ = read() }); n != 0 {
		t.Errorf("a cached answer took %d statements", n)
	}
	save(t, s, state("worker-1"))
	if err := read(); err != nil {
		t.Errorf("not from the cache: %v", err)
	}
	cached.Invalidate()
	if err := read(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted model is found after the invalidation: %v", err)
	}
	save(t, s, state("worker-1", "tiny:latest"))
	_ = read()
	live.Store(false)
	save(t, s, state("worker-1"))
	if err := read(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted model is found while Redis is away: %v", err)
	}
	if seen := strings.Join(looks, " "); seen != "miss hit hit miss miss skipped" {
		t.Errorf("looks into the cache: %s", seen)
	}
}

func TestMetricsComeBackInOrderAndOnlyThoseAsked(t *testing.T) {
	s, _ := storetest.Open(t, 5, 5)
	now := time.Now().Truncate(time.Millisecond)
	for i := range 3 {
		sample := store.Sample{Gateway: "gateway-" + strconv.Itoa(i), At: now.Add(time.Duration(-i) * time.Minute), Requests: int64(i)}
		if err := s.AddSample(t.Context(), sample); err != nil {
			t.Fatal(err)
		}
	}
	samples, err := s.GetMetrics(t.Context(), now.Add(-90*time.Second))
	if err != nil || len(samples) != 2 || samples[0].Gateway != "gateway-1" || samples[0].Requests != 1 {
		t.Fatalf("%+v, %v", samples, err)
	}
}

// waits returns how often PgBouncer has given a client a server connection.
func waits(t *testing.T) int64 {
	t.Helper()
	settings := storetest.Connection(t, realparts.Pool)
	settings.Database, settings.DefaultQueryExecMode = "pgbouncer", pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), "SHOW STATS_TOTALS")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		if row["database"] == "ollamamax" {
			count, _ := row["server_assignment_count"].(pgtype.Numeric)
			n, err := count.Int64Value()
			if err != nil {
				t.Fatal(err)
			}
			return n.Int64
		}
	}
	return 0 // no one has used the database
}

// Behind a full PgBouncer a gateway whose reads need several turns never gets to the end of one.
func TestWhatAGatewayFollowsIsReadAfterOneWaitForTheServer(t *testing.T) {
	s, _ := storetest.Open(t, 1, 1)
	keys := func() error { _, err := s.Keys(t.Context()); return err }
	for _, read := range []struct {
		what string
		of   func() error
		most int64
	}{
		{"keys over a connection that is new", keys, 2}, // one to set it up
		{"aliases", func() error { _, err := s.Aliases(t.Context()); return err }, 1},
		{"what nodes are told", func() error { _, _, err := s.Told(t.Context()); return err }, 1},
		{"keys over a connection that was idle for long", func() error { time.Sleep(1100 * time.Millisecond); return keys() }, 1},
	} {
		before := waits(t)
		if err := read.of(); err != nil {
			t.Fatalf("%s: %v", read.what, err)
		}
		if n := waits(t) - before; n < 1 || n > read.most {
			t.Errorf("%s: %d waits, at most %d", read.what, n, read.most)
		}
	}
}
