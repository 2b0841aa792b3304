//go:build integration

package bus_test

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/realparts"
)

type listener struct {
	*bus.Bus
	cable *realparts.Cable
	heard [4]atomic.Int64
}

var topics = []bus.Topic{bus.Keys, bus.Models, bus.Inventory, bus.Aliases}

func join(t *testing.T) *listener {
	t.Helper()
	cable, dial := realparts.LayToRedis(t)
	l := &listener{cable: cable}
	l.Bus = bus.New(dial, slog.New(slog.NewTextHandler(io.Discard, nil)), func(topic bus.Topic) {
		for i := range topics {
			if topics[i] == topic {
				l.heard[i].Add(1)
			}
		}
	}, func(bool) {})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually.True(t, "connected", l.Live)
	return l
}

func TestWhatOneGatewayPublishesAllHear(t *testing.T) {
	one, two := join(t), join(t)
	before := two.heard[0].Load()
	one.Publish(bus.Keys)
	eventually.True(t, "the other hears", func() bool { return two.heard[0].Load() > before })
}

func TestWhileRedisIsAwayTheBusIsNotLiveAndAfterwardsEverythingCountsAsChanged(t *testing.T) {
	one, two := join(t), join(t)
	two.cable.Pull()
	eventually.True(t, "not live", func() bool { return !two.Live() })
	one.Publish(bus.Inventory)
	var before [len(two.heard)]int64
	for i := range topics {
		before[i] = two.heard[i].Load()
	}
	two.cable.Plug()
	eventually.True(t, "live again", two.Live)
	for i, topic := range topics {
		eventually.True(t, "told of what it missed of "+string(topic), func() bool { return two.heard[i].Load() > before[i] })
	}
}

func TestWhatIsPublishedWhileRedisIsAwayArrivesLater(t *testing.T) {
	one, two := join(t), join(t)
	one.cable.Pull()
	eventually.True(t, "not live", func() bool { return !one.Live() })
	before := two.heard[1].Load()
	one.Publish(bus.Models)
	tried := one.cable.Refused()
	eventually.True(t, "publishing was tried in vain", func() bool { return one.cable.Refused() >= tried+2 })
	one.cable.Plug()
	eventually.True(t, "the other hears", func() bool { return two.heard[1].Load() > before })
}
