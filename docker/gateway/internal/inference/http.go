package inference

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/upstream"
)

// ServeHTTP answers a request that came by net/http, with its body. serve is Infer or Forward.
func ServeHTTP(w http.ResponseWriter, r *http.Request, want nodes.Want, body []byte, serve func(*Request, Client) error) {
	x := exchange.From(r.Context())
	life := new(exchange.Life)
	life.Begin(x)
	defer context.AfterFunc(r.Context(), func() { life.End(context.Cause(r.Context())) })()
	var fields []byte
	http1.ToWorker(r.Header, func(name, value string) { fields = fmt.Appendf(fields, "%s: %s\r\n", name, value) })
	request := &Request{
		Exchange: x, Life: life, Want: want, Path: r.URL.Path,
		Request: upstream.Request{Method: r.Method, Target: r.URL.RequestURI(), Fields: fields, Body: body},
	}
	if serve(request, &httpClient{w: w, r: r}) != nil {
		panic(http.ErrAbortHandler)
	}
}

// httpClient is a client that net/http talks to.
type httpClient struct {
	w      http.ResponseWriter
	r      *http.Request
	stream bool // what is written is not to wait for more
}

func (c *httpClient) Begin(head Head) {
	header := c.w.Header()
	for line := range bytes.Lines(head.Fields) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		header.Add(textproto.CanonicalMIMEHeaderKey(string(name)), string(bytes.TrimSpace(value)))
	}
	x := exchange.From(c.r.Context())
	if x.Node != "" {
		header.Set(reply.NodeHeader, x.Node)
	}
	if x.Variant != nil {
		header.Set(reply.ModelHeader, x.Variant.Short)
	}
	if head.Stream {
		header.Set("X-Accel-Buffering", "no")
	}
	if head.Length >= 0 {
		header.Set("Content-Length", strconv.FormatInt(head.Length, 10))
	}
	c.stream = head.Length < 0
	c.w.WriteHeader(head.Status)
}

func (c *httpClient) Put(piece []byte) error { return c.Write(piece, false) }

func (c *httpClient) Write(piece []byte, _ bool) error {
	if _, err := c.w.Write(piece); err != nil || !c.stream {
		return err
	}
	return http.NewResponseController(c.w).Flush()
}

func (c *httpClient) Abort(ending []byte) {
	if ending != nil {
		_, _ = c.w.Write(ending) // the connection is aborted whether or not this arrives
		_ = http.NewResponseController(c.w).Flush()
	}
}

func (c *httpClient) Refuse(refusal *reply.Refusal) { reply.Refuse(c.w, c.r, refusal) }
