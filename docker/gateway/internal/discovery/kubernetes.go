package discovery

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	// serviceLabel is on every slice: the service whose endpoints it has.
	serviceLabel = "kubernetes.io/service-name"
	// watchFor is how long the API server keeps one watch open. A token is good for longer.
	watchFor = 5 * time.Minute
	// watchMargin is how much longer a watch may take before it counts as dead.
	watchMargin = 30 * time.Second
	listTimeout = 10 * time.Second
	firstDelay  = 200 * time.Millisecond // before another try
	longDelay   = 5 * time.Second
	maxList     = 64 << 20
)

// errGone means that the API server no longer knows where a watch left off: everything is to be listed anew.
var errGone = errors.New("the watch is too old")

// Cluster is how the API server is reached.
type Cluster struct {
	URL       string
	Namespace string
	TokenFile string // read for each request: the kubelet changes it
	Client    *http.Client
}

// InCluster returns the cluster that this process is a pod of.
func InCluster() (Cluster, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return Cluster{}, errors.New("workers.discovery: kubernetes needs KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which every pod has: use dns elsewhere")
	}
	namespace, err := os.ReadFile(accountDir + "/namespace")
	if err != nil {
		return Cluster{}, fmt.Errorf("workers.discovery: kubernetes needs the token of a service account (automountServiceAccountToken): %w", err)
	}
	authority, err := os.ReadFile(accountDir + "/ca.crt")
	if err != nil {
		return Cluster{}, fmt.Errorf("workers.discovery: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return Cluster{}, fmt.Errorf("workers.discovery: %s/ca.crt holds no certificate in PEM form", accountDir)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:     (&net.Dialer{Timeout: listTimeout, KeepAlive: 15 * time.Second}).DialContext,
	}
	return Cluster{
		URL: "https://" + net.JoinHostPort(host, port), Namespace: strings.TrimSpace(string(namespace)),
		TokenFile: accountDir + "/token", Client: &http.Client{Transport: transport},
	}, nil
}

// Slices finds workers by the EndpointSlices of their services: as soon as the API server knows that a pod is
// ready, or that it ends, and by the pods' own names.
type Slices struct {
	cluster Cluster
	hosts   map[string]string // service → host, as configured
	ports   map[string]int    // service → port
	log     *slog.Logger

	slices map[string]slice // by name
}

// NewSlices returns a source that follows the services that hosts, as service:port, name.
func NewSlices(cluster Cluster, hosts []string, log *slog.Logger) (*Slices, error) {
	s := &Slices{cluster: cluster, hosts: map[string]string{}, ports: map[string]int{}, log: log}
	for _, host := range hosts {
		service, text, err := net.SplitHostPort(host)
		if err != nil {
			return nil, err
		}
		if strings.Contains(service, ".") {
			return nil, fmt.Errorf("workers.hosts: %q is not the name of a service of the namespace %s", host, cluster.Namespace)
		}
		if other, twice := s.hosts[service]; twice {
			return nil, fmt.Errorf("workers.hosts: %q and %q are one service: list one of its ports", other, host)
		}
		s.hosts[service] = host
		if s.ports[service], err = strconv.Atoi(text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// slice is what is read of an EndpointSlice.
type slice struct {
	Metadata struct {
		Name            string            `json:"name"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
	} `json:"metadata"`
	AddressType string `json:"addressType"`
	Endpoints   []struct {
		Addresses  []string `json:"addresses"`
		Conditions struct {
			Ready       *bool `json:"ready"`
			Serving     *bool `json:"serving"`
			Terminating *bool `json:"terminating"`
		} `json:"conditions"`
		TargetRef *struct {
			Name string `json:"name"`
		} `json:"targetRef"`
	} `json:"endpoints"`
	Ports []struct {
		Port *int `json:"port"`
	} `json:"ports"`
}

// Run implements Source: it lists, then watches from where the list ended. While the API server is away what
// was known last holds.
func (s *Slices) Run(ctx context.Context, update func(host string, endpoints []Endpoint)) {
	delay := firstDelay
	version := ""
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if version == "" {
			version, err = s.list(ctx, update)
		}
		if err == nil {
			version, err = s.watch(ctx, version, update)
		}
		if errors.Is(err, errGone) {
			version = ""
		} else if err != nil && ctx.Err() == nil {
			s.log.Warn("workers not followed: those known stay", "error", err)
		}
		if time.Since(began) > longDelay {
			delay = firstDelay
			if err == nil {
				continue // the API server ended the watch in its time
			}
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		delay = min(2*delay, longDelay)
	}
}

// list reads all slices and returns the version from which on to watch.
func (s *Slices) list(ctx context.Context, update func(host string, endpoints []Endpoint)) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	body, err := s.get(ctx, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []slice `json:"items"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxList)).Decode(&list); err != nil {
		return "", fmt.Errorf("the list of EndpointSlices: %w", err)
	}
	s.slices = map[string]slice{}
	for _, one := range list.Items {
		s.slices[one.Metadata.Name] = one
	}
	for service := range s.hosts {
		s.tell(service, update)
	}
	return list.Metadata.ResourceVersion, nil
}

// watch follows changes after a version until the API server ends it. It returns the version to go on from,
// which is empty where everything is to be listed anew.
func (s *Slices) watch(ctx context.Context, version string, update func(host string, endpoints []Endpoint)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, watchFor+watchMargin)
	defer cancel()
	body, err := s.get(ctx, url.Values{
		"watch": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {version},
		"timeoutSeconds": {strconv.Itoa(int(watchFor.Seconds()))},
	})
	if err != nil {
		return version, err
	}
	defer func() { _ = body.Close() }()
	events := json.NewDecoder(body)
	for {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := events.Decode(&event); errors.Is(err, io.EOF) {
			return version, nil
		} else if err != nil {
			return version, fmt.Errorf("the watch of EndpointSlices: %w", err)
		}
		if event.Type == "ERROR" {
			return "", refusal(event.Object)
		}
		var changed slice
		if err := json.Unmarshal(event.Object, &changed); err != nil {
			return "", fmt.Errorf("the watch of EndpointSlices: %w", err)
		}
		version = changed.Metadata.ResourceVersion
		switch event.Type {
		case "ADDED", "MODIFIED":
			s.slices[changed.Metadata.Name] = changed
		case "DELETED":
			delete(s.slices, changed.Metadata.Name)
		default: // a bookmark tells the version alone
			continue
		}
		s.tell(changed.Metadata.Labels[serviceLabel], update)
	}
}

// refusal reads a status object.
func refusal(text []byte) error {
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return fmt.Errorf("the API server refuses: %.200s", text)
	}
	if status.Code == http.StatusGone {
		return errGone
	}
	return fmt.Errorf("the API server refuses: %d %s", status.Code, status.Message)
}

// get asks for the slices of all services.
func (s *Slices) get(ctx context.Context, parameters url.Values) (io.ReadCloser, error) {
	query := url.Values{"labelSelector": {serviceLabel + " in (" + strings.Join(s.services(), ",") + ")"}}
	for name, values := range parameters {
		query[name] = values
	}
	address := fmt.Sprintf("%s/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?%s", s.cluster.URL, s.cluster.Namespace, query.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(s.cluster.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("the service account's token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	response, err := s.cluster.Client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusGone {
		return nil, errGone
	}
	return nil, refusal(text)
}

func (s *Slices) services() []string {
	names := make([]string, 0, len(s.hosts))
	for service := range s.hosts {
		names = append(names, service)
	}
	slices.Sort(names)
	return names
}

// tell passes on all endpoints of a service: those that are ready, and those that end and still serve.
func (s *Slices) tell(service string, update func(host string, endpoints []Endpoint)) {
	host, known := s.hosts[service]
	if !known {
		return
	}
	found := map[string]Endpoint{} // by name: a pod with two families has two slices, and is one worker
	for _, one := range s.slices {
		if one.Metadata.Labels[serviceLabel] != service || (one.AddressType != "IPv4" && one.AddressType != "IPv6") {
			continue
		}
		port := one.port(s.ports[service])
		for _, e := range one.Endpoints {
			ready, terminating := e.Conditions.Ready == nil || *e.Conditions.Ready, e.Conditions.Terminating != nil && *e.Conditions.Terminating
			serving := ready
			if e.Conditions.Serving != nil {
				serving = *e.Conditions.Serving
			}
			if len(e.Addresses) == 0 || !serving || (!ready && !terminating) {
				continue
			}
			endpoint := Endpoint{Name: e.Addresses[0], Address: net.JoinHostPort(e.Addresses[0], strconv.Itoa(port)), Leaving: terminating}
			if e.TargetRef != nil && e.TargetRef.Name != "" {
				endpoint.Name = e.TargetRef.Name
			}
			if _, twice := found[endpoint.Name]; !twice || one.AddressType == "IPv4" {
				found[endpoint.Name] = endpoint
			}
		}
	}
	endpoints := make([]Endpoint, 0, len(found))
	for _, endpoint := range found {
		endpoints = append(endpoints, endpoint)
	}
	slices.SortFunc(endpoints, func(a, b Endpoint) int { return cmp.Compare(a.Address, b.Address) })
	update(host, endpoints)
}

// port is the pods' port: the configured one, unless the service has but one, which is another.
func (s *slice) port(configured int) int {
	if len(s.Ports) == 1 && s.Ports[0].Port != nil {
		return *s.Ports[0].Port
	}
	return configured
}
