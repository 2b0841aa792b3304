package metrics

import "ollamamax/gateway/internal/prometheus"

// Live is what is counted of the clients that follow what goes on.
type Live struct {
	Dropped, Refused, Stalled prometheus.Counter
}

// NewLive registers it. clients says how many there are.
func (m *Metrics) NewLive(clients func() float64) Live {
	m.Func("live_clients", "Clients that are connected to /ws.", clients)
	l := Live{
		Dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_live_dropped_total",
			Help: "Messages that clients of /ws were not sent because they were too slow.",
		}),
		Refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_live_refused_total",
			Help: "Clients that were refused because live.clients were there already.",
		}),
		Stalled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_live_stalled_total",
			Help: "Clients whose connection was closed because they took nothing in, or answered no ping.",
		}),
	}
	m.registry.Register(l.Dropped, l.Refused, l.Stalled)
	return l
}
