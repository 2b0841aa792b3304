package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/stream"
)

// maxLine bounds one line of progress.
const maxLine = 1 << 20

// questionTimeout bounds a question that a worker answers from memory.
const questionTimeout = 5 * time.Second

// outcome is how one node ended.
type outcome struct {
	node   string
	status int
	body   []byte // a whole answer, or the error of a stream
	kind   string // its Content-Type
	err    error  // the node could not be talked to
}

func (o outcome) ok() bool { return o.err == nil && o.status < 300 }

// send answers with it.
func (o outcome) send(w http.ResponseWriter) {
	if len(o.body) == 0 {
		w.WriteHeader(o.status)
		return
	}
	w.Header().Set("Content-Type", o.kind)
	reply.Bytes(w, o.status, o.body)
}

// All sends the request to every target and merges the answers: progress streams into one stream that
// shows the slowest node, whole answers into one. Where a node fails, the answer is an error that names
// it, unless all failed alike: then the error is the node's own, word for word.
func (p *Proxy) All(w http.ResponseWriter, r *http.Request, targets []*nodes.Node, body []byte) {
	x := exchange.From(r.Context())
	x.Node = names(targets)
	w.Header().Set(reply.NodeHeader, x.Node)
	lines := NewLines(w)
	began := time.Now()
	outcomes := p.each(r, targets, body, lines.Write)
	x.Waited(began)
	if err := r.Context().Err(); err != nil {
		x.Abandon(err)
		panic(http.ErrAbortHandler)
	}

	answer := combine(r.URL.Path, outcomes)
	if !answer.ok() {
		x.Cause = errors.New(string(answer.body))
	}
	switch {
	case !lines.Begun:
		answer.send(w)
	case !answer.ok():
		// A worker's own refusal is an answer; a worker that could not be talked to is a failure.
		x.Failed = slices.ContainsFunc(outcomes, func(o outcome) bool { return o.err != nil })
		lines.Write(answer.body)
	}
}

// Pull has every target get a model from its registry. It calls show with each line of the progress of all, one
// at a time, and returns what kept which node from getting it.
func (p *Proxy) Pull(ctx context.Context, targets []*nodes.Node, model string, show func(line []byte)) map[string]error {
	body, err := json.Marshal(map[string]string{"model": model})
	if err != nil {
		panic(err) // texts always encode
	}
	r := (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/api/pull"}, Header: http.Header{}}).WithContext(ctx)
	failed := map[string]error{}
	for _, o := range p.each(r, targets, body, show) {
		if o.err != nil {
			failed[o.node] = o.err
		} else if !o.ok() {
			failed[o.node] = errors.New(errorText(o.body))
		}
	}
	return failed
}

// each sends the request to every target and calls show with each line of their merged progress.
func (p *Proxy) each(r *http.Request, targets []*nodes.Node, body []byte, show func(line []byte)) []outcome {
	merge := &merger{show: show, total: len(targets)}
	outcomes := make([]outcome, len(targets))
	var wait sync.WaitGroup
	for i, node := range targets {
		wait.Go(func() { outcomes[i] = p.one(r, node, body, merge) })
	}
	wait.Wait()
	return outcomes
}

func names(targets []*nodes.Node) string {
	all := make([]string, len(targets))
	for i, node := range targets {
		all[i] = node.Name
	}
	return strings.Join(all, ",")
}

// combine makes one answer out of all. The least status stands for agreement, an error for the rest.
func combine(path string, outcomes []outcome) outcome {
	var failed []outcome
	for _, o := range outcomes {
		if !o.ok() {
			failed = append(failed, o)
		}
	}
	if len(failed) == 0 {
		return outcomes[0]
	}
	alike := func(o outcome) bool {
		return o.err == nil && o.status == failed[0].status && bytes.Equal(o.body, failed[0].body)
	}
	if len(failed) == len(outcomes) && !slices.ContainsFunc(failed, func(o outcome) bool { return !alike(o) }) {
		return failed[0]
	}
	var messages []string
	status := http.StatusBadGateway
	for _, o := range failed {
		message := "could not be reached"
		if o.err == nil {
			status = o.status
			message = errorText(o.body)
		}
		messages = append(messages, o.node+": "+message)
	}
	return outcome{status: status, body: reply.ErrorBody(path, status, strings.Join(messages, "; ")), kind: reply.ContentType}
}

func errorText(body []byte) string {
	var object struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &object) == nil && object.Error != "" {
		return object.Error
	}
	return string(body)
}

// one sends the request to one node and hands its progress to merge.
func (p *Proxy) one(r *http.Request, node *nodes.Node, body []byte, merge *merger) outcome {
	lease := p.pool.Claim(node)
	defer lease.Release()
	fail := func(err error) outcome {
		if r.Context().Err() == nil {
			p.pool.ReportFailure(&lease, err)
			p.log.Warn("worker failed", "node", node.Name, "path", r.URL.Path, "error", err)
		}
		merge.leave(node.Name)
		return outcome{node: node.Name, status: http.StatusBadGateway, err: err}
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	timer := time.AfterFunc(p.silence, func() { cancel(exchange.ErrSilent) })
	defer timer.Stop()
	request, err := upstream(ctx, r, node, r.Method, bytes.NewReader(body))
	if err != nil {
		return fail(err)
	}
	response, err := node.Transport.RoundTrip(request)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = response.Body.Close() }()
	kind := response.Header.Get("Content-Type")
	if stream.FormatOf(kind) != stream.Lines || response.StatusCode >= 300 {
		text, err := io.ReadAll(io.LimitReader(response.Body, maxLine))
		if err != nil {
			return fail(err)
		}
		merge.leave(node.Name)
		return outcome{node: node.Name, status: response.StatusCode, body: text, kind: kind}
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		timer.Reset(p.silence)
		var line progress
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fail(fmt.Errorf("line of progress: %w", err))
		}
		if line.Error != "" {
			merge.leave(node.Name)
			text := append([]byte(nil), lines.Bytes()...)
			return outcome{node: node.Name, status: http.StatusInternalServerError, body: text}
		}
		merge.take(node.Name, line)
	}
	if err := lines.Err(); err != nil {
		return fail(err)
	}
	return outcome{node: node.Name, status: http.StatusOK}
}

// progress is a line of a pull, create or push.
type progress struct {
	Status    string `json:"status,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Total     int64  `json:"total,omitempty"`
	Completed int64  `json:"completed,omitempty"`
	Error     string `json:"error,omitempty"`
}

// merger turns several progress streams into one. A step is shown once every node has reached it, a
// download as far as the slowest node has come. A node that has failed no longer holds the others back.
type merger struct {
	mu    sync.Mutex
	show  func(line []byte)
	total int
	left  map[string]bool
	steps []*step
}

type step struct {
	line    progress
	reached map[string]int64 // by node: bytes completed
	shown   int64            // bytes shown last; -1 before the first
}

func (m *merger) take(node string, line progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s *step
	for _, known := range m.steps {
		if known.line.Status == line.Status && known.line.Digest == line.Digest {
			s = known
		}
	}
	if s == nil {
		s = &step{line: line, reached: map[string]int64{}, shown: -1}
		m.steps = append(m.steps, s)
	}
	s.line.Total = max(s.line.Total, line.Total)
	s.reached[node] = line.Completed
	m.advance(s)
}

// leave stops waiting for a node whose stream ended early.
func (m *merger) leave(node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == nil {
		m.left = map[string]bool{}
	}
	m.left[node] = true
	for _, s := range m.steps {
		if s.line.Status != "success" { // not a success if a node failed
			m.advance(s)
		}
	}
}

func (m *merger) advance(s *step) {
	least, waiting := int64(-1), m.total-len(m.left)
	for node, completed := range s.reached {
		if m.left[node] {
			continue
		}
		waiting--
		if least < 0 || completed < least {
			least = completed
		}
	}
	if waiting > 0 && s.line.Digest != "" {
		least, waiting = 0, 0 // a node that has not begun has loaded nothing
	}
	if waiting > 0 || least <= s.shown || (s.line.Status == "success" && len(m.left) > 0) {
		return
	}
	s.shown = least
	line := s.line
	line.Completed = least
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // texts and numbers alone always encode
	}
	m.show(text)
}

// Lines is an answer that comes line by line.
type Lines struct {
	Begun bool // its head is sent

	w     http.ResponseWriter
	flush func() error
}

// NewLines returns an answer that begins with its first line.
func NewLines(w http.ResponseWriter) *Lines {
	return &Lines{w: w, flush: http.NewResponseController(w).Flush}
}

// Write sends one line. A client that left ends the request by its context.
func (l *Lines) Write(line []byte) {
	if !l.Begun {
		l.Begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("X-Accel-Buffering", "no")
		l.w.WriteHeader(http.StatusOK)
	}
	_, _ = l.w.Write(append(bytes.TrimRight(line, "\n"), '\n'))
	_ = l.flush()
}

// Get asks one node with a short question.
func (p *Proxy) Get(ctx context.Context, node *nodes.Node, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, node.URL()+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := node.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s answered %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}
