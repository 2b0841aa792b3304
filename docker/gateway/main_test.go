package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTheCommandLine(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(empty, []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments      []string
		status         int
		stdout, stderr string
	}{
		{[]string{"version"}, 0, "dev\n", ""},
		{nil, 2, "", "usage: ollama-distributed COMMAND"},
		{[]string{"sing"}, 2, "", `unknown command "sing"`},
		{[]string{"version", "more"}, 2, "", `unexpected argument "more"`},
		{[]string{"serve", "--loud"}, 2, "", "flag provided but not defined: -loud"},
		{[]string{"check-config", "--config", "/no/such/file"}, 1, "", "configuration file: open /no/such/file: no such file or directory"},
		{[]string{"check-config", "--config", empty}, 1, "", "nonsense: unknown setting (line 1)"},
		{[]string{"check-config", "--config", empty}, 1, "", "database.host: is missing"},
		{[]string{"serve", "--config", empty}, 1, "", "redis.passwordFile: is missing"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(c.arguments, &stdout, &stderr)
		if status != c.status || stdout.String() != c.stdout || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%v exits with %d, says %q and %q", c.arguments, status, stdout.String(), stderr.String())
		}
	}
}

func TestAHangupDoesNotEndAGateway(t *testing.T) {
	defer signal.Reset(syscall.SIGHUP)
	if status := run([]string{"serve", "--config", "/no/such/file"}, io.Discard, io.Discard); status != 1 {
		t.Fatalf("serve exits with %d", status)
	}
	if !signal.Ignored(syscall.SIGHUP) {
		t.Error("SIGHUP ends serve, and all that is under way")
	}
}

func TestAGatewayThatWaitsForItsWorkersLives(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			http.Error(w, "no worker has been healthy yet", http.StatusServiceUnavailable)
		}
	}))
	defer admin.Close()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	text := fmt.Sprintf("adminListen: %q\nworkers: {hosts: [worker:11434]}\ndatabase: {host: pool, passwordFile: /s/a}\n"+
		"redis: {address: cache:6379, passwordFile: /s/b}\n", admin.Listener.Addr().String())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments []string
		status    int
		stderr    string
	}{
		{[]string{"healthcheck", "--config", path}, 1, "503 Service Unavailable: no worker has been healthy yet"},
		{[]string{"healthcheck", "--live", "--config", path}, 0, ""},
	} {
		var stdout, stderr bytes.Buffer
		status := run(c.arguments, &stdout, &stderr)
		if status != c.status || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%v exits with %d and says %q", c.arguments, status, stderr.String())
		}
	}
}
