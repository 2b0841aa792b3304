package inference_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/scan"
	"ollamamax/gateway/internal/upstream"
)

// nowhere is where no worker is.
type nowhere struct{}

func (nowhere) Run(context.Context, func(string, []discovery.Endpoint)) {}

// atOnce is a shortcut that answers everything with nothing.
type atOnce struct{ model string }

func (s *atOnce) Serve(r *inference.Request, _ scan.Fields, _ inference.Client, _ func(*inference.Request, inference.Client) error) (bool, error) {
	s.model = r.Want.Model
	return true, nil
}

// BenchmarkInfer is what the gateway does between a request's arrival and the search for its answer: without an
// alias, beside a hundred that it does not mean, and with one.
func BenchmarkInfer(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	var none, hundred models.Names
	var records []models.Record
	for i := range 100 {
		name := "alias" + strings.Repeat("x", i)
		records = append(records, models.Record{Spec: models.Spec{Name: name, Targets: []models.Target{
			{Model: "one", Weight: 90}, {Model: "another", Weight: 10},
		}}.Complete()})
	}
	hundred.Set(records)
	for name, c := range map[string]struct {
		names *models.Names
		model string
	}{"no aliases": {&none, "tiny"}, "beside 100": {&hundred, "tiny"}, "an alias": {&hundred, "alias"}} {
		b.Run(name, func(b *testing.B) {
			m := metrics.New("test")
			pool := nodes.NewPool(config.Default().Workers, m, log, nowhere{}, nil)
			s := inference.New(pool, c.names, &atOnce{}, m, log, time.Minute)
			body := []byte(`{"model":"` + c.model + `","messages":[{"role":"user","content":"` + strings.Repeat("a few words ", 8) + `"}]}`)
			x := &exchange.Exchange{}
			r := &inference.Request{Exchange: x, Path: "/api/chat"}
			fields := []byte("Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: benchmark\r\n")
			b.ReportAllocs()
			for b.Loop() {
				r.Request = upstream.Request{Fields: fields, Body: body}
				if err := s.Infer(r, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
