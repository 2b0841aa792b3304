package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	patience = 30 * time.Second // for a whole answer
	distinct = 100              // requests that are repeated
	smallest = 100 << 10        // of large prompts, bytes
	largest  = 1 << 20
	sizes    = 8 // of large prompts
	bodySize = 200
)

// plan is what to send.
type plan struct {
	address, key, model string
	stream              bool
	large, repeated     float64
	clients             int
	rate                float64
	length              time.Duration
	seed                int64
}

// result is what came of it. Times are in milliseconds.
type result struct {
	Requests int            `json:"requests"` // answered with 200, whole
	Tokens   int            `json:"tokens"`   // lines of streams
	Statuses map[string]int `json:"statuses"` // of other answers
	Cut      int            `json:"cut"`      // streams that end without their last message, and say so
	Failed   int            `json:"failed"`   // anything else
	Reason   string         `json:"reason"`   // of the first that failed
	Seconds  float64        `json:"seconds"`
	P50      float64        `json:"p50_ms"`
	P99      float64        `json:"p99_ms"`
}

// client is one connection and what it has seen.
type client struct {
	p     *plan
	conn  net.Conn
	in    *bufio.Reader
	body  bytes.Buffer
	line  []byte
	seen  result
	times []time.Duration
}

// errCut is a stream that ended early and said so in its last message.
var errCut = errors.New("the stream says that it is cut")

func drive(p plan) (result, error) {
	probe, err := net.DialTimeout("tcp", p.address, time.Second)
	if err != nil {
		return result{}, err
	}
	_ = probe.Close()

	var number atomic.Int64
	number.Store(p.seed)
	started := time.Now()
	clients := make([]*client, p.clients)
	var all sync.WaitGroup
	for i := range clients {
		c := &client{p: &p, seen: result{Statuses: map[string]int{}}}
		clients[i] = c
		all.Go(func() { c.run(started, &number) })
	}
	all.Wait()
	return sum(clients, time.Since(started)), nil
}

func sum(clients []*client, took time.Duration) result {
	total := result{Statuses: map[string]int{}, Seconds: took.Seconds()}
	var times []time.Duration
	for _, c := range clients {
		total.Requests += c.seen.Requests
		total.Tokens += c.seen.Tokens
		total.Cut += c.seen.Cut
		total.Failed += c.seen.Failed
		if total.Reason == "" {
			total.Reason = c.seen.Reason
		}
		for status, n := range c.seen.Statuses {
			total.Statuses[status] += n
		}
		times = append(times, c.times...)
	}
	total.P50, total.P99 = at(times, 0.5), at(times, 0.99)
	return total
}

// at returns a quantile in milliseconds.
func at(times []time.Duration, share float64) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return float64(times[int(share*float64(len(times)-1))]) / float64(time.Millisecond)
}

func (c *client) run(started time.Time, number *atomic.Int64) {
	defer func() {
		if c.conn != nil {
			_ = c.conn.Close()
		}
	}()
	for {
		n := number.Add(1)
		due := time.Now()
		if c.p.rate > 0 {
			// Counted from when it was due: a server that is late does not slow the load down.
			due = started.Add(time.Duration(float64(n-c.p.seed) / c.p.rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		if due.Sub(started) > c.p.length {
			return
		}
		err := c.ask(n, due)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errCut):
			c.seen.Cut++
		default:
			c.seen.Failed++
			if c.seen.Reason == "" {
				c.seen.Reason = err.Error()
			}
			time.Sleep(10 * time.Millisecond) // a server that is away is not asked in a tight loop
		}
		if c.conn != nil {
			_ = c.conn.Close()
			c.conn = nil
		}
	}
}

// ask sends one request and reads its answer.
func (c *client) ask(n int64, due time.Time) error {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.p.address, patience)
		if err != nil {
			return err
		}
		c.conn, c.in = conn, bufio.NewReaderSize(conn, 16<<10)
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(c.p.request(n)); err != nil {
		return err
	}
	h, err := readHead(c.in, c.line)
	if err != nil {
		return err
	}
	c.line = h.first
	c.body.Reset()
	pieces, err := c.rest(h)
	if err != nil {
		return err
	}
	if h.close {
		_ = c.conn.Close()
		c.conn = nil
	}
	status, _, _ := strings.Cut(strings.TrimPrefix(string(h.first), "HTTP/1.1 "), " ")
	if status != "200" {
		c.seen.Statuses[status]++
		return nil
	}
	if !bytes.Contains(c.body.Bytes()[max(0, c.body.Len()-400):], []byte(`"done":true`)) {
		if bytes.Contains(c.body.Bytes(), []byte(`"error"`)) {
			return errCut
		}
		return fmt.Errorf("an answer of %d bytes is not whole", c.body.Len())
	}
	c.seen.Requests++
	c.seen.Tokens += pieces
	c.times = append(c.times, time.Since(due))
	return nil
}

// rest reads an answer's body and returns how many lines a stream has.
func (c *client) rest(h head) (int, error) {
	if !h.chunked {
		_, err := io.CopyN(&c.body, c.in, int64(max(h.length, 0)))
		return 0, err
	}
	for {
		size, err := readChunk(c.in, &c.body)
		if err != nil {
			return 0, err
		}
		if size == 0 {
			return bytes.Count(c.body.Bytes(), []byte("\n")), nil
		}
	}
}

var filler = strings.Repeat("x", largest)

// request returns the n-th request.
func (p *plan) request(n int64) []byte {
	// A fixed sequence of shares, so that every target gets the same.
	turn := float64(n%100) / 100
	options, number := "", n
	if p.repeated >= 0 {
		options = `,"options":{"temperature":0}`
		if turn < p.repeated {
			number = n % distinct
		}
	}
	begin := fmt.Sprintf(`{"model":"%s","stream":%t%s,"prompt":"%012d `, p.model, p.stream, options, number)
	size := bodySize
	if turn < p.large {
		size = smallest + int(n%sizes)*(largest-smallest)/sizes
	}
	text := filler[:max(0, size-len(begin)-len(`"}`))]
	key := ""
	if p.key != "" {
		key = "Authorization: Bearer " + p.key + "\r\n"
	}
	return fmt.Appendf(nil, "POST /api/generate HTTP/1.1\r\nHost: bench\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s%s\"}",
		key, len(begin)+len(text)+2, begin, text)
}
