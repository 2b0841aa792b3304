package outlier_test

import (
	"testing"
	"time"

	"ollamamax/gateway/internal/outlier"
)

var settings = outlier.Settings{
	Consecutive: 5, MinRequests: 20, Margin: 0.3, Base: 30 * time.Second, Longest: 100 * time.Second, MaxShare: 0.5,
}

func TestFailuresInARowCountAndOneGoodOutcomeEndsTheRow(t *testing.T) {
	var r outlier.Record
	for range 4 {
		if r.Count(&settings, false) {
			t.Fatal("fewer than five in a row are enough")
		}
	}
	r.Count(&settings, true)
	for i := range 5 {
		if got := r.Count(&settings, false); got != (i == 4) {
			t.Errorf("failure %d after a good outcome: %v", i+1, got)
		}
	}
}

func TestEachEjectionIsLongerUpToTheLongestAndQuietIntervalsTakeThemBack(t *testing.T) {
	var r outlier.Record
	now := time.Duration(0)
	for _, want := range []time.Duration{30, 60, 90, 100, 100} {
		if until := r.Eject(&settings, now); until != now+want*time.Second || !r.Ejected(until-1) || r.Ejected(until) {
			t.Errorf("ejected until %s, not for %d s", until, want)
		}
		now = r.Until()
	}
	for range 4 {
		outlier.Judge(&settings, now, []*outlier.Record{&r})
	}
	if until := r.Eject(&settings, now); until != now+60*time.Second {
		t.Errorf("after four quiet intervals of five ejections the next lasts %s", until-now)
	}
}

func TestTheOneFarBelowTheOthersIsAnOutlier(t *testing.T) {
	fine, poor, few := &outlier.Record{Good: 95, Bad: 5}, &outlier.Record{Good: 8, Bad: 14}, &outlier.Record{Good: 0, Bad: 19}
	found := outlier.Judge(&settings, 0, []*outlier.Record{fine, poor, few})
	if len(found) != 1 || found[0] != poor {
		t.Errorf("found %d: %v", len(found), found)
	}
	if again := outlier.Judge(&settings, 0, []*outlier.Record{fine, poor, few}); len(again) != 0 {
		t.Error("an interval is judged twice")
	}
}

func TestNobodyIsAnOutlierWhereAllDoEquallyBadly(t *testing.T) {
	if found := outlier.Judge(&settings, 0, []*outlier.Record{{Good: 10, Bad: 90}, {Good: 12, Bad: 88}}); len(found) != 0 {
		t.Errorf("found %d", len(found))
	}
}

func TestOnlyTheShareIsLeftOutAndNeverTheLast(t *testing.T) {
	for _, c := range []struct {
		nodes, ejected int
		want           bool
	}{{1, 0, false}, {2, 0, true}, {2, 1, false}, {3, 0, true}, {3, 1, false}, {4, 1, true}, {4, 2, false}} {
		if got := outlier.MayEject(&settings, c.nodes, c.ejected); got != c.want {
			t.Errorf("%d of %d left out, one more: %v", c.ejected, c.nodes, got)
		}
	}
	all := settings
	all.MaxShare = 1
	if outlier.MayEject(&all, 3, 2) {
		t.Error("the last node may be left out")
	}
}
