package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
)

// errEnough ends the feed to a node that has answered before it took the whole body.
var errEnough = errors.New("the node has answered")

// HeadBlob tells whether every target has the blob, so that a client uploads it where one has not.
func (p *Proxy) HeadBlob(w http.ResponseWriter, r *http.Request, targets []*nodes.Node) {
	x := exchange.From(r.Context())
	x.Node = names(targets)
	w.Header().Set(reply.NodeHeader, x.Node)
	status := http.StatusOK
	for _, o := range p.headAll(r, targets) {
		switch {
		case o.err != nil:
			status = max(status, http.StatusBadGateway)
		case o.status >= 300:
			status = max(status, o.status)
		}
	}
	w.WriteHeader(status)
}

func (p *Proxy) headAll(r *http.Request, targets []*nodes.Node) []outcome {
	outcomes := make([]outcome, len(targets))
	x := exchange.From(r.Context())
	began := time.Now()
	var wait sync.WaitGroup
	for i, node := range targets {
		wait.Go(func() {
			outcomes[i] = outcome{node: node.Name}
			request, err := upstream(r.Context(), r, node, http.MethodHead, nil)
			if err != nil {
				outcomes[i].err = err
				return
			}
			response, err := node.Transport.RoundTrip(request)
			if err != nil {
				outcomes[i].err = err
				return
			}
			_ = response.Body.Close()
			outcomes[i].status = response.StatusCode
		})
	}
	wait.Wait()
	x.Waited(began)
	return outcomes
}

// UploadBlob feeds the request's body, as it arrives, to every target that lacks the blob. It is never
// held in memory, so the slowest node sets the pace.
func (p *Proxy) UploadBlob(w http.ResponseWriter, r *http.Request, targets []*nodes.Node) {
	x := exchange.From(r.Context())
	var lacking []*nodes.Node
	for i, o := range p.headAll(r, targets) {
		if o.err != nil || o.status != http.StatusOK {
			lacking = append(lacking, targets[i])
		}
	}
	x.Node = names(targets)
	w.Header().Set(reply.NodeHeader, x.Node)
	if len(lacking) == 0 {
		taken(r, outcome{status: http.StatusOK}).send(w)
		return
	}

	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	outcomes := make([]outcome, len(lacking))
	feeds := make([]*io.PipeWriter, len(lacking))
	var wait sync.WaitGroup
	for i, node := range lacking {
		reader, writer := io.Pipe()
		feeds[i] = writer
		wait.Go(func() {
			outcomes[i] = p.upload(ctx, r, node, reader)
			_ = reader.CloseWithError(errEnough) // frees the feed where the node answered early
		})
	}
	began := time.Now()
	readErr := spread(r.Body, feeds)
	if readErr != nil {
		cancel() // the nodes must not take a part for the whole
	}
	wait.Wait()
	x.Waited(began)
	if readErr != nil {
		x.Cause = readErr
		reply.Error(w, r, http.StatusRequestTimeout, "the upload broke off")
		return
	}
	taken(r, combine(r.URL.Path, outcomes)).send(w)
}

// taken returns the answer of nodes that may not have waited for the end of the body; a good one once the rest
// of it has been read. Where a body is left unread the connection ends with the answer, and so does the edge's
// with a client that may have sent its next request on it already.
func taken(r *http.Request, answer outcome) outcome {
	if answer.ok() {
		_, exchange.From(r.Context()).Cause = io.Copy(io.Discard, r.Body)
	}
	return answer
}

// spread copies body to every feed that still takes it and returns what stopped the reading, or nil at
// the end.
func spread(body io.Reader, feeds []*io.PipeWriter) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	open := len(feeds)
	for open > 0 {
		n, err := body.Read(*buffer)
		for i, feed := range feeds {
			if feed == nil || n == 0 {
				continue
			}
			if _, writeErr := feed.Write((*buffer)[:n]); writeErr != nil {
				feeds[i] = nil
				open--
			}
		}
		if err == nil {
			continue
		}
		failure := err
		if errors.Is(err, io.EOF) {
			failure = nil
		}
		for _, feed := range feeds {
			if feed != nil {
				_ = feed.CloseWithError(failure) // nil reads as the end
			}
		}
		return failure
	}
	return nil
}

func (p *Proxy) upload(ctx context.Context, r *http.Request, node *nodes.Node, body io.Reader) outcome {
	lease := p.pool.Claim(node)
	defer lease.Release()
	request, err := upstream(ctx, r, node, http.MethodPost, body)
	if err != nil {
		return outcome{node: node.Name, err: err}
	}
	request.ContentLength = r.ContentLength
	response, err := node.Transport.RoundTrip(request)
	if err != nil {
		return outcome{node: node.Name, err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxLine))
	return outcome{node: node.Name, status: response.StatusCode, body: text, err: err}
}
