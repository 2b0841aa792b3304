package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ollamamax/gateway/internal/queue"
)

func always(string) bool { return true }

// drain takes everything and returns it in order.
func drain(q *queue.Queue[string]) []string {
	var taken []string
	for {
		value, found := q.Take(always)
		if !found {
			return taken
		}
		taken = append(taken, value)
	}
}

func TestAKeyWithManyRequestsWaitsItsTurnBehindAKeyWithOne(t *testing.T) {
	var q queue.Queue[string]
	for i := range 100 {
		q.Push(fmt.Sprintf("many-%d", i), "many", 1)
	}
	q.Push("one-0", "one", 1)
	q.Push("few-0", "few", 1)
	q.Push("few-1", "few", 1)
	if got := drain(&q)[:6]; !slices.Equal(got, []string{"many-0", "one-0", "few-0", "many-1", "few-1", "many-2"}) {
		t.Errorf("served %v", got)
	}
}

func TestTheRequestsOfAKeyKeepTheirOrderAndARepeatedOneComesFirst(t *testing.T) {
	var q queue.Queue[string]
	q.Push("a", "key", 1)
	q.Push("b", "key", 1)
	q.PushFront("again", "key", 1)
	if got := drain(&q); !slices.Equal(got, []string{"again", "a", "b"}) {
		t.Errorf("served %v", got)
	}
	q.PushFront("alone", "key", 1)
	q.Push("behind", "key", 1)
	if got := drain(&q); !slices.Equal(got, []string{"alone", "behind"}) {
		t.Errorf("served %v", got)
	}
}

func TestClassesShareByWeightAndNoneStarves(t *testing.T) {
	var q queue.Queue[string]
	for range 700 {
		q.Push("low", "a", 0)
		q.Push("normal", "b", 1)
		q.Push("high", "c", 2)
	}
	served := map[string]int{}
	for i := range 700 {
		value, _ := q.Take(always)
		served[value]++
		if i == 6 && (served["low"] != 1 || served["normal"] != 2 || served["high"] != 4) {
			t.Errorf("of the first seven, %v", served)
		}
	}
	if served["low"] != 100 || served["normal"] != 200 || served["high"] != 400 {
		t.Errorf("of 700, %v", served)
	}
}

func TestAClassAloneGetsEverythingAndOwesNothingAfterwards(t *testing.T) {
	var q queue.Queue[string]
	for range 50 {
		q.Push("low", "a", 0)
	}
	if got := len(drain(&q)); got != 50 {
		t.Fatalf("served %d", got)
	}
	for range 7 {
		q.Push("low", "a", 0)
		q.Push("high", "b", 2)
	}
	low := 0
	for _, value := range drain(&q)[:5] {
		if value == "low" {
			low++
		}
	}
	if low != 1 {
		t.Errorf("%d of the first five are of the low class", low)
	}
}

func TestWhatDoesNotFitIsPassedOverAndKeepsItsPlace(t *testing.T) {
	var q queue.Queue[string]
	for _, value := range []string{"x1", "y1", "x2"} {
		q.Push(value, "key", 1)
	}
	q.Push("y2", "other", 0)
	isY := func(value string) bool { return strings.HasPrefix(value, "y") }
	for _, want := range []string{"y1", "y2"} {
		if got, found := q.Take(isY); !found || got != want {
			t.Fatalf("took %q, want %q", got, want)
		}
	}
	if _, found := q.Take(isY); found {
		t.Error("took what does not fit")
	}
	if got := drain(&q); !slices.Equal(got, []string{"x1", "x2"}) || q.Len() != 0 {
		t.Errorf("served %v, %d left", got, q.Len())
	}
}

func TestWhoLeavesFreesThePlaceAtOnce(t *testing.T) {
	var q queue.Queue[string]
	var items []*queue.Item[string]
	for _, value := range []string{"a", "b", "c"} {
		items = append(items, q.Push(value, "key", 1))
	}
	other := q.Push("d", "other", 1)
	q.Remove(items[1])
	q.Remove(items[1]) // twice is once
	q.Remove(other)
	if q.Len() != 2 {
		t.Errorf("%d wait", q.Len())
	}
	q.Remove(items[0])
	q.Push("e", "other", 1)
	if got := drain(&q); !slices.Equal(got, []string{"c", "e"}) {
		t.Errorf("served %v", got)
	}
	q.Remove(items[2]) // taken already
	if q.Len() != 0 {
		t.Errorf("%d wait", q.Len())
	}
}
