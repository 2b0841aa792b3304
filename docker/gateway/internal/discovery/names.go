package discovery

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ollamamax/gateway/internal/config"
)

// Resolver looks up the addresses of a host name.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Names finds workers by name: each of a name's addresses is one.
type Names struct {
	hosts    []string        // as name:port
	empty    map[string]bool // hosts that may have no worker
	interval time.Duration
	resolver Resolver
	log      *slog.Logger
}

// NewNames returns a source that looks every host up in each interval. One whose workers are started when they are
// asked for has none once its name has no address.
func NewNames(settings config.Workers, resolver Resolver, log *slog.Logger) *Names {
	n := &Names{hosts: settings.Hosts, empty: map[string]bool{}, interval: settings.ResolveInterval, resolver: resolver, log: log}
	for _, limit := range settings.Limits {
		n.empty[limit.Host] = limit.ColdStart > 0
	}
	return n
}

// Run implements Source.
func (n *Names) Run(ctx context.Context, update func(host string, endpoints []Endpoint)) {
	tick := time.NewTicker(n.interval)
	defer tick.Stop()
	for {
		n.resolve(ctx, update)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// resolve looks every name up, all at once. A name that can't be resolved keeps its addresses: a stopped
// container has no name in Docker's DNS, and a broken DNS server says nothing about workers. Only where none may be
// there is no address taken for none: another pod can have it by then.
func (n *Names) resolve(ctx context.Context, update func(host string, endpoints []Endpoint)) {
	ctx, cancel := context.WithTimeout(ctx, n.interval)
	defer cancel()
	var wait sync.WaitGroup
	for _, host := range n.hosts {
		wait.Go(func() {
			addresses, err := n.lookup(ctx, host)
			if n.empty[host] && unknown(err) {
				update(host, nil)
				return
			}
			if err != nil {
				n.log.Debug("worker name not resolved", "host", host, "error", err)
				return
			}
			endpoints := make([]Endpoint, 0, len(addresses))
			for _, address := range addresses {
				endpoints = append(endpoints, Endpoint{Name: nodeName(host, address, len(addresses), n.hosts), Address: address})
			}
			if len(endpoints) > 0 {
				update(host, endpoints)
			}
		})
	}
	wait.Wait()
}

func (n *Names) lookup(ctx context.Context, hostPort string) ([]string, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	// One family only: a dual-stack worker is one node, not two.
	found, four := n.resolver.LookupNetIP(ctx, "ip4", host)
	if four != nil || len(found) == 0 {
		if found, err = n.resolver.LookupNetIP(ctx, "ip6", host); err != nil {
			if four != nil && !unknown(four) {
				return nil, four // that the other family has no address does not tell whether this one has
			}
			return nil, err
		}
	}
	addresses := make([]string, 0, len(found))
	for _, ip := range found {
		addresses = append(addresses, net.JoinHostPort(ip.Unmap().String(), port))
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), nil
}

// unknown tells whether a DNS server said that a name has no address.
func unknown(err error) bool {
	var said *net.DNSError
	return errors.As(err, &said) && said.IsNotFound
}

// nodeName is the host's name where it stands for one worker, name/ip where it stands for several, and
// has the port too where another configured host differs by its port alone.
func nodeName(hostPort, address string, siblings int, configured []string) string {
	host, port, _ := net.SplitHostPort(hostPort)
	name := host
	if siblings > 1 {
		ip, _, _ := net.SplitHostPort(address)
		name += "/" + ip
	}
	for _, other := range configured {
		if otherHost, _, _ := net.SplitHostPort(other); otherHost == host && other != hostPort {
			return name + ":" + port
		}
	}
	return name
}
