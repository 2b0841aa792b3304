// Package nodes knows the workers: where they are, whether they answer, which models they hold and how
// busy they are.
package nodes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/outlier"
	"ollamamax/gateway/internal/upstream"
)

// timeoutsBeforeDown is how many checks in a row may time out before a node counts as down. A node busy
// on all cores answers late; one that refuses connections is down at once.
const timeoutsBeforeDown = 3

// maxAnswerBytes bounds the answer to a health check: thousands of models.
const maxAnswerBytes = 16 << 20

// Model is one model on one node.
type Model struct {
	Name       string          // as the node lists it
	Canonical  string          // as requests for it are matched
	Digest     string          // of its manifest
	Size       int64           // bytes on disk
	ModifiedAt time.Time       // when the node got it
	Remote     bool            // it runs elsewhere, and its digest says nothing of it
	Raw        json.RawMessage // the node's own entry, for merged lists
}

// Node is one worker at one address.
type Node struct {
	Name      string          // as metrics and headers call it
	Host      string          // the configured name:port it was resolved from
	Address   string          // ip:port
	Conns     *upstream.Pool  // for requests that one node answers
	Transport *http.Transport // for all else

	pool      string // of workers that it belongs to, as metrics call it
	hash      uint64 // of the name
	limit     int    // requests at once of each model, from all gateways; 0: none
	maxLoaded int    // models in memory; 0: no limit
	memory    int64  // bytes that they may take; 0: not known

	// Guarded by Pool.mu.
	slots       int // this gateway's part of the limit; 0: no limit
	up          bool
	seen        bool // has answered at least once, so models is known
	leaving     bool // its source says that it goes
	drained     bool // somebody said so
	epoch       int  // how often the node has come up or gone down
	models      map[string]Model
	lanes       map[string]*lane // of those models
	loaded      int              // how many of them are
	used        int64            // bytes that those take
	preload     []string         // models that the settings want in memory
	pins        []*pin           // all that it is to have there
	bringing    bool             // one of them is on its way
	evictions   int              // so far
	outstanding int              // requests under way
	record      outlier.Record
	ramping     bool // it starts slowly
	ramp        time.Duration
	opened      int // breakers, so far
	ejections   int // so far

	checking sync.Mutex // one check at a time
	timeouts int        // in a row; guarded by checking
	kick     chan struct{}
	stop     context.CancelFunc
}

// takes tells whether the node may be given something to do.
func (n *Node) takes() bool { return n.up && !n.leaving && !n.drained }

// done tells whether the node leaves and this gateway has nothing there any more. One that is down may be gone and
// not done, so it is asked on until it answers.
func (n *Node) done() bool { return n.leaving && n.up && n.outstanding == 0 }

// URL is the base address of the node's API.
func (n *Node) URL() string { return "http://" + n.Address }

func newTransport(connectTimeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		DisableCompression:  true, // answers pass byte for byte
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     30 * time.Second, // Ollama never closes an idle connection, so this side is first
		WriteBufferSize:     32 << 10,
		ReadBufferSize:      32 << 10,
	}
}

// fetchModels asks the node what it holds. It serves as the health check too.
func (n *Node) fetchModels(ctx context.Context) (map[string]Model, error) {
	body, err := n.get(ctx, "/api/tags")
	if err != nil {
		return nil, err
	}
	return parseModels(body)
}

// resident is a model that a node says it has in memory, or is loading.
type resident struct {
	model   string // canonical: of several names for one model, the one that it was loaded by
	digest  string
	bytes   int64
	expires time.Time // when it goes unless it is used
}

// fetchLoaded asks the node which models it has in memory.
func (n *Node) fetchLoaded(ctx context.Context) ([]resident, error) {
	body, err := n.get(ctx, "/api/ps")
	if err != nil {
		return nil, err
	}
	var list struct {
		Models []struct {
			Name      string    `json:"name"`
			Digest    string    `json:"digest"`
			Size      int64     `json:"size"`
			SizeVRAM  int64     `json:"size_vram"` // 0 without a GPU
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"models"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("GET /api/ps: %w", err)
	}
	all := make([]resident, len(list.Models))
	for i, model := range list.Models {
		all[i] = resident{modelname.Canonical(model.Name), model.Digest, cmp.Or(model.SizeVRAM, model.Size), model.ExpiresAt}
	}
	return all, nil
}

func (n *Node) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := n.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s answered %s", path, response.Status)
	}
	return body, nil
}

func parseModels(body []byte) (map[string]Model, error) {
	var list struct {
		Models []json.RawMessage `json:"models"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("GET /api/tags: %w", err)
	}
	models := make(map[string]Model, len(list.Models))
	for _, raw := range list.Models {
		var entry struct {
			Name       string    `json:"name"`
			Digest     string    `json:"digest"`
			Size       int64     `json:"size"`
			ModifiedAt time.Time `json:"modified_at"`
			RemoteHost string    `json:"remote_host"`
		}
		if err := json.Unmarshal(raw, &entry); err != nil || entry.Name == "" {
			return nil, fmt.Errorf("GET /api/tags: entry without a name: %.100s", raw)
		}
		canonical := modelname.Canonical(entry.Name)
		models[canonical] = Model{
			Name: entry.Name, Canonical: canonical, Digest: entry.Digest,
			Size: entry.Size, ModifiedAt: entry.ModifiedAt, Remote: entry.RemoteHost != "", Raw: raw,
		}
	}
	return models, nil
}

func sameModels(a, b map[string]Model) bool {
	if len(a) != len(b) {
		return false
	}
	for name, model := range a {
		if other, ok := b[name]; !ok || other.Digest != model.Digest || !other.ModifiedAt.Equal(model.ModifiedAt) {
			return false
		}
	}
	return true
}

// unreachable tells a node that is gone from one that is slow.
func unreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
