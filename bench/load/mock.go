package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	answerBytes = 1024
	tokens      = 64 // of a stream
	cutAt       = 40 // token at which a mock that cuts breaks off
	upstream    = 20 * time.Millisecond
	pace        = 5 * time.Millisecond // from token to token of a model that takes its time
	slowdown    = 10                   // of a mock that is slow
	peeked      = 64 << 10             // bytes of a body that are looked at
	digits      = 12                   // of a prompt's number
)

// alwaysLoaded are models by what they do: "bench" answers at once, "slow" after 20 ms, "paced" says a token
// every 5 ms, or as late its whole answer, and "cut" breaks off while it does.
var alwaysLoaded = []string{"bench", "slow", "paced", "cut"}

// faults are what a mock can be told to do, by GET /fault/NAME, until it is told otherwise.
var faults = []string{"none", "slow", "500", "429", "cut"}

var (
	greeting = message("text/plain", "200 OK", "Ollama is running")
	version  = message("application/json", "200 OK", `{"version":"0.0.0"}`)
	whole    = message("application/json", "200 OK", `{"model":"bench","response":"`+strings.Repeat("x", answerBytes-95)+`","done":true,"prompt_eval_count":26,"eval_count":64}`)
	busy     = message("application/json", "429 Too Many Requests", `{"error":"too many requests"}`)
	broken   = message("application/json", "500 Internal Server Error", `{"error":"llama runner process has terminated"}`)
	start    = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
	token    = chunk(`{"model":"bench","created_at":"2026-01-01T00:00:00Z","response":" word","done":false}` + "\n")
	ending   = append(chunk(`{"model":"bench","created_at":"2026-01-01T00:00:00Z","response":"","done":true,"prompt_eval_count":26,"eval_count":64}`+"\n"), "0\r\n\r\n"...)
)

func message(kind, status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, kind, len(body), body)
}

func chunk(text string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(text), text) }

// mock stands in for Ollama.
type mock struct {
	memory *memory
	fault  atomic.Pointer[string]
	asked  atomic.Int64

	mu    sync.Mutex
	turns map[string]int   // of each conversation, so far
	warm  int              // turns of conversations whose last turn was here, too
	later int              // turns that were not their conversation's first
	ended map[string]int64 // when a paced answer was, in nanoseconds since 1970: whole, or because its client had left
}

func newMock() *mock {
	m := &mock{memory: newMemory(), turns: map[string]int{}, ended: map[string]int64{}}
	m.fault.Store(&faults[0])
	return m
}

func (m *mock) serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			alarm, err := newAlarm()
			if err == nil {
				defer alarm.close()
				c := &asker{Conn: conn, mock: m, alarm: alarm, in: bufio.NewReaderSize(conn, peeked)}
				err = c.answerAll()
			}
			if !errors.Is(err, io.EOF) {
				_, _ = fmt.Fprintln(os.Stderr, "mock:", err)
			}
		}()
	}
}

// asker is a connection to the mock.
type asker struct {
	net.Conn
	mock  *mock
	alarm *alarm
	in    *bufio.Reader
}

// question is what a request asks for.
type question struct {
	path, model  string
	stream       bool
	unload       bool   // the model is to make way
	number       string // of the prompt
	turn, inputs int
}

// answerAll answers requests, one after the other, until the client leaves (io.EOF) or fails.
func (c *asker) answerAll() error {
	var line []byte
	for {
		h, err := readHead(c.in, line)
		if err != nil {
			return err
		}
		line = h.first
		length := max(h.length, 0)
		body, err := c.in.Peek(min(length, peeked))
		if err != nil {
			return err
		}
		q := read(string(line), body)
		if _, err := c.in.Discard(length); err != nil {
			return err
		}
		if err := c.answer(q); err != nil {
			return err
		}
	}
}

// read returns what a request of drive's asks for: the fields that count stand first in it.
func read(line string, body []byte) question {
	var q question
	if fields := strings.SplitN(line, " ", 3); len(fields) == 3 {
		q.path = fields[1]
	}
	begin := body[:min(len(body), 128)]
	if fields := bytes.SplitN(begin, []byte(`"`), 5); len(fields) == 5 {
		q.model = strings.TrimSuffix(string(fields[3]), ":latest")
	}
	q.stream = bytes.Contains(begin, []byte(`"stream":true`))
	q.unload = bytes.HasSuffix(begin, []byte(`"keep_alive":0}`))
	switch q.path {
	case "/api/embed":
		_, inputs, _ := bytes.Cut(body, []byte(`"input":`))
		q.inputs = bytes.Count(inputs, []byte(`"`)) / 2
	case "/api/chat":
		_, said, _ := bytes.Cut(body, []byte(`"user","content":"`))
		q.number, q.turn = string(said[:min(len(said), digits)]), bytes.Count(said, []byte(`"user"`))
	default:
		_, said, _ := bytes.Cut(begin, []byte(`"prompt":"`))
		q.number = string(said[:min(len(said), digits)])
	}
	return q
}

func (c *asker) answer(q question) error {
	m := c.mock
	switch {
	case q.path == "/api/tags" || q.path == "/api/ps":
		return c.write(m.list(q.path == "/api/tags"))
	case q.path == "/api/version":
		return c.write(version)
	case q.path == "/count":
		return c.write(m.count())
	case strings.HasPrefix(q.path, "/fault/"):
		if i := slices.Index(faults, strings.TrimPrefix(q.path, "/fault/")); i >= 0 {
			m.fault.Store(&faults[i])
		}
		return c.write(greeting)
	case q.model == "":
		return c.write(greeting)
	case q.unload:
		m.memory.drop(q.model)
		return c.write(whole)
	}
	m.asked.Add(1)
	if strings.HasPrefix(q.model, "model-") {
		defer m.memory.use(q.model)()
	}
	switch fault := *m.fault.Load(); {
	case fault == "429":
		return c.write(busy)
	case fault == "500":
		return c.write(broken)
	case q.inputs > 0:
		return c.write(embeddings(q.inputs))
	case q.model == "paced":
		return c.paced(q, fault)
	case q.model == "cut":
		return c.paced(q, "cut")
	case q.model != "bench":
		if err := c.alarm.sleep(upstream); err != nil {
			return err
		}
	}
	if q.path == "/api/chat" {
		m.heard(q)
	}
	if !q.stream {
		return c.write(whole)
	}
	if err := c.write(start); err != nil {
		return err
	}
	for range tokens {
		if err := c.write(token); err != nil {
			return err
		}
	}
	return c.write(ending)
}

func (c *asker) write(data []byte) error {
	_, err := c.Write(data)
	return err
}

// paced answers as a model does that takes its time, and stops when its client leaves.
func (c *asker) paced(q question, fault string) error {
	defer c.mock.end(q.number)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = c.in.Peek(1)
	}()
	step := time.NewTicker(pace)
	if fault == "slow" {
		step.Reset(slowdown * pace)
	}
	defer step.Stop()
	said := start
	for i := range tokens + 1 {
		if q.stream {
			if c.write(said) != nil {
				return io.EOF
			}
			said = token
		}
		if fault == "cut" && i == cutAt {
			return io.EOF
		}
		select {
		case <-gone:
			return io.EOF
		case <-step.C:
		}
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // ends the look
	<-gone
	_ = c.SetReadDeadline(time.Time{})
	if q.stream {
		return c.write(ending)
	}
	return c.write(whole)
}

func (m *mock) end(number string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[number] = time.Now().UnixNano()
}

// heard notes a turn of a conversation.
func (m *mock) heard(q question) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.turn > 0 {
		m.later++
		if last, known := m.turns[q.number]; known && last == q.turn-1 {
			m.warm++
		}
	}
	m.turns[q.number] = q.turn
}

// count says what the mock has seen.
func (m *mock) count() []byte {
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	body, _ := json.Marshal(map[string]any{ // of what it is made of, all can be encoded
		"asked": m.asked.Load(), "loads": m.memory.loads, "waited": m.memory.waited,
		"turns": m.later, "warm": m.warm, "ended": m.ended,
	})
	return message("application/json", "200 OK", string(body))
}

// list returns the models that there are, or those in memory: the models that load, where there are any.
func (m *mock) list(all bool) []byte {
	names := alwaysLoaded
	switch {
	case m.memory.models > 0 && all:
		names = nil
		for k := range m.memory.models {
			names = append(names, modelName(k))
		}
	case m.memory.models > 0:
		names = m.memory.names()
	}
	var entries []string
	for _, name := range names {
		entries = append(entries, fmt.Sprintf(`{"name":%[1]q,"model":%[1]q,"digest":"digest-of-%[1]s","size":1000,"modified_at":"2026-01-01T00:00:00Z"}`, name+":latest"))
	}
	return message("application/json", "200 OK", `{"models":[`+strings.Join(entries, ",")+`]}`)
}

func embeddings(inputs int) []byte {
	vectors := strings.Repeat("[0.1,0.2,0.3],", inputs)
	return message("application/json", "200 OK", fmt.Sprintf(`{"model":"bench","embeddings":[%s],"prompt_eval_count":8}`, vectors[:len(vectors)-1]))
}
