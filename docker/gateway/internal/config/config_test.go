package config

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const valid = `
name: gateway-1
workers: {hosts: ["worker-1:11434", "worker-2:11434"]}
database: {host: pgbouncer, passwordFile: /s/db, caFile: /s/ca.pem}
redis: {address: "redis:6379", passwordFile: /s/redis, caFile: /s/ca.pem}
`

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@host"

func TestDefaultsAreTheTunedValues(t *testing.T) {
	c, err := Parse([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Name = "gateway-1"
	if c.Server != want.Server || c.QueryCache != want.QueryCache {
		t.Errorf("server %+v and query cache %+v are not the defaults", c.Server, c.QueryCache)
	}
	if c.Server.ReadTimeout != 5*time.Second || c.Server.MaxHeaderBytes != 8192 || c.Database.MaxOpen != 100 ||
		c.Database.MaxIdle != 25 || c.Database.MaxLifetime != 5*time.Minute || c.QueryCache.Entries != 10000 {
		t.Errorf("a tuned value differs from the report: %+v", c)
	}
}

func TestANameIsTakenFromTheHostWhereNoneIsSet(t *testing.T) {
	c, err := Parse([]byte(strings.Replace(valid, "name: gateway-1", "", 1)))
	host, _ := os.Hostname()
	if err != nil || c.Name != host {
		t.Errorf("name %q (%v), not the host's %q", c.Name, err, host)
	}
}

func TestEachRuleHasItsMessage(t *testing.T) {
	for name, test := range map[string]struct{ change, want string }{
		"unknown setting":    {"sever: {}", "sever: unknown setting (line 5)"},
		"unknown deep":       {"server: {readTimout: 5s}", "server.readTimout: unknown setting (line 5)"},
		"set twice":          {"name: b", "name: set twice (line 5)"},
		"not a mapping":      {"server: [1]", "server: is not a mapping of settings"},
		"not a duration":     {"server: {readTimeout: 5}", `server.readTimeout: "5" is not a duration such as 5s or 2m`},
		"not a number":       {"server: {maxHeaderBytes: lots}", `server.maxHeaderBytes: "lots" is not a whole number`},
		"not a list":         {"auth: {publicKeys: 7}", `auth.publicKeys: "7" is not a list of texts`},
		"not a text":         {"log: {level: [x]}", "log.level: is not a text"},
		"address":            {"listen: nonsense", `listen: "nonsense" is not an address such as :8080`},
		"same address":       {`adminListen: ":8080"`, `adminListen: ":8080" is the address of the API too: give it another port`},
		"zero duration":      {"server: {idleTimeout: 0s}", "server.idleTimeout: 0s is not more than 0s"},
		"drain delay":        {"server: {drainDelay: 40s}", "server.drainDelay: 40s is not between 0s and server.drainTimeout (30s)"},
		"header limit":       {"server: {maxHeaderBytes: 512}", "server.maxHeaderBytes: 512 is not between 1024 and 1048576"},
		"body limit":         {"server: {maxBodyBytes: 10}", "server.maxBodyBytes: 10 is less than 1024"},
		"query cache":        {"queryCache: {entries: 0}", "queryCache.entries: 0 is less than 1"},
		"result cache":       {"resultCache: {memoryBytes: 1000}", "resultCache.memoryBytes: 1000 is less than 1048576: set it to 0 to keep no answers\nresultCache.maxAnswerBytes: 1048576 is not between 1024 and resultCache.memoryBytes (1000)"},
		"answer limit":       {"resultCache: {maxAnswerBytes: 1}", "resultCache.maxAnswerBytes: 1 is not between 1024 and resultCache.memoryBytes (33554432)"},
		"redis timeout":      {"resultCache: {redisTimeout: 2s}", "resultCache.redisTimeout: 2s is not between 0s and 1s: a request waits that long"},
		"not a choice":       {"resultCache: {acrossTenants: perhaps}", `resultCache.acrossTenants: "perhaps" is not true or false`},
		"embed wait":         {"embedBatch: {maxWait: 1s}", "embedBatch.maxWait: 1s is not between 0s and 100ms"},
		"embed inputs":       {"embedBatch: {maxInputs: 1}", "embedBatch.maxInputs: 1 is less than 2: set embedBatch.maxWait to 0s to send each request alone"},
		"usage interval":     {"usage: {flushInterval: 0s}", "usage.flushInterval: 0s is not more than 0s"},
		"usage kept":         {"usage: {keepDays: 31}", "usage.keepDays: 31 is less than 32, a month, which budgets are reckoned over"},
		"usage buffer":       {"usage: {bufferRows: 0}", "usage.bufferRows: 0 is less than 1"},
		"alias":              {`models: {aliases: [{name: a b, targets: [{model: m, weight: 1}]}]}`, `models.aliases[0].name: "a b:latest" is not a model's name, such as smollm2:135m`},
		"same alias":         {`models: {aliases: [{name: a, fallbacks: [m]}, {name: A, fallbacks: [n]}]}`, `models.aliases[1].name: "a:latest" is listed twice`},
		"alias of alias":     {`models: {aliases: [{name: a, fallbacks: [m]}, {name: m, targets: [{model: n, weight: 1}]}]}`, "models.aliases[0].fallbacks[0]: \"m\" is an alias itself: name a model that it stands for (n)\nmodels.aliases[1].name: the alias \"a:latest\" has \"m\" in fallbacks[0], and an alias never stands for an alias: change that first"},
		"memory's steps":     {"memory: {shedPercent: 96}", "memory.shedPercent: 96 is not between memory.warnPercent (80) and memory.refusePercent (95)"},
		"node's memory":      {"memory: {nodeCritical: 10}", "memory.nodeWarning: 4294967296 is not between 1 and memory.nodeCritical (10)"},
		"traces' end":        {"tracing: {endpoint: \"collector:4318\"}", `tracing.endpoint: "collector:4318" is not an address such as http://collector:4318`},
		"traces' share":      {"tracing: {sampleRatio: 1.5}", "tracing.sampleRatio: 1.5 is not between 0 and 1"},
		"forecaster":         {"forecaster: autoscaler", `forecaster: "autoscaler" is not an address such as worker-1:11434`},
		"live flush":         {"live: {flush: 2s}", "live.flush: 2s is not between 1ms and 1s"},
		"live batch":         {"live: {batch: 0}", "live.batch: 0 is not between 1 and 1000"},
		"live buffer":        {"live: {buffer: 99}", "live.buffer: 99 is not between live.batch (100) and 1048576"},
		"live clients":       {"live: {clients: 0}", "live.clients: 0 is less than 1"},
		"live origin":        {"live: {origins: [https://a.example, b.example]}", `live.origins[1]: "b.example" is not an origin such as https://console.example.com`},
		"live origin's path": {"live: {origins: [https://a.example/]}", `live.origins[0]: "https://a.example/" is not an origin such as https://console.example.com`},
		"log level":          {"log: {level: loud}", `log.level: "loud" is not debug, info, warn or error`},
		"public key":         {`auth: {publicKeys: ["ssh-rsa AAAA"]}`, `auth.publicKeys[0]: "ssh-rsa AAAA" is not a line "ssh-ed25519 AAAA… comment" as ssh-keygen -t ed25519 writes it`},
		"two documents":      {"---\nlog: {level: debug}", "configuration: a second document begins (line 5): keep one"},
		"not YAML":           {"a: [", "configuration is not YAML: line 5: did not find expected node content"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(strings.TrimSpace(valid) + "\n" + test.change + "\n"))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	for name, test := range map[string]struct{ from, to, want string }{
		"name":         {"gateway-1", `"a b"`, `name: "a b" is not a name: use letters, digits, dots and dashes, 63 at most`},
		"no worker":    {`["worker-1:11434", "worker-2:11434"]`, "[]", "workers.hosts: names no worker: list at least one name:port"},
		"worker":       {"worker-2:11434", "worker-2", `workers.hosts[1]: "worker-2" is not an address such as worker-1:11434`},
		"worker twice": {"worker-2", "worker-1", `workers.hosts[1]: "worker-1:11434" is listed twice`},
		"missing":      {"passwordFile: /s/db,", "", "database.passwordFile: is missing"},
		"port":         {"host: pgbouncer", "host: pgbouncer, port: 70000", "database.port: 70000 is not between 1 and 65535"},
		"max open":     {"host: pgbouncer", "host: pgbouncer, maxOpen: 0, maxIdle: 0", "database.maxOpen: 0 is less than 1"},
		"max idle":     {"host: pgbouncer", "host: pgbouncer, maxIdle: 200", "database.maxIdle: 200 is not between 0 and database.maxOpen (100)"},
		"public path":  {"name: gateway-1", "name: gateway-1\nauth: {publicPaths: [/api/version, v1/models]}", `auth.publicPaths[1]: "v1/models" is not a path such as /api/version`},
		"admin":        {"host: pgbouncer", "host: pgbouncer, admin: {user: postgres, passwordFile: /s/admin}", "database.admin.database: is missing"},
		"redis":        {"redis:6379", "redis", `redis.address: "redis" is not an address such as worker-1:11434`},
		"wait":         {"workers: {", "workers: {waitForNode: -1s, ", "workers.waitForNode: -1s is less than 0s"},
		"discovery":    {"workers: {", "workers: {discovery: consul, ", `workers.discovery: "consul" is not dns or kubernetes`},
		"slots":        {"workers: {", "workers: {slots: -1, ", "workers.slots: -1 is less than 0"},
		"limits":       {"workers: {", "workers: {limits: 3, ", "workers.limits: is not a list"},
		"limit deep":   {"workers: {", "workers: {limits: [{host: \"worker-1:11434\", slot: 3}], ", "workers.limits[0].slot: unknown setting (line 3)"},
		"limit host":   {"workers: {", "workers: {limits: [{host: worker-3, slots: 1}], ", `workers.limits[0].host: "worker-3" is none of workers.hosts`},
		"limit twice":  {"workers: {", "workers: {limits: [{host: \"worker-1:11434\"}, {host: \"worker-1:11434\"}], ", `workers.limits[1].host: "worker-1:11434" is listed twice`},
		"limit cold":   {"workers: {", "workers: {limits: [{host: \"worker-1:11434\", coldStart: -1s, preload: [a]}], ", "workers.limits[0].coldStart: -1s is less than 0s"},
		"limit wakes":  {"workers: {", "workers: {limits: [{host: \"worker-1:11434\", coldStart: 1s}], ", "workers.limits[0].coldStart: 1s would be waited for no model: list them under preload"},
		"limit value":  {"workers: {", "workers: {limits: [{host: \"worker-1:11434\", loadedModels: -2}], ", "workers.limits[0].loadedModels: -2 is less than 0"},
		"memory":       {"workers: {", "workers: {memory: -1, ", "workers.memory: -1 is less than 0"},
		"preload":      {"workers: {", "workers: {preload: [a, b, c, d], ", "workers.preload: lists 4 models, more than workers.loadedModels (3)"},
		"preload what": {"workers: {", "workers: {preload: [\"\"], ", `workers.preload[0]: "" is no model's name`},
		"affinity":     {"workers: {", "workers: {affinityLoad: 0.5, ", "workers.affinityLoad: 0.5 is less than 1: no node could take its share"},
		"affinity nan": {"workers: {", "workers: {affinityLoad: high, ", `workers.affinityLoad: "high" is not a number`},
		"spread":       {"workers: {", "workers: {spreadAfter: 0s, ", "workers.spreadAfter: 0s is not more than 0s"},
		"slow start":   {"workers: {", "workers: {slowStart: -1s, ", "workers.slowStart: -1s is less than 0s"},
		"queue":        {"workers: {", "workers: {queue: {total: 10}, ", "workers.queue.perKey: 1024 is not between 1 and workers.queue.total (10)"},
		"queue wait":   {"workers: {", "workers: {queue: {maxWait: 0s}, ", "workers.queue.maxWait: 0s is not more than 0s"},
		"breaker":      {"workers: {", "workers: {breaker: {failures: 0}, ", "workers.breaker.failures: 0 is not between 1 and 100"},
		"ejection":     {"workers: {", "workers: {ejection: {base: 10m}, ", "workers.ejection.longest: 5m0s is less than workers.ejection.base (10m0s)"},
		"ejected":      {"workers: {", "workers: {ejection: {maxPercent: 101}, ", "workers.ejection.maxPercent: 101 is not between 0 and 100"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(strings.Replace(valid, test.from, test.to, 1)))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestAllProblemsComeAtOnce(t *testing.T) {
	_, err := Parse([]byte("label: x\nserver: {readTimeout: soon, maxBodyBytes: 1}\nlog: {level: loud}\n"))
	problems, ok := err.(Problems) //nolint:errorlint // the type is the contract
	if !ok {
		t.Fatalf("%T is not Problems", err)
	}
	for _, path := range []string{
		"label", "server.readTimeout", "server.maxBodyBytes", "workers.hosts", "database.host", "database.passwordFile",
		"redis.address", "log.level",
	} {
		count := 0
		for _, problem := range problems {
			if strings.HasPrefix(problem, path+": ") {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%s is reported %d times, not once, in:\n%s", path, count, err)
		}
	}
}

func TestPublicKeysInOpenSSHsFormatAreAccepted(t *testing.T) {
	if _, err := Parse([]byte(valid + "auth: {publicKeys: [\"" + publicKey + "\"]}\n")); err != nil {
		t.Error(err)
	}
}

func TestSecretsAreReadAndTheirFaultsReportedTogether(t *testing.T) {
	folder := t.TempDir()
	c, err := Parse([]byte(strings.ReplaceAll(valid, "/s/", folder+"/")))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("db", "\n")
	write("ca.pem", "no certificate")
	_, err = c.ReadSecrets(Serving)
	want := "database.passwordFile: " + folder + "/db is empty\n" +
		"database.caFile: " + folder + "/ca.pem holds no certificate in PEM form\n" +
		"redis.passwordFile: " + folder + "/redis can't be read: no such file or directory\n" +
		"redis.caFile: " + folder + "/ca.pem holds no certificate in PEM form"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	c.Database.Admin = Admin{User: "postgres", PasswordFile: filepath.Join(folder, "admin"), Database: "postgres"}
	c.Auth.KeyFile = filepath.Join(folder, "key")
	write("key", "short")
	if _, err = c.ReadSecrets(Migrating); err == nil || !strings.Contains(err.Error(), "holds a key of 5 characters: 16 is the least") {
		t.Errorf("a short key is not reported: %v", err)
	}
	if !strings.Contains(err.Error(), "database.admin.passwordFile: "+folder+"/admin can't be read") {
		t.Errorf("a missing password of the administrator is not reported: %v", err)
	}
	if _, err = c.ReadSecrets(Serving); strings.Contains(err.Error(), "auth.keyFile") || strings.Contains(err.Error(), "admin") {
		t.Errorf("serving reads the stack's key or the administrator's password: %v", err)
	}
}

func TestWithoutAnAuthorityTheMachinesAreTrusted(t *testing.T) {
	folder := t.TempDir()
	c, err := Parse([]byte(strings.ReplaceAll(strings.ReplaceAll(valid, ", caFile: /s/ca.pem", ""), "/s/", folder+"/")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db", "redis"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("password"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secrets, err := c.ReadSecrets(Serving)
	if err != nil {
		t.Fatal(err)
	}
	for host, settings := range map[string]*tls.Config{"pgbouncer": secrets.DatabaseTLS, "redis": secrets.RedisTLS} {
		if settings.RootCAs != nil || settings.ServerName != host || settings.InsecureSkipVerify {
			t.Errorf("%s is not checked against the machine's authorities: %+v", host, settings)
		}
	}
}
