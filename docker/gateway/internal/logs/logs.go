// Package logs writes structured logs without making requests wait for the disk or the pipe.
package logs

import (
	"io"
	"sync"
	"time"
)

// limit bounds what waits to be written, in bytes. Beyond it lines are dropped and counted: a stuck
// log collector must not stop the gateway, nor fill its memory.
const limit = 1 << 20

// Writer collects lines in memory and writes them out in batches.
type Writer struct {
	out     io.Writer
	mu      sync.Mutex
	pending []byte
	spare   []byte
	dropped int
	wake    chan struct{} // there is much to write
	closed  chan struct{}
	done    chan struct{}
}

// NewWriter starts a writer in front of out. Close flushes it.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, wake: make(chan struct{}, 1), closed: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line. It never blocks and never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.pending)+len(line) > limit {
		w.dropped++
	} else {
		w.pending = append(w.pending, line...)
	}
	much := len(w.pending) > limit/2
	w.mu.Unlock()
	if much {
		select {
		case w.wake <- struct{}{}:
		default: // it has been told
		}
	}
	return len(line), nil
}

// Dropped returns how many lines were lost so far.
func (w *Writer) Dropped() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Close writes what is pending and stops.
func (w *Writer) Close() {
	close(w.closed)
	<-w.done
}

func (w *Writer) run() {
	defer close(w.done)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.flush()
		case <-w.wake:
			w.flush()
		case <-w.closed:
			w.flush()
			return
		}
	}
}

func (w *Writer) flush() {
	w.mu.Lock()
	batch := w.pending
	w.pending, w.spare = w.spare[:0], nil
	w.mu.Unlock()
	if len(batch) > 0 {
		_, _ = w.out.Write(batch) // nowhere is left to report that logs can't be written
	}
	w.mu.Lock()
	w.spare = batch[:0]
	w.mu.Unlock()
}
