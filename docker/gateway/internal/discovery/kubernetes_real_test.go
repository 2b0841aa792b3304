//go:build kubernetes

package discovery_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/discovery"
)

// place is a namespace of a real API server, as tests/kubernetes/test_discovery.py prepares it.
type place struct {
	discovery.Cluster
	admin string // token of who may do everything there
}

func needed(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: tests/kubernetes/test_discovery.py starts an API server and sets it", name)
	}
	return value
}

func realPlace(t *testing.T) place {
	t.Helper()
	authority, err := os.ReadFile(needed(t, "OLLAMAMAX_TEST_CLUSTER_CA"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return place{discovery.Cluster{
		URL: needed(t, "OLLAMAMAX_TEST_CLUSTER"), Namespace: needed(t, "OLLAMAMAX_TEST_NAMESPACE"), TokenFile: needed(t, "OLLAMAMAX_TEST_TOKEN"),
		Client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
	}, needed(t, "OLLAMAMAX_TEST_ADMIN")}
}

// ask returns what the API server says to the owner of a token.
func (p place) ask(t *testing.T, tokenFile, method, path, body string) (int, string) {
	t.Helper()
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, p.URL+"/api/v1/namespaces/"+p.Namespace+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", map[bool]string{true: "application/merge-patch+json", false: "application/json"}[method == http.MethodPatch])
	response, err := p.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (p place) do(t *testing.T, method, path, body string) {
	t.Helper()
	if status, text := p.ask(t, p.admin, method, path, body); status >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
}

func TestTheWorkersOfARealClusterAreFollowed(t *testing.T) {
	p := realPlace(t)
	source, err := discovery.NewSlices(p.Cluster, []string{"worker:11434"}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan []discovery.Endpoint, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx, func(_ string, endpoints []discovery.Endpoint) { told <- endpoints })
	}()
	defer func() { cancel(); <-done }()
	becomes := func(want string) {
		t.Helper()
		deadline, last := time.After(60*time.Second), ""
		for {
			select {
			case endpoints := <-told:
				states := map[string]string{}
				for _, e := range endpoints {
					states[e.Name] = map[bool]string{true: "leaves", false: "is there"}[e.Leaving]
					if !strings.HasSuffix(e.Address, ":11434") {
						t.Errorf("%s is at %s", e.Name, e.Address)
					}
				}
				if last = fmt.Sprint(states); last == want {
					return
				}
			case <-deadline:
				t.Fatalf("the workers are %s, not %s", last, want)
			}
		}
	}
	becomes("map[]")

	p.do(t, "POST", "/services", `{"metadata":{"name":"worker"},"spec":{"clusterIP":"None","selector":{"app":"worker"},"ports":[{"name":"tcp","port":11434}]}}`)
	add := func(name, address string) {
		p.do(t, "POST", "/pods", fmt.Sprintf(`{"metadata":{"name":%q,"labels":{"app":"worker"}},
			"spec":{"nodeName":%q,"containers":[{"name":"ollama","image":"example.org/ollama"}]}}`, name, needed(t, "OLLAMAMAX_TEST_NODE")))
		p.do(t, "PATCH", "/pods/"+name+"/status", fmt.Sprintf(`{"status":{"phase":"Running","podIP":%[1]q,"podIPs":[{"ip":%[1]q}],
			"conditions":[{"type":"Ready","status":"True"}]}}`, address))
	}
	remove := func(name string, graceS int) {
		p.do(t, "DELETE", "/pods/"+name, fmt.Sprintf(`{"gracePeriodSeconds":%d}`, graceS))
	}
	add("worker-a", "10.9.0.1")
	becomes("map[worker-a:is there]")
	add("worker-b", "10.9.0.2")
	becomes("map[worker-a:is there worker-b:is there]")
	remove("worker-a", 300)
	becomes("map[worker-a:leaves worker-b:is there]")
	remove("worker-a", 0)
	becomes("map[worker-b:is there]")
	remove("worker-b", 0)
	becomes("map[]")

	for _, path := range []string{"/pods", "/secrets", "/services"} {
		if status, text := p.ask(t, p.TokenFile, "GET", path, ""); status != http.StatusForbidden {
			t.Errorf("who follows the workers may read %s: %d %s", path, status, text)
		}
	}
}
