package exchange_test

import (
	"context"
	"errors"
	"testing"

	"ollamamax/gateway/internal/exchange"
)

func TestALifeEndsOnceAndTellsEveryoneWhoWaits(t *testing.T) {
	x, life := &exchange.Exchange{}, new(exchange.Life)
	life.Begin(x)
	if life.Err() != nil || life.Cause() != nil || exchange.From(life) != x {
		t.Fatalf("at the beginning: %v, %v", life.Err(), life.Cause())
	}
	before := life.Done()
	child, cancel := context.WithCancel(life)
	defer cancel()
	life.End(exchange.ErrLeft)
	life.End(exchange.ErrStopping)
	<-before
	<-life.Done()
	<-child.Done()
	if !errors.Is(life.Err(), context.Canceled) || !errors.Is(life.Cause(), exchange.ErrLeft) {
		t.Errorf("%v, because %v", life.Err(), life.Cause())
	}
}

func TestTheDoneOfALifeThatHasEndedIsClosed(t *testing.T) {
	life := new(exchange.Life)
	life.End(exchange.ErrLeft)
	select {
	case <-life.Done():
	default:
		t.Error("it is open")
	}
}

func TestWhatIsGuardedIsAbortedWhereTheLifeEndsAndNotAfterItsGuard(t *testing.T) {
	life, aborted := new(exchange.Life), ""
	life.Guard(func() { aborted += "a" })
	life.Guard(func() { aborted += "b" })
	life.End(exchange.ErrLeft)
	life.Guard(func() { aborted += "c" }) // too late to begin
	life.Guard(nil)
	if aborted != "bc" {
		t.Errorf("aborted %q", aborted)
	}
	other := new(exchange.Life)
	other.Guard(func() { t.Error("aborted after its guard") })
	other.Guard(nil)
	other.End(exchange.ErrLeft)
}
