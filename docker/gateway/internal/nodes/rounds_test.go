package nodes

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoAsksDuringARoundSharesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int32
		r := rounds{job: func() { time.Sleep(time.Second); done.Add(1) }}
		began := time.Now()
		var wait sync.WaitGroup
		ask := func() {
			wait.Go(func() { r.wait(t.Context()) })
			synctest.Wait()
		}
		ask()
		time.Sleep(time.Second / 2)
		for range 100 {
			ask()
		}
		wait.Wait()
		if took := time.Since(began); done.Load() != 2 || took != 2*time.Second {
			t.Errorf("%d rounds, %v", done.Load(), took)
		}
		r.wait(t.Context())
		if done.Load() != 3 {
			t.Errorf("a round that was over before is no answer: %d rounds", done.Load())
		}
	})
}

func TestARoundGoesOnWithoutWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int32
		r := rounds{job: func() { time.Sleep(time.Minute); done.Add(1) }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		r.wait(ctx)
		if took := time.Since(began); took != time.Second || done.Load() != 0 {
			t.Errorf("after %v, %d rounds", took, done.Load())
		}
		r.wait(t.Context())
		if done.Load() != 2 {
			t.Errorf("%d rounds", done.Load())
		}
	})
}
