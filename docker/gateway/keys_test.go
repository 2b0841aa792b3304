package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/keys"
)

func TestTheCommandsAboutKeysSayHowTheyAreUsed(t *testing.T) {
	for _, c := range []struct {
		arguments      string
		status         int
		stdout, stderr string // parts
	}{
		{"keys", 2, "", "usage: ollama-distributed keys COMMAND"},
		{"keys --help", 0, "usage: ollama-distributed keys COMMAND", ""},
		{"keys sing", 2, "", `unknown command "keys sing"`},
		{"keys create --help", 0, "--monthly-tokens N", ""},
		{"keys list --help", 0, "--revoked", ""},
		{"keys revoke --help", 0, "usage: ollama-distributed keys revoke ID [OPTION…]", ""},
		{"keys rotate --help", 0, "--grace TIME", ""},
		{"keys create more", 2, "", `unexpected argument "more"`},
		{"keys create --rpm many", 2, "", `invalid value "many" for flag -rpm: it is not a whole number`},
		{"keys create --expires soon", 2, "", `invalid value "soon" for flag -expires: it is neither a time such as 2026-12-31 nor a duration such as 720h`},
		{"keys revoke", 2, "", "keys revoke takes the ID of one key: keys list prints it"},
		{"keys revoke 1 2", 2, "", "keys revoke takes the ID of one key"},
		{"keys rotate ci --json", 2, "", `"ci" is not the ID of a key`},
		{"keys list --config /no/such/file", 1, "", "configuration file: open /no/such/file: no such file or directory"},
		{"keys revoke --json 7 --config /no/such/file", 1, "", "configuration file: open /no/such/file"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(strings.Fields(c.arguments), &stdout, &stderr)
		if status != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%s exits with %d, says %q and %q", c.arguments, status, stdout.String(), stderr.String())
		}
		if (status == 0) != (stderr.Len() == 0) {
			t.Errorf("%s exits with %d and %q on standard error", c.arguments, status, stderr.String())
		}
	}
}

func TestAListOfKeysIsATable(t *testing.T) {
	limit, past := int64(60), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	spec := keys.New()
	spec.Name, spec.RequestsPerMinute, spec.ExpiresAt = "ci", &limit, &past
	var out bytes.Buffer
	if err := (printer{out: &out}).list([]keys.Record{{ID: 7, Spec: spec, Source: keys.Issued}}); err != nil {
		t.Fatal(err)
	}
	want := "ID  NAME  TENANT  SCOPES                 REQUESTS/MIN  TOKENS/MIN  TOKENS/MONTH  PRIORITY  EXPIRES           LAST USED  STATE\n" +
		"7   ci    -       inference,models:read  60            -           -             normal    2025-01-02 03:04  -          expired\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
