package exchange

import (
	"net/http"

	"ollamamax/gateway/internal/reply"
)

// DatabaseAway answers a request for which the database had to be asked in vain.
func DatabaseAway(w http.ResponseWriter, r *http.Request, err error) {
	From(r.Context()).Cause = err
	reply.Error(w, r, http.StatusServiceUnavailable, "the database does not answer")
}
