package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	changeEvery = time.Second // a node is drained, and the next time taken in again
	// smallBuffer is what the kernel keeps for a client that has stalled, so that it is full soon.
	smallBuffer = 4 << 10
	// Of WebSockets (RFC 6455).
	opText, opPing, opPong = 1, 9, 10
)

// watching is what WebSocket clients do.
type watching struct {
	address, key, node string
	clients, stalled   int
	length             time.Duration

	changed atomic.Int64 // when the last change was asked for, in nanoseconds since 1970
	over    atomic.Bool  // no more is read
}

// watched is what became of them. Times are in milliseconds.
type watched struct {
	Changes  int     `json:"changes"`  // that were asked for
	Told     int     `json:"told"`     // of them, all clients together
	Frames   int     `json:"frames"`   // that they got
	Messages int     `json:"messages"` // of the largest
	Ended    int     `json:"ended"`    // connections, of clients that have not stalled
	Seconds  float64 `json:"seconds"`  // in which clients were told
	P50      float64 `json:"p50_ms"`   // until a client was told
	P99      float64 `json:"p99_ms"`
	Most     float64 `json:"most_ms"`
}

// watcher is a client.
type watcher struct {
	conn    net.Conn
	in      *bufio.Reader
	drained bool
	seen    watched
	times   []time.Duration
}

// watch connects all clients, says so with a line, and then changes something again and again.
func (w *watching) watch() (watched, error) {
	if err := w.known(); err != nil {
		return watched{}, err
	}
	var all sync.WaitGroup
	watchers := make([]*watcher, w.clients)
	for i := range watchers {
		c, err := w.connect(i < w.stalled)
		if err != nil {
			return watched{}, err
		}
		defer func() { _ = c.conn.Close() }()
		watchers[i] = c
	}
	for _, c := range watchers[w.stalled:] {
		_ = c.conn.SetDeadline(time.Time{})
		all.Go(func() { c.follow(w) })
	}
	_, _ = fmt.Println("connected")
	// As many as there is time for, and after each all of its time to be told: a machine that is late makes
	// this longer, and the numbers no others.
	started, total := time.Now(), watched{Changes: int(w.length / changeEvery)}
	for i := range total.Changes {
		w.changed.Store(time.Now().UnixNano())
		if err := w.post("/api/v1/nodes/" + w.node + [...]string{"/drain", "/undrain"}[i%2]); err != nil {
			return total, err
		}
		time.Sleep(changeEvery)
	}
	w.over.Store(true)
	for _, c := range watchers {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // ends the look
	}
	all.Wait()
	total.Seconds = time.Since(started).Seconds()
	var times []time.Duration
	for _, c := range watchers {
		total.Frames += c.seen.Frames
		total.Messages = max(total.Messages, c.seen.Messages)
		total.Ended += c.seen.Ended
		times = append(times, c.times...)
	}
	total.Told = len(times)
	total.P50, total.P99, total.Most = milliseconds(times, 0.5), milliseconds(times, 0.99), milliseconds(times, 1)
	return total, nil
}

// known waits until the node can be drained, and sees to it that it is not.
func (w *watching) known() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if err := w.post("/api/v1/nodes/" + w.node + "/undrain"); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (w *watching) dial(path, head string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", w.address, patience)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n%s\r\n", path, w.key, head); err != nil {
		return nil, nil, err
	}
	in := bufio.NewReader(conn)
	h, err := readHead(in, nil)
	if err == nil && !strings.HasPrefix(string(h.first), "HTTP/1.1 101 ") && !strings.HasPrefix(string(h.first), "HTTP/1.1 200 ") {
		err = fmt.Errorf("%s: %s", path, h.first)
	}
	return conn, in, err
}

func (w *watching) post(path string) error {
	conn, _, err := w.dial("POST "+path, "Content-Length: 0\r\n")
	if err != nil {
		return err
	}
	return conn.Close()
}

func (w *watching) connect(stalls bool) (*watcher, error) {
	conn, in, err := w.dial("GET /ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YmVuY2htYXJrIG9mIDE2Qg==\r\n")
	if err != nil {
		return nil, err
	}
	if stalls {
		_ = conn.(*net.TCPConn).SetReadBuffer(smallBuffer)
	}
	return &watcher{conn: conn, in: in}, nil
}

// follow reads what it is told, to the end.
func (c *watcher) follow(w *watching) {
	node := []byte(`"topic":"nodes","key":"` + w.node + `"`)
	for {
		op, text, err := c.frame()
		if err != nil {
			if !w.over.Load() {
				c.seen.Ended++
				_, _ = fmt.Fprintln(os.Stderr, "watch:", err)
			}
			return
		}
		now := time.Now()
		switch op {
		case opPing:
			// A client masks what it sends: with zeros it stays as it is.
			_, _ = c.conn.Write(append([]byte{0x80 | opPong, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...))
		case opText:
			c.seen.Frames++
			c.seen.Messages = max(c.seen.Messages, bytes.Count(text, []byte(`{"type":`)))
			if i := bytes.LastIndex(text, node); i >= 0 {
				if _, value, found := bytes.Cut(text[i:], []byte(`"drained":`)); found && value[0] == 't' != c.drained {
					c.drained = !c.drained
					c.times = append(c.times, now.Sub(time.Unix(0, w.changed.Load())))
				}
			}
		}
	}
}

// frame reads one. What it holds is good until the next.
func (c *watcher) frame() (op byte, content []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return 0, nil, err
	}
	op = head[0] & 15
	length := uint64(head[1] & 127)
	switch length {
	case 126:
		_, err = io.ReadFull(c.in, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		_, err = io.ReadFull(c.in, head[:])
		length = binary.BigEndian.Uint64(head[:])
	}
	if err != nil {
		return 0, nil, err
	}
	content = make([]byte, length)
	_, err = io.ReadFull(c.in, content)
	return op, content, err
}
