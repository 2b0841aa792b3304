package cluster

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"ollamamax/gateway/internal/reply"
)

// maxForecasts is more than an hour of the pools that a stack may have, bytes.
const maxForecasts = 8 << 20

var toForecaster = http.Client{Timeout: 3 * time.Second}

// forecasts passes on what the forecaster says. It is of no gateway's making, and the same at all of them.
func (c *Cluster) forecasts(w http.ResponseWriter, r *http.Request) {
	if c.forecaster == "" {
		reply.Error(w, r, http.StatusNotFound, "this stack has no forecaster")
		return
	}
	text, err := c.forecast(r)
	if err != nil {
		reply.Error(w, r, http.StatusServiceUnavailable, "the forecaster does not answer: "+err.Error())
		return
	}
	reply.Bytes(w, http.StatusOK, text)
}

func (c *Cluster) forecast(r *http.Request) ([]byte, error) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+c.forecaster+"/forecasts", nil)
	if err != nil {
		return nil, err
	}
	answer, err := toForecaster.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // nothing is to be had of it any more
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxForecasts))
}
