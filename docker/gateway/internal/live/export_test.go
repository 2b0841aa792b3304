package live

import "time"

// PingEvery has clients pinged sooner than anybody would wait for.
func (h *Hub) PingEvery(d time.Duration) { h.pingEvery = d }
