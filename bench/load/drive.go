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
	patience = 60 * time.Second // how long a client waits for a whole answer
	// ahead is how soon a connection is needed that is made before the first request: making it is not part of
	// what is measured. Those that would idle for longer a server may close.
	ahead = 2 * time.Second
)

// plan is what to send.
type plan struct {
	address, key, model string
	kind                func(p *plan, n int64) request
	stream              bool
	share               float64
	models              int
	clients, each       int
	row                 int64 // requests with numbers in a row that one client sends
	rate                float64
	length, leave       time.Duration
	seed                int64
}

// result is what came of it. Times are in milliseconds.
type result struct {
	Requests int             `json:"requests"` // answered with 200, whole
	Tokens   int             `json:"tokens"`   // lines of streams
	Statuses map[string]int  `json:"statuses"` // of other answers
	Reported int             `json:"reported"` // answers that end early, and say so
	Silent   int             `json:"silent"`   // that end early, and don't
	Failed   int             `json:"failed"`   // requests that nothing was answered to
	Reason   string          `json:"reason"`   // of the first that was silent or failed
	Left     map[int64]int64 `json:"left"`     // when who sent a request left, in nanoseconds since 1970
	Seconds  float64         `json:"seconds"`
	P50      float64         `json:"p50_ms"`
	P99      float64         `json:"p99_ms"`
	FirstP50 float64         `json:"first_p50_ms"` // until a stream's first piece
	FirstP99 float64         `json:"first_p99_ms"`
	Pace     float64         `json:"pace"` // a stream's tokens a second, from its first on: the median
}

// client is one connection and what it has seen.
type client struct {
	p     *plan
	first int64 // number of its first request
	alarm *alarm
	conn  net.Conn
	in    *bufio.Reader
	until time.Time // deadline of the connection
	body  bytes.Buffer
	line  []byte
	seen  result

	times, firsts []time.Duration
	paces         []float64
}

// Answers that end early: whole is what HTTP's framing says of them.
var (
	errReported = errors.New("the answer says that it is cut")
	errSilent   = errors.New("the answer is cut and does not say so")
)

func drive(p plan) (result, error) {
	probe, err := net.DialTimeout("tcp", p.address, time.Second)
	if err != nil {
		return result{}, err
	}
	_ = probe.Close()

	var number atomic.Int64
	number.Store(p.seed + int64(p.clients))
	clients := make([]*client, p.clients)
	var all sync.WaitGroup
	for i := range clients {
		alarm, err := newAlarm()
		if err != nil {
			return result{}, err
		}
		defer alarm.close()
		c := &client{p: &p, first: p.seed + int64(i), alarm: alarm, seen: result{Statuses: map[string]int{}, Left: map[int64]int64{}}}
		clients[i] = c
		if float64(i) < p.rate*ahead.Seconds() {
			if err := c.connect(); err != nil {
				return result{}, err
			}
		}
	}
	started := time.Now()
	for _, c := range clients {
		all.Go(func() { c.run(started, &number) })
	}
	all.Wait()
	return sum(clients, time.Since(started)), nil
}

func sum(clients []*client, took time.Duration) result {
	total := result{Statuses: map[string]int{}, Left: map[int64]int64{}, Seconds: took.Seconds()}
	var times, firsts []time.Duration
	var paces []float64
	for _, c := range clients {
		total.Requests += c.seen.Requests
		total.Tokens += c.seen.Tokens
		total.Reported += c.seen.Reported
		total.Silent += c.seen.Silent
		total.Failed += c.seen.Failed
		if total.Reason == "" {
			total.Reason = c.seen.Reason
		}
		for status, n := range c.seen.Statuses {
			total.Statuses[status] += n
		}
		for n, when := range c.seen.Left {
			total.Left[n] = when
		}
		times, firsts, paces = append(times, c.times...), append(firsts, c.firsts...), append(paces, c.paces...)
	}
	total.P50, total.P99 = milliseconds(times, 0.5), milliseconds(times, 0.99)
	total.FirstP50, total.FirstP99 = milliseconds(firsts, 0.5), milliseconds(firsts, 0.99)
	total.Pace = at(paces, 0.5)
	return total
}

func milliseconds(times []time.Duration, share float64) float64 {
	return float64(at(times, share)) / float64(time.Millisecond)
}

// at returns a quantile.
func at[T time.Duration | float64](values []T, share float64) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(share*float64(len(values)-1))]
}

func (c *client) run(started time.Time, number *atomic.Int64) {
	defer c.hangUp()
	var n int64
	for sent := 0; c.p.each == 0 || sent < c.p.each; sent++ {
		switch n++; {
		case sent == 0:
			n = c.first * c.p.row
		case n%c.p.row == 0:
			n = (number.Add(1) - 1) * c.p.row
		}
		due := time.Now()
		if c.p.rate > 0 {
			// Counted from when it was due: a server that is late does not slow the load down.
			due = started.Add(time.Duration(float64(n-c.p.seed) / c.p.rate * float64(time.Second)))
			if err := c.alarm.sleep(time.Until(due)); err != nil {
				c.note(err)
				return
			}
		}
		if due.Sub(started) >= c.p.length {
			return
		}
		if c.p.leave > 0 {
			c.walkOut(n)
			continue
		}
		if err := c.ask(n, due); err != nil {
			c.note(err)
			c.hangUp()
		}
	}
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *client) note(err error) {
	switch {
	case errors.Is(err, errReported):
		c.seen.Reported++
		return
	case errors.Is(err, errSilent):
		c.seen.Silent++
	default:
		c.seen.Failed++
		time.Sleep(10 * time.Millisecond) // a server that is away is not asked in a tight loop
	}
	if c.seen.Reason == "" {
		c.seen.Reason = err.Error()
	}
}

// send sends a request, over a new connection where there is none.
func (c *client) send(r request) error {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	// Its timer is not moved with every request: that would be a good part of what one costs here.
	if now := time.Now(); c.until.Sub(now) < patience {
		c.until = now.Add(patience + patience/8)
		_ = c.conn.SetDeadline(c.until)
	}
	_, err := c.conn.Write(r.wire)
	return err
}

func (c *client) connect() error {
	conn, err := net.DialTimeout("tcp", c.p.address, patience)
	if err != nil {
		return err
	}
	c.conn, c.in, c.until = conn, bufio.NewReaderSize(conn, 16<<10), time.Time{}
	return nil
}

// ask sends the n-th request and reads its answer.
func (c *client) ask(n int64, due time.Time) error {
	r := c.p.kind(c.p, n)
	if err := c.send(r); err != nil {
		return err
	}
	h, err := readHead(c.in, c.line)
	if err != nil {
		return err
	}
	c.line = h.first
	c.body.Reset()
	first, err := c.rest(h)
	now := time.Now()
	lines := bytes.TrimRight(c.body.Bytes(), "\n")
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	status, _, _ := strings.Cut(strings.TrimPrefix(string(h.first), "HTTP/1.1 "), " ")
	switch {
	case status != "200" && err == nil:
		c.seen.Statuses[status]++
	case bytes.Contains(last, []byte(r.ends)) && err == nil:
		c.seen.Requests++
		c.times = append(c.times, now.Sub(due))
		if h.chunked {
			c.stream(due, first, now)
		}
	case bytes.Contains(last, []byte(`"error"`)):
		return errReported
	default:
		return fmt.Errorf("%w: %d bytes, error %v", errSilent, c.body.Len(), err)
	}
	if h.close {
		c.hangUp()
	}
	return nil
}

// stream notes what a stream was like.
func (c *client) stream(due, first, last time.Time) {
	tokens := bytes.Count(c.body.Bytes(), []byte("\n"))
	c.seen.Tokens += tokens
	c.firsts = append(c.firsts, first.Sub(due))
	c.paces = append(c.paces, float64(tokens-1)/last.Sub(first).Seconds())
}

// rest reads an answer's body and returns when its first piece was there.
func (c *client) rest(h head) (first time.Time, err error) {
	if !h.chunked {
		_, err := io.CopyN(&c.body, c.in, int64(max(h.length, 0)))
		return time.Now(), err
	}
	for {
		size, err := readChunk(c.in, &c.body)
		if err != nil || size == 0 {
			return first, err
		}
		if first.IsZero() {
			first = time.Now()
		}
	}
}

// walkOut sends the n-th request, reads for a while, and leaves.
func (c *client) walkOut(n int64) {
	if err := c.send(c.p.kind(c.p, n)); err != nil {
		c.note(err)
		c.hangUp()
		return
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(c.p.leave + c.p.leave*time.Duration(n%100)/100))
	_, _ = io.Copy(io.Discard, c.conn) // until then
	c.seen.Left[n] = time.Now().UnixNano()
	c.hangUp()
}
