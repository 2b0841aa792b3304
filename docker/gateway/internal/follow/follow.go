// Package follow keeps something in memory as the database has it.
package follow

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refresh is the time between two reads where no invalidation came.
	refresh = 10 * time.Second
	// readTimeout bounds one read.
	readTimeout = 3 * time.Second
)

// Follower reads again and again. While the database is away what was read last stays.
type Follower struct {
	what    string
	read    func(ctx context.Context) error
	log     *slog.Logger
	kick    chan struct{}
	reading sync.Mutex // what was read first must not be what holds in the end
	loaded  atomic.Bool
}

// New returns a follower that has read nothing. what names what is read, for the log; read reads and keeps it.
func New(what string, read func(ctx context.Context) error, log *slog.Logger) *Follower {
	return &Follower{what: what, read: read, log: log, kick: make(chan struct{}, 1)}
}

// Run follows the database until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		if err := f.Read(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn(f.what+" not read: those known stay as they are", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-f.kick:
		case <-tick.C:
		}
	}
}

// Loaded tells whether a read has succeeded.
func (f *Follower) Loaded() bool { return f.loaded.Load() }

// Invalidate asks for a read soon.
func (f *Follower) Invalidate() {
	select {
	case f.kick <- struct{}{}:
	default: // one is due anyway
	}
}

// Written has what was just written hold here: it is read now, whether or not who wrote it still waits, or else soon.
func (f *Follower) Written(ctx context.Context) {
	if f.Read(context.WithoutCancel(ctx)) != nil {
		f.Invalidate()
	}
}

// Read reads now.
func (f *Follower) Read(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := f.read(ctx)
	if err == nil {
		f.loaded.Store(true)
	}
	return err
}
