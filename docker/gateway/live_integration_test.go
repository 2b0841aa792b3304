//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ollamamax/gateway/internal/auth"
)

func TestWhoFollowsAGatewayIsTurnedOutWhenAnotherRevokesTheKey(t *testing.T) {
	one, two, database, redis := pair(t)
	key := one.key(t, "--scopes", "nodes")
	two.gets(t, key.Secret, 200)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	page, _, err := websocket.Dial(ctx, two.url+"/ws", &websocket.DialOptions{Subprotocols: []string{auth.LiveProtocol, "bearer." + key.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = page.CloseNow() }()
	if _, text, err := page.Read(ctx); err != nil || len(text) < 2 {
		t.Fatalf("%q, %v", text, err)
	}
	if status, text := ask(t, firstKey, "DELETE", one.url+"/api/v1/keys/"+strconv.FormatInt(key.Key.ID, 10), ""); status != 200 {
		t.Fatalf("revoke: %d %s", status, text)
	}
	revoked := time.Now()
	for err == nil {
		_, _, err = page.Read(ctx)
	}
	if took := time.Since(revoked); websocket.CloseStatus(err) != websocket.StatusPolicyViolation || took > 2*time.Second {
		t.Errorf("%v, after %s", err, took)
	}
	// The cluster is summed up from memory: nobody else is asked, and so nobody is waited for.
	state := func() (c struct {
		Gateways        int
		Database, Redis bool
		Nodes           struct{ Total, Taking int }
	}) {
		asked := time.Now()
		status, text := ask(t, firstKey, "GET", two.url+"/api/v1/cluster", "")
		if err := json.Unmarshal([]byte(text), &c); err != nil || status != 200 || time.Since(asked) > time.Second {
			t.Fatalf("%d %s, %v after %s", status, text, err, time.Since(asked))
		}
		return c
	}
	settles := func(what string, up bool) {
		within(t, what, func() error {
			if c := state(); c.Gateways != 2 || c.Database != up || c.Redis != up || c.Nodes.Total != len(two.workers) || c.Nodes.Taking != c.Nodes.Total {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
	}
	settles("all is there", true)
	database.Pull()
	redis.Pull()
	settles("database and Redis are away", false)
}
