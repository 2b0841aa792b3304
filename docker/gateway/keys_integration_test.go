//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ollamamax/gateway/internal/realparts"
)

const (
	serveVariable = "OLLAMAMAX_TEST_SERVE"
	flushInterval = time.Second     // as place.write sets it
	keyRefresh    = 2 * time.Second // too
)

// TestMain makes this binary a gateway where a test starts it as one.
func TestMain(m *testing.M) {
	if path := os.Getenv(serveVariable); path != "" {
		os.Exit(run([]string{"serve", "--config", path}, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// start runs a gateway as a process of its own until the test ends.
func (p place) start(t *testing.T) *exec.Cmd {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), serveVariable+"="+p.serving)
	var output bytes.Buffer
	process.Stdout, process.Stderr = &output, &output
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill() // it may have ended
		_ = process.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", p.name, output.String())
		}
	})
	within(t, p.name+" is ready", func() error {
		var text bytes.Buffer
		if status := run([]string{"healthcheck", "--config", p.serving}, io.Discard, &text); status != 0 {
			return errors.New(text.String())
		}
		return nil
	})
	return process
}

// made is a key as the command line prints it.
type made struct {
	Key    struct{ ID int64 }
	Secret string
}

// keys runs a command about keys, which must succeed.
func (p place) keys(t *testing.T, arguments ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	arguments = append(append([]string{"keys"}, arguments...), "--config", p.serving)
	if status := run(arguments, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("%v exits with %d: %s", arguments, status, stderr.String())
	}
	return stdout.String()
}

// key makes a key by the command line.
func (p place) key(t *testing.T, options ...string) made {
	t.Helper()
	var m made
	if err := json.Unmarshal([]byte(p.keys(t, append([]string{"create", "--json", "--name", t.Name()}, options...)...)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// status asks a route that any key may ask and needs no worker's slot.
func (p place) status(t *testing.T, key string) int {
	t.Helper()
	status, _ := ask(t, key, "GET", p.url+"/api/version", "")
	return status
}

// requests returns how many requests of a key the database knows of.
func (p place) requests(t *testing.T, id int64) int64 {
	t.Helper()
	status, text := ask(t, firstKey, "GET", fmt.Sprintf("%s/api/v1/usage?group_by=key&key=%d", p.url, id), "")
	var answer struct{ Usage []struct{ Requests int64 } }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 200 {
		t.Fatalf("usage: %d %s", status, text)
	}
	if len(answer.Usage) == 0 {
		return 0
	}
	return answer.Usage[0].Requests
}

// gets waits until a key gets a status from a gateway and returns how long that took.
func (p place) gets(t *testing.T, key string, want int) time.Duration {
	t.Helper()
	began := time.Now()
	within(t, fmt.Sprintf("%s answers %d", p.name, want), func() error {
		if status := p.status(t, key); status != want {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	return time.Since(began)
}

// pair is two gateways whose cables can be pulled.
func pair(t *testing.T) (one, two place, database, redis *realparts.Cable) {
	t.Helper()
	database, redis = realparts.Lay(t, realparts.Needed(t, realparts.Pool)), realparts.Lay(t, realparts.Needed(t, realparts.Redis))
	one, two = configureAt(t, "gateway-1", database.Address, redis.Address), configureAt(t, "gateway-2", database.Address, redis.Address)
	one.migrateWith(t, firstKey)
	one.start(t)
	two.start(t)
	return one, two, database, redis
}

func TestAKeyWorksOnEveryGatewayAsSoonAsItIsMadeAndNoLongerThanItIsGood(t *testing.T) {
	one, two, _, redis := pair(t)
	key := one.key(t, "--scopes", "inference,models:read", "--tenant", "acme", "--priority", "low")
	for _, gateway := range []place{one, two} {
		if took := gateway.gets(t, key.Secret, 200); took > 1500*time.Millisecond { // an unknown key is looked up once a second
			t.Errorf("%s knows the key after %v", gateway.name, took)
		}
	}
	if status, text := ask(t, key.Secret, "GET", one.url+"/api/v1/nodes", ""); status != 403 || text != `{"error":"the API key lacks the scope \"nodes\", which this takes"}` {
		t.Errorf("beyond its scopes: %d %s", status, text)
	}
	id := strconv.FormatInt(key.Key.ID, 10)
	if list := one.keys(t, "list", "--tenant", "acme"); !strings.Contains(list, t.Name()) || strings.Count(list, "\n") != 2 {
		t.Errorf("listed:\n%s", list)
	}
	var next made
	if err := json.Unmarshal([]byte(one.keys(t, "rotate", id, "--grace", "3s", "--json")), &next); err != nil {
		t.Fatal(err)
	}
	two.gets(t, next.Secret, 200)
	if status := two.status(t, key.Secret); status != 200 {
		t.Errorf("the old secret gets %d within its grace", status)
	}
	two.gets(t, key.Secret, 401)
	// Through the API of one gateway, the other must know within a second.
	if status, text := ask(t, firstKey, "DELETE", one.url+"/api/v1/keys/"+id, ""); status != 200 {
		t.Fatalf("revoke: %d %s", status, text)
	}
	if took := two.gets(t, next.Secret, 401); took > time.Second {
		t.Errorf("a revoked key worked for %v", took)
	}
	// Without Redis, by the next reload.
	key = one.key(t)
	two.gets(t, key.Secret, 200)
	redis.Pull()
	if status, text := ask(t, firstKey, "DELETE", one.url+"/api/v1/keys/"+strconv.FormatInt(key.Key.ID, 10), ""); status != 200 {
		t.Fatalf("revoke: %d %s", status, text)
	}
	if took := two.gets(t, key.Secret, 401); took > keyRefresh+time.Second {
		t.Errorf("without Redis a revoked key worked for %v", took)
	}
}

func TestTheCommandLineSaysWhatIsWrong(t *testing.T) {
	p := configure(t)
	p.migrateWith(t, firstKey)
	stack := ""
	for line := range strings.Lines(p.keys(t, "list")) {
		if strings.Contains(line, "the stack's") {
			stack = strings.Fields(line)[0]
		}
	}
	away := configureAt(t, "gateway-away", net.JoinHostPort(ownHost(), "6432"), p.redis)
	for _, c := range []struct {
		place     place
		arguments []string
		stderr    string
	}{
		{p, []string{"create"}, `name: "" is not between 1 and 100 printable characters`},
		{p, []string{"create", "--name", "a", "--scopes", "root", "--rpm", "0"}, `scopes: "root" is no scope`},
		{p, []string{"revoke", "999999"}, "key 999999: no such key"},
		{p, []string{"revoke", stack}, "key " + stack + ": the key is the stack's: change it in the stack's settings"},
		{p, []string{"rotate", stack, "--grace", "1y"}, `grace: "1y" is not a duration between 0s and 720h0m0s`},
		{away, []string{"list"}, "connection refused"},
	} {
		var stderr bytes.Buffer
		status := run(append(append([]string{"keys"}, c.arguments...), "--config", c.place.serving), io.Discard, &stderr)
		if status != 1 || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("keys %v exits with %d and says %s", c.arguments, status, stderr.String())
		}
	}
}

func TestLimitsHoldOverAllGatewaysAndInPartsWithoutRedis(t *testing.T) {
	one, two, _, redis := pair(t)
	for _, gateway := range []place{one, two} {
		within(t, gateway.name+" knows the other", func() error {
			if _, text := ask(t, firstKey, "GET", gateway.admin+"/metrics", ""); !strings.Contains(text, "ollamamax_limit_gateways 2\n") {
				return errors.New("it does not")
			}
			return nil
		})
	}
	passed := func(gateway place, key string, n int) (count int) {
		for range n {
			if gateway.status(t, key) == 200 {
				count++
			}
		}
		return count
	}
	key := one.key(t, "--rpm", "20").Secret
	one.gets(t, key, 200)
	two.gets(t, key, 200)
	if n := passed(one, key, 30); n < 18 || n > 20 {
		t.Errorf("%d more of 30 pass on one gateway, not about 19", n)
	}
	two.gets(t, key, 429) // within three requests, or this takes all of them
	status, header, text := askWhole(t, key, "POST", one.url+"/v1/chat/completions", "{}")
	after, _ := strconv.Atoi(header.Get("Retry-After"))
	if status != 429 || after < 1 || after > 60 || header.Get("x-ratelimit-limit-requests") != "20" ||
		header.Get("x-ratelimit-remaining-requests") != "0" || !strings.Contains(text, `"code":"rate_limit_exceeded"`) {
		t.Errorf("%d %v %s", status, header, text)
	}
	key = one.key(t, "--rpm", "20").Secret
	two.gets(t, key, 200)
	redis.Pull()
	within(t, "the gateways miss Redis", func() error {
		for _, gateway := range []place{one, two} {
			if _, text := ask(t, firstKey, "GET", gateway.admin+"/metrics", ""); !strings.Contains(text, "ollamamax_limit_parts 2\n") {
				return errors.New(gateway.name)
			}
		}
		return nil
	})
	for _, gateway := range []place{one, two} {
		if n := passed(gateway, key, 30); n < 9 || n > 12 {
			t.Errorf("without Redis %d of 30 pass on %s, not its part of about 10", n, gateway.name)
		}
	}
}

func TestABudgetCountsTheTokensOfAllGateways(t *testing.T) {
	one, two, _, _ := pair(t)
	key := one.key(t, "--monthly-tokens", "5").Secret
	chat := func(gateway place) (int, string) {
		return ask(t, key, "POST", gateway.url+"/api/generate", `{"model":"tiny","prompt":"a","stream":false,"options":{"num_predict":4}}`)
	}
	one.gets(t, key, 200)
	two.gets(t, key, 200)
	if status, text := chat(one); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := chat(one); status != 429 || !strings.Contains(text, "this key's budget of 5 tokens a month is used up: the next begins on ") {
		t.Errorf("the gateway that used it: %d %s", status, text)
	}
	within(t, "the other gateway knows", func() error {
		status, _ := ask(t, key, "POST", two.url+"/api/generate", `{"model":"tiny","prompt":"a","stream":false,"options":{"num_predict":1}}`)
		if status != 429 {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	if status := one.status(t, key); status != 200 {
		t.Errorf("a request that uses no tokens gets %d", status)
	}
}

// A gateway that is killed loses what it has not written: no more than it did in one interval and the time
// that a write takes.
func TestAKilledGatewayLosesTheUsageOfOneIntervalAtMostAndAStoppedOneNone(t *testing.T) {
	const slack = 500 * time.Millisecond
	one, two, _, _ := pair(t)
	for _, end := range []struct {
		signal syscall.Signal
		lost   time.Duration // at most
	}{{syscall.SIGKILL, flushInterval + slack}, {syscall.SIGTERM, 0}} {
		victim := configureAt(t, "gateway-"+strings.ToLower(end.signal.String()), realparts.Needed(t, realparts.Pool), realparts.Needed(t, realparts.Redis))
		process := victim.start(t)
		key := one.key(t)
		victim.gets(t, key.Secret, 200)
		answered := []time.Time{time.Now()}
		for began := time.Now(); time.Since(began) < 7*flushInterval/2; { // not a whole number of them
			if status := victim.status(t, key.Secret); status != 200 {
				t.Fatalf("status %d", status)
			}
			answered = append(answered, time.Now())
		}
		ended := time.Now()
		if err := process.Process.Signal(end.signal); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait() // its status is the signal's
		least := int64(0)
		for _, at := range answered {
			if ended.Sub(at) >= end.lost {
				least++
			}
		}
		found := two.requests(t, key.Key.ID)
		t.Logf("%s: %d of %d requests are known, %d must be", end.signal, found, len(answered), least)
		if found < least || found > int64(len(answered)) {
			t.Errorf("%s: %d requests are known, not %d to %d", end.signal, found, least, len(answered))
		}
	}
}

func TestWhileTheDatabaseIsAwayKnownKeysAreServedAndTheirUsageIsWrittenLater(t *testing.T) {
	one, _, database, _ := pair(t)
	key := one.key(t, "--rpm", "1000000")
	one.gets(t, key.Secret, 200)
	database.Pull()
	within(t, "the gateway misses the database", func() error {
		if _, text := ask(t, firstKey, "GET", one.admin+"/metrics", ""); !strings.Contains(text, `ollamamax_dependency_up{dependency="database"} 0`) {
			return errors.New("it does not")
		}
		return nil
	})
	asked := int64(1)
	for range 200 {
		if status := one.status(t, key.Secret); status != 200 {
			t.Fatalf("a known key gets %d without the database", status)
		}
		asked++
	}
	within(t, "what waits is in the metrics", func() error {
		if _, text := ask(t, firstKey, "GET", one.admin+"/metrics", ""); strings.Contains(text, "ollamamax_usage_pending_rows 0\n") {
			return errors.New("it is not")
		}
		return nil
	})
	if status := one.status(t, "omx_unknown"); status != 503 {
		t.Errorf("an unknown key gets %d without the database", status)
	}
	if status, text := ask(t, firstKey, "POST", one.url+"/api/v1/keys", `{"name":"a"}`); status != 503 || text != `{"error":"the database does not answer"}` {
		t.Errorf("making a key: %d %s", status, text)
	}
	database.Plug()
	within(t, "all usage is written", func() error {
		if found := one.requests(t, key.Key.ID); found != asked {
			return fmt.Errorf("%d of %d", found, asked)
		}
		return nil
	})
}
