package migrations

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestAReleaseThatMigratesWithGolangMigrateAtTheSameTimeTakesTheSameLock(t *testing.T) {
	if lock := lockOf("public", "ollamamax"); lock != 1898044125 { // what its version 4.20 asks PostgreSQL for
		t.Errorf("the lock is number %d", lock)
	}
}

func TestEveryVersionIsReachedFromEveryOtherStepByStep(t *testing.T) {
	steps, err := read(files)
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(len(steps) / 2)
	for from := None; from <= newest; from++ {
		for to := None; to <= newest; to++ {
			way, err := plan(steps, from, to)
			if err != nil {
				t.Fatal(err)
			}
			at := from
			for _, step := range way {
				if step.from != at || strings.TrimSpace(step.sql) == "" {
					t.Errorf("from %d to %d: %s does not go on from %d", from, to, step.name, at)
				}
				at = step.to
			}
			if at != to {
				t.Errorf("from %d to %d one comes to %d", from, to, at)
			}
		}
	}
}

func TestWaysThatThisReleaseDoesNotKnowAreRefused(t *testing.T) {
	steps, err := read(files)
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(len(steps) / 2)
	for _, way := range []struct {
		current, version int64
		want             string
	}{
		{3, newest + 1, "there is no schema version"},
		{3, -2, "there is no schema version"},
		{newest + 1, 3, "go back with the release that made it"},
	} {
		if _, err := plan(steps, way.current, way.version); err == nil || !strings.Contains(err.Error(), way.want) {
			t.Errorf("from %d to %d: %v", way.current, way.version, err)
		}
	}
	if way, err := plan(steps, newest+1, Latest); err != nil || len(way) > 0 {
		t.Errorf("a newer schema is not left as it is: %v, %v", way, err)
	}
}

func TestAGapInTheFilesIsToldRatherThanJumped(t *testing.T) {
	steps, err := read(fstest.MapFS{"sql/00001_a.up.sql": {}, "sql/00003_c.up.sql": {}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan(steps, None, Latest); err == nil || err.Error() != "there is no migration from schema version 1 to 2" {
		t.Error(err)
	}
	if _, err := read(fstest.MapFS{"sql/first.up.sql": {}}); err == nil {
		t.Error("a file without a version is taken")
	}
}
