package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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
