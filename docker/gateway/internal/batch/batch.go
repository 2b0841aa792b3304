// Package batch sends requests for embeddings that arrive at the same time as one. A worker counts the tokens
// of a whole request, so an answer that was taken out of a shared one has no count: Ollama's API lets an
// answer be without, and a count made up here would be wrong.
package batch

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"ollamamax/gateway/internal/prometheus"
	"ollamamax/gateway/internal/scan"
)

// maxBytes bounds the texts of a batch. One request with more goes alone.
const maxBytes = 1 << 20

// Reply is a worker's answer, whole. H is what else there is to say of it.
type Reply[H any] struct {
	Status int
	Body   []byte
	Head   H
}

// Send has a worker answer a body. It is called for others' requests too, on another goroutine, and maybe
// after the request that it came with has gone: it must not use anything of that request's own.
type Send[H any] func(ctx context.Context, body []byte) (Reply[H], error)

// Batcher gathers requests. K says which of them may go together: same tenant, model and options.
type Batcher[K comparable, H any] struct {
	maxWait   time.Duration
	maxInputs int
	size      prometheus.Observer

	mu     sync.Mutex
	groups map[K]*group[H]
}

// group is the requests of one key. It is there only while at least one of them is at a worker.
type group[H any] struct {
	underway int
	next     *gathering[H] // waits for others; nil where nothing waits
}

type gathering[H any] struct {
	members []*member[H]
	inputs  int
	bytes   int
	timer   *time.Timer
}

type member[H any] struct {
	ctx   context.Context
	body  []byte
	texts scan.Texts
	send  Send[H]
	done  chan outcome[H]
}

type outcome[H any] struct {
	reply Reply[H]
	err   error
}

// New returns a batcher in which a request waits for others for maxWait at most, and no batch has more than
// maxInputs texts. size is told how many requests each batch has.
func New[K comparable, H any](maxWait time.Duration, maxInputs int, size prometheus.Observer) *Batcher[K, H] {
	return &Batcher[K, H]{maxWait: maxWait, maxInputs: maxInputs, size: size, groups: map[K]*group[H]{}}
}

// Do answers a request whose texts have been cut out. The first of a key goes to a worker at once: only while
// one is there do others wait, until it is back, until maxWait has passed, or until they are enough.
func (b *Batcher[K, H]) Do(ctx context.Context, key K, body []byte, texts scan.Texts, send Send[H]) (Reply[H], error) {
	b.mu.Lock()
	g := b.groups[key]
	if g == nil || b.maxWait == 0 || texts.Count >= b.maxInputs || len(texts.Items) > maxBytes {
		if g == nil {
			g = &group[H]{}
			b.groups[key] = g
		}
		g.underway++
		b.mu.Unlock()
		defer b.back(key, g)
		b.size.Observe(1)
		return send(ctx, body)
	}
	m := &member[H]{ctx: ctx, body: body, texts: texts, send: send, done: make(chan outcome[H], 1)}
	if g.next != nil && (g.next.inputs+texts.Count > b.maxInputs || g.next.bytes+len(texts.Items) > maxBytes) {
		b.dispatch(key, g, g.next)
	}
	if g.next == nil {
		next := &gathering[H]{}
		next.timer = time.AfterFunc(b.maxWait, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.dispatch(key, g, next)
		})
		g.next = next
	}
	g.next.members = append(g.next.members, m)
	g.next.inputs += texts.Count
	g.next.bytes += len(texts.Items)
	if g.next.inputs == b.maxInputs {
		b.dispatch(key, g, g.next)
	}
	b.mu.Unlock()
	select {
	case o := <-m.done:
		return o.reply, o.err
	case <-ctx.Done():
		return Reply[H]{}, context.Cause(ctx)
	}
}

// dispatch sends what has gathered, unless that has been done. The caller holds mu.
func (b *Batcher[K, H]) dispatch(key K, g *group[H], gathered *gathering[H]) {
	if g.next != gathered {
		return
	}
	g.next = nil
	gathered.timer.Stop()
	g.underway++
	go func() {
		defer b.back(key, g)
		b.answer(gathered.members)
	}()
}

// back notes that a request of the group has been answered: who waited for it goes now.
func (b *Batcher[K, H]) back(key K, g *group[H]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g.underway--
	switch {
	case g.next != nil:
		b.dispatch(key, g, g.next)
	case g.underway == 0:
		delete(b.groups, key)
	}
}

// answer sends members as one, and each alone where that is not answered for all: what is wrong with one
// must not fail the others.
func (b *Batcher[K, H]) answer(members []*member[H]) {
	left := func(m *member[H]) bool { return m.ctx.Err() != nil }
	members = slices.DeleteFunc(members, left)
	if len(members) > 1 && b.together(members) {
		return
	}
	members = slices.DeleteFunc(members, left)
	var wait sync.WaitGroup
	for _, m := range members {
		wait.Go(func() {
			b.size.Observe(1)
			reply, err := m.send(m.ctx, m.body)
			m.done <- outcome[H]{reply, err}
		})
	}
	wait.Wait()
}

// together reports whether one answer served all members.
func (b *Batcher[K, H]) together(members []*member[H]) bool {
	ctx, cancel := whileOneWaits(members)
	defer cancel()
	inputs, lists := 0, make([][]byte, 0, len(members))
	for _, m := range members {
		inputs += m.texts.Count
		lists = append(lists, m.texts.Items)
	}
	first := members[0]
	body := slices.Concat(first.texts.Before, []byte{'['}, bytes.Join(lists, []byte{','}), []byte{']'}, first.texts.After)
	b.size.Observe(float64(len(members)))
	reply, err := first.send(ctx, body)
	if err != nil || reply.Status != http.StatusOK {
		return false
	}
	vectors, ok := scan.CutVectors(reply.Body)
	if !ok || len(vectors.Each) != inputs {
		return false
	}
	for _, m := range members {
		mine := bytes.Join(vectors.Each[:m.texts.Count], []byte{','})
		vectors.Each = vectors.Each[m.texts.Count:]
		own := reply
		own.Body = slices.Concat(vectors.Before, mine, vectors.After)
		m.done <- outcome[H]{reply: own}
	}
	return true
}

// whileOneWaits returns a context that ends when the last member has left.
func whileOneWaits[H any](members []*member[H]) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].ctx))
	var mu sync.Mutex
	waiting := len(members)
	stops := make([]func() bool, 0, len(members))
	for _, m := range members {
		stops = append(stops, context.AfterFunc(m.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if waiting--; waiting == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
