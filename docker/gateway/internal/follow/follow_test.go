package follow_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"ollamamax/gateway/internal/follow"
)

func TestWhatWasWrittenIsReadThoughItsWriterHasLeftAndAgainWhereThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, away := 0, errors.New("connection refused")
		f := follow.New("something", func(ctx context.Context) error {
			reads++
			if reads == 2 {
				return away
			}
			return ctx.Err()
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		left, leave := context.WithCancel(ctx)
		leave()
		f.Written(left)
		if reads != 1 || !f.Loaded() {
			t.Errorf("%d reads, loaded: %v", reads, f.Loaded())
		}
		f.Written(ctx) // fails
		go f.Run(ctx)
		synctest.Wait()
		if reads != 4 { // as Run begins, and because of the failure
			t.Errorf("%d reads", reads)
		}
		cancel()
		synctest.Wait()
	})
}
