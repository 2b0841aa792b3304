package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/store"
)

// defaultSince is how far back metrics go where the request does not say.
const defaultSince = time.Hour

func (a *API) getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	model, err := a.database.GetModel(r.Context(), modelname.Short(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		reply.Error(w, r, http.StatusNotFound, fmt.Sprintf("model '%s' not found", id))
	case err != nil:
		exchange.DatabaseAway(w, r, err)
	default:
		reply.JSON(w, http.StatusOK, model)
	}
}

func (a *API) getMetrics(w http.ResponseWriter, r *http.Request) {
	since := time.Now().Add(-defaultSince)
	if text := r.URL.Query().Get("since"); text != "" {
		ago, durationErr := time.ParseDuration(text)
		at, timeErr := time.Parse(time.RFC3339, text)
		switch {
		case durationErr == nil && ago >= 0:
			since = time.Now().Add(-ago)
		case timeErr == nil:
			since = at
		default:
			reply.Error(w, r, http.StatusBadRequest, fmt.Sprintf("since: %q is neither a duration such as 15m nor a time such as 2026-01-02T15:04:05Z", text))
			return
		}
	}
	samples, err := a.database.GetMetrics(r.Context(), since)
	if err != nil {
		exchange.DatabaseAway(w, r, err)
		return
	}
	if samples == nil {
		samples = []store.Sample{}
	}
	reply.JSON(w, http.StatusOK, map[string]any{"since": since.UTC(), "metrics": samples})
}

func byteCount(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }
