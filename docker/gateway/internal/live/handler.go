package live

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/reply"
)

// Routes names all routes.
func (h *Hub) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET "+auth.LivePath, h.accept)
}

// accept lets a client in, and serves it to the end.
func (h *Hub) accept(w http.ResponseWriter, r *http.Request) {
	switch origin := r.Header.Get("Origin"); {
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		w.Header().Set("Upgrade", "websocket")
		reply.Error(w, r, http.StatusUpgradeRequired, "this is a WebSocket: connect to it as one")
		return
	case !h.welcome(origin, r):
		reply.Error(w, r, http.StatusForbidden, "pages of "+origin+" may not connect: the setting gateway.live.origins lists those that may")
		return
	}
	defer h.watched.Add(-1)
	if h.watched.Add(1) > int64(h.settings.Clients) {
		h.metrics.Refused.Inc()
		reply.Error(w, r, http.StatusServiceUnavailable, "too many clients follow this gateway: the setting gateway.live.clients is their number")
		return
	}
	x := exchange.From(r.Context())
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{auth.LiveProtocol}, InsecureSkipVerify: true})
	if err != nil {
		x.Cause = err
		return // it has answered
	}
	defer x.Waited(time.Now())
	c := &client{hub: h, conn: conn, key: x.Key, request: r, topics: h.all(), behind: true, asks: make(chan ask)}
	c.serve(r.Context())
}

// welcome tells whether pages of an origin may connect: those of this host, and those of the settings. A client
// that is no browser has none.
func (h *Hub) welcome(origin string, r *http.Request) bool {
	if origin == "" || slices.Contains(h.settings.Origins, origin) {
		return true
	}
	host := r.Host
	if asked := r.Header.Get("X-Forwarded-Host"); asked != "" { // the edge says so, with the port
		host = asked
	}
	from, err := url.Parse(origin)
	return err == nil && from.Host != "" && strings.EqualFold(from.Host, host)
}

// add lets the hub know of a client, unless it is closing.
func (h *Hub) add(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.handlers.Add(1)
	h.clients[c] = struct{}{}
	h.wake()
	return true
}

func (h *Hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.clients[c]; known {
		delete(h.clients, c)
		h.handlers.Done()
	}
}
