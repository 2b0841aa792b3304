package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/reply"
)

const (
	// pingEvery keeps whatever stands between from forgetting a silent connection, and finds clients that are
	// gone without having said so.
	pingEvery = 20 * time.Second
	// farewell is how long a client may take to answer that its connection ends.
	farewell = 2 * time.Second
	maxAsk   = 4096 // bytes of what a client says
)

var (
	errKey      = errors.New("the API key is good no longer")
	errStopping = errors.New("the gateway is stopping")
	errSilent   = errors.New("the client does not answer")
	errStalled  = errors.New("the client takes nothing in")
)

// client is one connection. Its writer owns all but what says otherwise.
type client struct {
	hub     *Hub
	conn    *websocket.Conn
	key     *auth.Key // nil where none was needed
	request *http.Request
	end     context.CancelCauseFunc // anyone may call it
	asks    chan ask

	topics   set
	snapshot []*message        // to be sent before anything else
	notices  [][]byte          // and these before it
	behind   bool              // the snapshot is yet to be taken
	cursor   uint64            // number of the next message
	passed   [maxTopics]uint64 // messages of each topic before it
}

// ask is what a client wants, or what is wrong with what it said.
type ask struct {
	topics  set
	problem string
}

// serve tells the client what there is and what changes, until one of the two has enough.
func (c *client) serve(ctx context.Context) {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	c.end = end
	// What is read and written goes on after the life has ended, for a farewell.
	wire, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(life, func() { time.AfterFunc(farewell, cut) })()
	if !c.hub.add(c) {
		end(errStopping)
	}
	defer c.hub.remove(c)
	var helpers sync.WaitGroup
	helpers.Go(func() { end(c.read(wire, life)) })
	switch cause := c.write(wire, life, &helpers); {
	case errors.Is(cause, errKey):
		_ = c.conn.Close(websocket.StatusPolicyViolation, cause.Error()) // a client that is gone can't be told
	case errors.Is(cause, errStalled), errors.Is(cause, errSilent):
		c.hub.metrics.Stalled.Inc()
		_ = c.conn.CloseNow()
	case ctx.Err() != nil, errors.Is(cause, errStopping):
		_ = c.conn.Close(websocket.StatusGoingAway, errStopping.Error())
	default:
		_ = c.conn.CloseNow() // it has left
	}
	cut()
	helpers.Wait()
}

// read takes what the client asks for, and returns why it says nothing any more.
func (c *client) read(wire, life context.Context) error {
	c.conn.SetReadLimit(maxAsk)
	for {
		kind, text, err := c.conn.Read(wire)
		if err != nil {
			return err
		}
		asked := ask{problem: "not a text message"}
		if kind == websocket.MessageText {
			asked = c.hub.understand(text)
		}
		select {
		case c.asks <- asked:
		case <-life.Done():
			// On with reading: its farewell is to be heard.
		}
	}
}

// understand reads what a client says.
func (h *Hub) understand(text []byte) ask {
	var wanted struct {
		Subscribe []string `json:"subscribe"`
	}
	if reply.Decode(text, &wanted) != nil || wanted.Subscribe == nil {
		return ask{problem: `not a message such as {"subscribe": ["nodes", "rates"]}`}
	}
	var topics set
next:
	for _, name := range wanted.Subscribe {
		for i, source := range h.sources {
			if source.Topic == name {
				topics |= 1 << i
				continue next
			}
		}
		return ask{problem: fmt.Sprintf("subscribe: %q is no topic: there are %s", name, strings.Join(h.names(h.all()), ", "))}
	}
	return ask{topics: topics}
}

// write sends frames, one in hub.settings.Flush at most, until the life ends, and returns why.
func (c *client) write(wire, life context.Context, helpers *sync.WaitGroup) error {
	ping := time.NewTicker(c.hub.pingEvery)
	defer ping.Stop()
	due := time.NewTimer(0) // when the next frame may be sent
	defer due.Stop()
	ready := false
	for {
		var news <-chan struct{}
		if ready {
			var text []byte
			if text, news = c.hub.nextFor(c); text != nil {
				ready = false
				due.Reset(c.hub.settings.Flush)
				if err := c.send(wire, text); err != nil {
					c.end(err)
					return err
				}
			}
		}
		var asks <-chan ask
		if len(c.notices) == 0 { // a client is heard again once it has been answered: none can pile answers up
			asks = c.asks
		}
		select {
		case <-life.Done():
			return context.Cause(life)
		case <-news:
		case <-due.C:
			ready = true
		case asked := <-asks:
			c.follow(asked)
		case <-ping.C:
			helpers.Go(func() { c.ping(wire) })
		}
	}
}

func (c *client) send(wire context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(wire, c.hub.timeout)
	defer cancel()
	err := c.conn.Write(ctx, websocket.MessageText, text)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errStalled
	}
	return err
}

func (c *client) ping(wire context.Context) {
	ctx, cancel := context.WithTimeout(wire, c.hub.pingEvery/2)
	defer cancel()
	if c.conn.Ping(ctx) != nil && ctx.Err() != nil && wire.Err() == nil {
		c.end(errSilent)
	}
}

// follow does what the client asks.
func (c *client) follow(asked ask) {
	if asked.problem != "" {
		c.notices = append(c.notices, encode(complaint{"error", asked.problem}))
		return
	}
	c.topics, c.behind, c.snapshot = asked.topics, true, nil
}
