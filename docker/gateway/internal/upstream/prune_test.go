package upstream

import (
	"net"
	"testing"
	"time"
)

func TestAConnectionThatIsIdleForTooLongIsClosed(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	pool := NewPool(listener.Addr().String(), time.Second)
	defer pool.Close()
	var conns [2]*Conn
	for i := range conns {
		if conns[i], err = pool.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range conns {
		pool.put(conn)
	}
	conns[0].idleSince = time.Now().Add(-idleTimeout)
	pool.prune()
	if pool.Idle() != 1 || pool.idle[0] != conns[1] || !pool.pruning {
		t.Fatalf("%d connections are left, and another prune is due: %v", pool.Idle(), pool.pruning)
	}
	if conns[0].tcp.SetDeadline(time.Now()) == nil {
		t.Error("the old one is open")
	}
	conns[1].idleSince = time.Now().Add(-idleTimeout)
	pool.prune()
	if pool.Idle() != 0 || pool.pruning {
		t.Errorf("%d connections are left, and another prune is due: %v", pool.Idle(), pool.pruning)
	}
}
