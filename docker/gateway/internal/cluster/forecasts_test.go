package cluster

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func forecasts(t *testing.T, forecaster string) (int, string) {
	t.Helper()
	answer := httptest.NewRecorder()
	(&Cluster{forecaster: forecaster}).forecasts(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/cluster/forecasts", nil))
	return answer.Code, answer.Body.String()
}

func TestForecastsAreTheForecastersOwnWords(t *testing.T) {
	said, status := `{"pools":[]}`, http.StatusOK
	forecaster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/forecasts" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(said))
	}))
	defer forecaster.Close()
	if code, text := forecasts(t, forecaster.Listener.Addr().String()); code != http.StatusOK || text != said {
		t.Errorf("%d %s", code, text)
	}
	status = http.StatusInternalServerError
	if code, text := forecasts(t, forecaster.Listener.Addr().String()); code != http.StatusServiceUnavailable || !strings.Contains(text, "does not answer: 500") {
		t.Errorf("%d %s", code, text)
	}
}

func TestWithoutAForecasterThereAreNoForecasts(t *testing.T) {
	if code, text := forecasts(t, ""); code != http.StatusNotFound || !strings.Contains(text, "no forecaster") {
		t.Errorf("%d %s", code, text)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if code, _ := forecasts(t, gone.Listener.Addr().String()); code != http.StatusServiceUnavailable {
		t.Error(code)
	}
}
