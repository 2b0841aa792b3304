// Package discovery finds the workers: by their names, or from Kubernetes. What it finds are addresses;
// whether anything answers there is for others to ask.
package discovery

import "context"

// Endpoint is one worker.
type Endpoint struct {
	Name    string // as metrics and headers call it
	Address string // ip:port
	Leaving bool   // finishes what it has and takes nothing new
}

// Source knows the endpoints of the configured hosts.
type Source interface {
	// Run calls update with all endpoints of a host, sorted by address, each time it has learned them, until
	// ctx ends. A host of which nothing was learned is not updated.
	Run(ctx context.Context, update func(host string, endpoints []Endpoint))
}
