// Package server is the gateway's HTTP side: limits, path checks, logs and metrics around the API, the
// admin port, and the drain.
package server

import (
	"io"
	"net/http"
	"strings"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/front"
	"ollamamax/gateway/internal/reply"
)

// rollingBody limits how long a client may take over its body: each front.MinProgress bytes within timeout.
// Only time spent reading counts, not time that a worker takes to accept what was read.
type rollingBody struct {
	io.ReadCloser
	control  *http.ResponseController
	timeout  time.Duration
	left     time.Duration // for the current front.MinProgress bytes
	progress int
	ended    bool
	x        *exchange.Exchange
}

func (b *rollingBody) Read(p []byte) (int, error) {
	if b.ended {
		return b.ReadCloser.Read(p)
	}
	began := time.Now()
	_ = b.control.SetReadDeadline(began.Add(b.left)) // fails only where the connection is gone already
	n, err := b.ReadCloser.Read(p)
	b.x.Waited(began)
	b.left -= time.Since(began)
	if b.progress += n; b.progress >= front.MinProgress {
		b.progress, b.left = 0, b.timeout
	}
	if err == io.EOF {
		// From here on net/http itself reads, to notice a client that leaves; a deadline would look like
		// one that left.
		b.ended = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// finish bounds what net/http reads of a body that the handler left unread.
func (b *rollingBody) finish() {
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Now().Add(b.left))
	}
}

// rollingWriter limits how long a client may take to accept each chunk.
type rollingWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	status  int
	body    *rollingBody // of the request; nil where it has none
}

func (w *rollingWriter) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(w.timeout)) }

func (w *rollingWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if w.body != nil && !w.body.ended {
			// To keep the connection net/http would read the rest of the body before it answers, and a
			// client that never sends it would never see its refusal.
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *rollingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extend()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets a WebSocket take the connection over.
func (w *rollingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// FlushError lets http.ResponseController flush through this writer.
func (w *rollingWriter) FlushError() error {
	w.extend()
	return w.control.Flush()
}

// refusedPath says why a request's target is not acceptable, or returns "". Workers must see exactly
// the path that was checked here, so anything that two programs might read differently is refused.
func refusedPath(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return "this method is not supported"
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		return "the request target must be a path"
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			// net/http has checked that two hexadecimal digits follow.
			if i+2 >= len(path) {
				return "the path has an incomplete escape"
			}
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
			if strings.IndexByte(`/\.%;?#`, c) >= 0 {
				return "the path has an escaped character that must not be escaped"
			}
		}
		if c < 0x20 || c >= 0x7f || c == '\\' || c == ';' {
			return "the path has a character that is not allowed"
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." || (segment == "" && i < len(segments)-1) {
			return "the path has an empty or relative segment"
		}
	}
	return ""
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// edgeHeaders are added by the edge, so they do not count against the client.
var edgeHeaders = map[string]bool{
	"X-Forwarded-For": true, "X-Forwarded-Proto": true, "X-Forwarded-Host": true, "X-Real-Ip": true,
	reply.RequestIDHeader: true,
}

// headBytes is the size of a request's head as the client wrote it: request line, headers, empty line.
func headBytes(r *http.Request) int {
	const space, colon, lineEnd = 1, 2, 2
	size := len(r.Method) + space + len(r.RequestURI) + space + len(r.Proto) + lineEnd + lineEnd
	if r.Host != "" {
		size += len("Host") + colon + len(r.Host) + lineEnd
	}
	for name, values := range r.Header {
		if edgeHeaders[name] {
			continue
		}
		for _, value := range values {
			size += len(name) + colon + len(value) + lineEnd
		}
	}
	return size
}
