// Package memory keeps the gateway from being killed for want of memory: it warns, then gives back what is
// kept, then takes no new work. Nothing of it is on the way of a request but two numbers that it sets.
package memory

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/prometheus"
)

const (
	interval = time.Second
	// relief is how far below its threshold, as a part of it, use has to fall for a level to be left.
	relief = 0.05
	// keptByNode is what caches keep while the node is short: the gateway itself has room.
	keptByNode = 0.25
	// small bodies are not reckoned with one by one.
	small = 64 << 10
	// unknown is reckoned for a body that does not say how long it is.
	unknown = 1 << 20
	// noBound is more than all bodies take.
	noBound = 1 << 62
)

// level is how short memory is.
type level int

const (
	enough level = iota
	warning
	shedding
	refusing
)

var names = []string{"enough", "warning", "shedding", "refusing"}

// Manager watches memory.
type Manager struct {
	settings config.Memory
	system   system
	shed     func(share float64)
	log      *slog.Logger

	container, node level
	failing         bool
	idle            int64 // bytes that were used when no body was claimed

	full    atomic.Bool
	room    atomic.Int64 // for bodies that have not arrived
	claimed atomic.Int64 // by bodies of requests under way

	bytes   *prometheus.GaugeVec
	state   prometheus.Gauge
	refused prometheus.Counter
}

// New returns a manager. shed has caches keep a share of what they may hold.
func New(settings config.Memory, shed func(share float64), m *metrics.Metrics, log *slog.Logger) *Manager {
	g := &Manager{
		settings: settings, system: system{os.DirFS("/")}, shed: shed, log: log,
		bytes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ollamamax_memory_bytes",
			Help: "Memory: container and node are what is used, container_limit and node_limit what there is (0: no limit).",
		}, []string{"kind"}),
		state: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ollamamax_memory_state",
			Help: "0 enough memory, 1 warning, 2 caches are shed, 3 new requests for models are refused.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_memory_refused_total",
			Help: "Requests answered 503 because the gateway had no memory for them.",
		}),
	}
	g.room.Store(noBound) // until use has been read
	m.Register(g.bytes, g.state, g.refused)
	return g
}

// Take claims memory for a request for a model, with a body of length bytes, -1 where that is not known. It is
// refused where there is none. What was claimed is to be given back.
//
// A body counts twice: that is what one takes that is copied, because its answer is shared.
func (g *Manager) Take(length int64) (claimed int64, ok bool) {
	if g.full.Load() {
		g.refused.Inc()
		return 0, false
	}
	if length < 0 {
		length = unknown
	}
	if length <= small {
		return 0, true
	}
	if g.claimed.Add(length) > g.room.Load() {
		g.claimed.Add(-length)
		g.refused.Inc()
		return 0, false
	}
	return length, true
}

// Give gives back what a request has claimed.
func (g *Manager) Give(claimed int64) {
	if claimed > 0 {
		g.claimed.Add(-claimed)
	}
}

// Run watches until ctx ends.
func (g *Manager) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		g.look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look reads how much is used and does what that asks for.
func (g *Manager) look() {
	container, err := g.system.container()
	node, nodeErr := g.system.node()
	if err == nil {
		err = nodeErr
	}
	if err != nil {
		if !g.failing {
			g.log.Warn("use of memory can't be read: nothing is shed or refused", "error", err)
		}
		g.failing, container, node = true, use{}, use{}
	} else {
		g.failing = false
	}
	for kind, bytes := range map[string]int64{
		"container": container.used, "container_limit": container.limit, "node": node.used, "node_limit": node.limit,
	} {
		g.bytes.WithLabelValues(kind).Set(float64(bytes))
	}

	percent := func(share int) int64 { return container.limit / 100 * int64(share) }
	refuse := percent(g.settings.RefusePercent)
	before := max(g.container, g.node)
	g.container = next(g.container, container.used, percent(g.settings.WarnPercent), percent(g.settings.ShedPercent), refuse)
	g.node = next(g.node, node.used, g.settings.NodeWarning, g.settings.NodeCritical, 0)
	switch {
	case g.container >= shedding:
		g.shed(0)
	case g.node >= shedding:
		g.shed(keptByNode)
	}
	g.full.Store(g.container == refusing)
	if refuse > 0 {
		// Of what is left bodies get half: as much again is for their copies, and for what the kernel holds of them on
		// their way. What is claimed may have arrived, and is in what is used then; or not yet, and is in neither.
		claimed := g.claimed.Load()
		if claimed == 0 {
			g.idle = container.used
		}
		g.room.Store(min(refuse-g.idle, refuse-container.used+claimed) / 2)
	} else {
		g.room.Store(noBound)
	}
	now := max(g.container, g.node)
	g.state.Set(float64(now))
	if now == before {
		return
	}
	severity := slog.LevelInfo
	if now > before {
		severity = slog.LevelWarn
	}
	g.log.Log(context.Background(), severity, "memory", "state", names[now], "container_mib", container.used>>20,
		"container_limit_mib", container.limit>>20, "node_mib", node.used>>20)
}

// next is the level after current, of a use with these thresholds; 0 is none.
func next(current level, used int64, thresholds ...int64) level {
	now := enough
	for i, threshold := range thresholds {
		at := level(i + 1)
		if at <= current {
			threshold -= int64(float64(threshold) * relief)
		}
		if threshold > 0 && used >= threshold {
			now = at
		}
	}
	return now
}
