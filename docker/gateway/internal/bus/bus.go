// Package bus tells the other gateways, through Redis, that something changed.
package bus

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Topic says what changed.
type Topic string

const (
	// Keys were added or revoked.
	Keys Topic = "keys"
	// Models means that a worker got or lost a model: ask the workers again.
	Models Topic = "models"
	// Inventory means that the database's nodes and models changed: cached answers are stale.
	Inventory Topic = "inventory"
	// Aliases were made, changed or deleted.
	Aliases Topic = "aliases"
)

const (
	channel = "ollamamax:changed"
	// pingEvery keeps the subscription from being silent for longer than silence, which bounds how long
	// a dead connection passes for a live one.
	pingEvery = time.Second
	silence   = 3 * time.Second
	redialMax = 5 * time.Second
)

// Dial opens a connection to Redis.
type Dial func(ctx context.Context) (redis.Conn, error)

// Bus is a subscription and a publisher.
type Bus struct {
	dial    Dial
	log     *slog.Logger
	receive func(Topic)
	onState func(up bool)
	live    atomic.Bool

	mu      sync.Mutex
	unsent  map[Topic]bool
	wakePub chan struct{}
}

// New returns a bus. receive is called for every message, and for every topic after each connection,
// since messages may have been missed; it must not block. onState is told whether Redis answers.
func New(dial Dial, log *slog.Logger, receive func(Topic), onState func(up bool)) *Bus {
	return &Bus{
		dial: dial, log: log, receive: receive, onState: onState,
		unsent: map[Topic]bool{}, wakePub: make(chan struct{}, 1),
	}
}

// Live tells whether every message is being received. While it is not, what others changed is unknown.
func (b *Bus) Live() bool { return b.live.Load() }

// Publish tells all gateways, this one included, that topic changed. It does not block; while Redis is
// away the message waits, once however often it is published.
func (b *Bus) Publish(topic Topic) {
	b.mu.Lock()
	b.unsent[topic] = true
	b.mu.Unlock()
	select {
	case b.wakePub <- struct{}{}:
	default: // the publisher is about to look anyway
	}
}

// Run subscribes and publishes until ctx ends.
func (b *Bus) Run(ctx context.Context) {
	var wait sync.WaitGroup
	wait.Go(func() { b.publishAll(ctx) })
	delay := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := b.subscribe(ctx)
		if b.live.Swap(false) {
			delay = 100 * time.Millisecond
		}
		b.onState(false)
		if ctx.Err() != nil {
			break
		}
		b.log.Warn("redis not available: cached answers are bypassed", "error", err, "after", time.Since(began).String())
		sleep(ctx, delay)
		delay = min(delay*2, redialMax)
	}
	wait.Wait()
}

// subscribe receives until something fails.
func (b *Bus) subscribe(ctx context.Context) error {
	connection, err := b.dial(ctx)
	if err != nil {
		return err
	}
	subscription := redis.PubSubConn{Conn: connection}
	// Closing is what ends a Receive, whose own time limit leaves the connection unusable.
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	wait.Go(func() {
		defer func() { _ = connection.Close() }()
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if subscription.Ping("") != nil {
					return
				}
			}
		}
	})
	if err := subscription.Subscribe(channel); err != nil {
		return err
	}
	for {
		switch message := subscription.ReceiveWithTimeout(silence).(type) {
		case error:
			return message
		case redis.Subscription: // from here on every message arrives
			b.live.Store(true)
			b.onState(true)
			b.log.Info("redis connected")
			for _, topic := range []Topic{Keys, Models, Inventory, Aliases} {
				b.receive(topic)
			}
		case redis.Message:
			b.receive(Topic(message.Data))
		}
	}
}

func (b *Bus) publishAll(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wakePub:
		case <-retry.C:
		}
		b.mu.Lock()
		waiting := make([]Topic, 0, len(b.unsent))
		for topic := range b.unsent {
			waiting = append(waiting, topic)
		}
		clear(b.unsent)
		b.mu.Unlock()
		if len(waiting) == 0 {
			continue
		}
		if err := PublishOnce(ctx, b.dial, waiting...); err != nil {
			b.mu.Lock()
			for _, topic := range waiting {
				b.unsent[topic] = true
			}
			b.mu.Unlock()
		}
	}
}

// PublishOnce sends messages over a connection of their own: they are rare.
func PublishOnce(ctx context.Context, dial Dial, topics ...Topic) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	connection, err := dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	for _, topic := range topics {
		if _, err := redis.DoContext(connection, ctx, "PUBLISH", channel, string(topic)); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
