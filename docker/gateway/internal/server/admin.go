package server

import (
	"net/http"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/reply"
)

// Readiness is one condition for taking traffic.
type Readiness struct {
	Missing string // what to say while it does not hold
	Holds   func() bool
}

// Once returns a condition that holds for good from the first time on that it is asked for while another one holds.
func Once(holds func() bool) func() bool {
	var held atomic.Bool
	return func() bool {
		if !held.Load() && holds() {
			held.Store(true)
		}
		return held.Load()
	}
}

// NewAdmin returns the server of /metrics, /livez and /readyz.
func NewAdmin(metrics http.Handler, conditions []Readiness) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		reply.JSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		missing := []string{}
		for _, condition := range conditions {
			if !condition.Holds() {
				missing = append(missing, condition.Missing)
			}
		}
		if len(missing) > 0 {
			reply.JSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "missing": missing})
			return
		}
		reply.JSON(w, http.StatusOK, map[string]any{"status": "ready", "missing": missing})
	})
	return &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8192,
	}
}
