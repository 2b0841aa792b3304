package discovery_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
)

// apiServer answers lists and watches of EndpointSlices as it is told.
type apiServer struct {
	mu       sync.Mutex
	requests []string    // the queries, without the parts that all have
	token    string      // the one that is good
	list     string      // items
	version  int         // of the list
	watches  chan string // what the next watches say; closed watches end at once
	status   int         // of all answers, unless 0
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	a.mu.Lock()
	status, list, version, token := a.status, a.list, a.version, a.token
	if r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/platform/endpointslices" ||
		query.Get("labelSelector") != "kubernetes.io/service-name in (worker-large,worker-small)" {
		status = http.StatusNotFound
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		status = http.StatusUnauthorized
	}
	a.requests = append(a.requests, fmt.Sprintf("%d watch=%s from=%s", status, query.Get("watch"), query.Get("resourceVersion")))
	a.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","code":%d,"message":"as it was told"}`, status)
		return
	}
	if query.Get("watch") == "" {
		_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"%d"},"items":[%s]}`, version, list)
		return
	}
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case event, more := <-a.watches:
			if !more || event == "" {
				return
			}
			_, _ = fmt.Fprintln(w, event)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (a *apiServer) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *apiServer) seen() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.requests, "; ")
}

// slice is an EndpointSlice with one port.
func slice(name, service, version, family string, endpoints ...string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"resourceVersion":%q,"labels":{"kubernetes.io/service-name":%q}},"addressType":%q,"endpoints":[%s],"ports":[{"port":11434}]}`,
		name, version, service, family, strings.Join(endpoints, ","))
}

func endpoint(pod, address, conditions string) string {
	return fmt.Sprintf(`{"addresses":[%q],"conditions":{%s},"targetRef":{"kind":"Pod","name":%q}}`, address, conditions, pod)
}

const (
	ready    = `"ready":true,"serving":true,"terminating":false`
	starting = `"ready":false,"serving":false,"terminating":false`
	ending   = `"ready":false,"serving":true,"terminating":true`
	ended    = `"ready":false,"serving":false,"terminating":true`
)

func event(kind, object string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, object)
}

// found is what a source has told last, as text.
type found struct {
	mu    sync.Mutex
	hosts map[string]string
}

func (f *found) update(host string, endpoints []discovery.Endpoint) {
	text := ""
	for _, e := range endpoints {
		text += e.Name + "=" + e.Address + map[bool]string{true: " leaves"}[e.Leaving] + " "
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts[host] = strings.TrimSpace(text)
}

func (f *found) eventually(t *testing.T, host, want string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		f.mu.Lock()
		got, told := f.hosts[host]
		f.mu.Unlock()
		if told && got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %q (told: %v), not %q", host, got, told, want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// follow runs a source on a server until the test ends.
func follow(t *testing.T, a *apiServer) (f *found, token string, log *lines) {
	t.Helper()
	a.token, a.version = "first", 7
	server := httptest.NewServer(a)
	token = filepath.Join(t.TempDir(), "token")
	write(t, token, "first\n")
	log = &lines{}
	cluster := discovery.Cluster{URL: server.URL, Namespace: "platform", TokenFile: token, Client: server.Client()}
	source, err := discovery.NewSlices(cluster, []string{"worker-large:11434", "worker-small:11434"}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	f = &found{hosts: map[string]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); source.Run(ctx, f.update) }()
	t.Cleanup(func() { cancel(); <-done; server.CloseClientConnections(); server.Close() })
	return f, token, log
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPodsAreFoundByTheirNamesAndFollowedAsTheyComeAndGo(t *testing.T) {
	a := &apiServer{watches: make(chan string)}
	a.list = slice("large-1", "worker-large", "5", "IPv4", endpoint("large-a", "10.0.0.1", ready), endpoint("large-b", "10.0.0.2", starting)) +
		"," + slice("large-2", "worker-large", "6", "IPv4", endpoint("large-c", "10.0.0.3", ""))
	f, _, _ := follow(t, a)
	f.eventually(t, "worker-large:11434", "large-a=10.0.0.1:11434 large-c=10.0.0.3:11434")
	f.eventually(t, "worker-small:11434", "")

	a.watches <- event("MODIFIED", slice("large-1", "worker-large", "8", "IPv4", endpoint("large-a", "10.0.0.1", ending), endpoint("large-b", "10.0.0.2", ready)))
	f.eventually(t, "worker-large:11434", "large-a=10.0.0.1:11434 leaves large-b=10.0.0.2:11434 large-c=10.0.0.3:11434")
	a.watches <- event("ADDED", slice("small-1", "worker-small", "9", "IPv4", endpoint("small-a", "10.0.1.1", ready)))
	f.eventually(t, "worker-small:11434", "small-a=10.0.1.1:11434")
	a.watches <- event("MODIFIED", slice("large-1", "worker-large", "10", "IPv4", endpoint("large-a", "10.0.0.1", ended), endpoint("large-b", "10.0.0.2", ready)))
	a.watches <- event("DELETED", slice("large-2", "worker-large", "11", "IPv4"))
	f.eventually(t, "worker-large:11434", "large-b=10.0.0.2:11434")
}

func TestAPodWithTwoFamiliesIsOneWorkerAndAnotherPortThanTheServicesIsThePods(t *testing.T) {
	v6 := strings.Replace(slice("six", "worker-large", "5", "IPv6", endpoint("large-a", "fd00::1", ready)), "11434", "8000", 1)
	v4 := strings.Replace(slice("four", "worker-large", "5", "IPv4", endpoint("large-a", "10.0.0.1", ready)), "11434", "8000", 1)
	names := slice("names", "worker-large", "5", "FQDN", endpoint("elsewhere", "example.org", ready))
	only6 := slice("small", "worker-small", "5", "IPv6", endpoint("small-a", "fd00::2", ready))
	a := &apiServer{watches: make(chan string), list: v6 + "," + v4 + "," + names + "," + only6}
	f, _, _ := follow(t, a)
	f.eventually(t, "worker-large:11434", "large-a=10.0.0.1:8000")
	f.eventually(t, "worker-small:11434", "small-a=[fd00::2]:11434")
}

func TestAWatchGoesOnWhereTheLastOneEndedAndWhatIsTooOldIsListedAnew(t *testing.T) {
	a := &apiServer{watches: make(chan string), list: slice("large-1", "worker-large", "5", "IPv4", endpoint("large-a", "10.0.0.1", ready))}
	f, _, _ := follow(t, a)
	f.eventually(t, "worker-large:11434", "large-a=10.0.0.1:11434")
	a.watches <- event("BOOKMARK", `{"metadata":{"resourceVersion":"20"}}`)
	a.watches <- "" // the API server ends the watch
	a.watches <- event("MODIFIED", slice("large-1", "worker-large", "21", "IPv4", endpoint("large-b", "10.0.0.2", ready)))
	f.eventually(t, "worker-large:11434", "large-b=10.0.0.2:11434")
	if seen := a.seen(); seen != "0 watch= from=; 0 watch=true from=7; 0 watch=true from=20" {
		t.Errorf("the API server was asked: %s", seen)
	}
	a.set(func() {
		a.list, a.version = slice("large-9", "worker-large", "90", "IPv4", endpoint("large-z", "10.0.0.9", ready)), 91
	})
	a.watches <- event("ERROR", `{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}`)
	f.eventually(t, "worker-large:11434", "large-z=10.0.0.9:11434")
	a.watches <- event("BOOKMARK", `{"metadata":{"resourceVersion":"92"}}`) // the new watch is there
	if seen := a.seen(); !strings.HasSuffix(seen, "; 0 watch= from=; 0 watch=true from=91") {
		t.Errorf("the API server was asked: %s", seen)
	}
}

func TestWhatIsKnownStaysWhileTheAPIServerIsAwayAndATokenThatChangedIsUsed(t *testing.T) {
	a := &apiServer{watches: make(chan string), list: slice("large-1", "worker-large", "5", "IPv4", endpoint("large-a", "10.0.0.1", ready))}
	f, token, log := follow(t, a)
	f.eventually(t, "worker-large:11434", "large-a=10.0.0.1:11434")
	a.watches <- event("BOOKMARK", `{"metadata":{"resourceVersion":"7"}}`) // the watch is there, and can end
	a.set(func() { a.status = http.StatusServiceUnavailable })
	a.watches <- ""
	eventually.True(t, "the API server is asked in vain", func() bool { return strings.Count(a.seen(), "503 watch=true from=7") >= 2 })
	f.eventually(t, "worker-large:11434", "large-a=10.0.0.1:11434")

	a.set(func() { a.status, a.token = 0, "second" })
	eventually.True(t, "the old token is refused", func() bool { return strings.Contains(a.seen(), "401 ") })
	write(t, token, "second\n")
	a.watches <- event("MODIFIED", slice("large-1", "worker-large", "8", "IPv4", endpoint("large-b", "10.0.0.2", ready)))
	f.eventually(t, "worker-large:11434", "large-b=10.0.0.2:11434")
	if text := log.String(); !strings.Contains(text, "the API server refuses: 503 as it was told") {
		t.Errorf("the log says %s", text)
	}
}

func TestHostsThatAreNoServicesOfTheNamespaceAreRefused(t *testing.T) {
	cluster := discovery.Cluster{Namespace: "platform"}
	for want, hosts := range map[string][]string{
		`workers.hosts: "worker.other.svc:11434" is not the name of a service of the namespace platform`: {"worker.other.svc:11434"},
		`workers.hosts: "worker:1" and "worker:2" are one service: list one of its ports`:                {"worker:1", "worker:2"},
	} {
		if _, err := discovery.NewSlices(cluster, hosts, slog.New(slog.DiscardHandler)); err == nil || err.Error() != want {
			t.Errorf("%v: %v", hosts, err)
		}
	}
}

func TestOutsideAClusterThereIsNoneToAsk(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := discovery.InCluster(); err == nil || !strings.Contains(err.Error(), "use dns elsewhere") {
		t.Error(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	if _, err := discovery.InCluster(); err == nil || !strings.Contains(err.Error(), "automountServiceAccountToken") {
		t.Error(err)
	}
}
