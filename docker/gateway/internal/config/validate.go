package config

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/sshkey"
)

const (
	// minHeaderBytes leaves room for an API key and what clients send with every request.
	minHeaderBytes = 1024
	minKeepDays    = 32
	// minCacheBytes is the least that a cache of answers is worth having with.
	minCacheBytes = 1 << 20
	// maxEmbedWait is the most that a request for embeddings waits for others: a person notices more.
	maxEmbedWait = 100 * time.Millisecond
	// maxLiveBatch and maxLiveBuffer, in messages of a few hundred bytes, are what a client can be expected to take
	// at once and what memory there is for.
	maxLiveBatch, maxLiveBuffer = 1000, 1 << 20
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// validate reports values out of their limits. A setting that could not be decoded is not reported
// again.
func validate(c Config, decoded Problems) Problems {
	var all, problems Problems
	if !namePattern.MatchString(c.Name) {
		all.add("name", "%q is not a name: use letters, digits, dots and dashes, 63 at most", c.Name)
	}
	address(&all, "listen", c.Listen, false)
	address(&all, "adminListen", c.AdminListen, false)
	if c.Listen == c.AdminListen {
		all.add("adminListen", "%q is the address of the API too: give it another port", c.AdminListen)
	}
	if c.Forecaster != "" {
		address(&all, "forecaster", c.Forecaster, true)
	}

	duration(&all, "server.readHeaderTimeout", c.Server.ReadHeaderTimeout)
	duration(&all, "server.readTimeout", c.Server.ReadTimeout)
	duration(&all, "server.writeTimeout", c.Server.WriteTimeout)
	duration(&all, "server.idleTimeout", c.Server.IdleTimeout)
	duration(&all, "server.drainTimeout", c.Server.DrainTimeout)
	if c.Server.DrainDelay < 0 || c.Server.DrainDelay >= c.Server.DrainTimeout {
		all.add("server.drainDelay", "%s is not between 0s and server.drainTimeout (%s)", c.Server.DrainDelay, c.Server.DrainTimeout)
	}
	if c.Server.MaxHeaderBytes < minHeaderBytes || c.Server.MaxHeaderBytes > 1<<20 {
		all.add("server.maxHeaderBytes", "%d is not between %d and %d", c.Server.MaxHeaderBytes, minHeaderBytes, 1<<20)
	}
	if c.Server.MaxBodyBytes < 1024 {
		all.add("server.maxBodyBytes", "%d is less than 1024", c.Server.MaxBodyBytes)
	}

	if len(c.Workers.Hosts) == 0 {
		all.add("workers.hosts", "names no worker: list at least one name:port")
	}
	seen := map[string]bool{}
	for i, host := range c.Workers.Hosts {
		path := fmt.Sprintf("workers.hosts[%d]", i)
		address(&all, path, host, true)
		if seen[host] {
			all.add(path, "%q is listed twice", host)
		}
		seen[host] = true
	}
	duration(&all, "workers.resolveInterval", c.Workers.ResolveInterval)
	duration(&all, "workers.healthInterval", c.Workers.HealthInterval)
	duration(&all, "workers.healthTimeout", c.Workers.HealthTimeout)
	duration(&all, "workers.connectTimeout", c.Workers.ConnectTimeout)
	duration(&all, "workers.responseTimeout", c.Workers.ResponseTimeout)
	if c.Workers.WaitForNode < 0 {
		all.add("workers.waitForNode", "%s is less than 0s", c.Workers.WaitForNode)
	}
	routing(&all, c.Workers, seen)

	required(&all, "database.host", c.Database.Host)
	if c.Database.Port < 1 || c.Database.Port > 65535 {
		all.add("database.port", "%d is not between 1 and 65535", c.Database.Port)
	}
	required(&all, "database.name", c.Database.Name)
	required(&all, "database.user", c.Database.User)
	required(&all, "database.passwordFile", c.Database.PasswordFile)
	if c.Database.MaxOpen < 1 {
		all.add("database.maxOpen", "%d is less than 1", c.Database.MaxOpen)
	}
	if c.Database.MaxIdle < 0 || c.Database.MaxIdle > c.Database.MaxOpen {
		all.add("database.maxIdle", "%d is not between 0 and database.maxOpen (%d)", c.Database.MaxIdle, c.Database.MaxOpen)
	}
	duration(&all, "database.maxLifetime", c.Database.MaxLifetime)
	if c.Database.Admin != (Admin{}) {
		required(&all, "database.admin.user", c.Database.Admin.User)
		required(&all, "database.admin.passwordFile", c.Database.Admin.PasswordFile)
		required(&all, "database.admin.database", c.Database.Admin.Database)
	}

	address(&all, "redis.address", c.Redis.Address, true)
	required(&all, "redis.passwordFile", c.Redis.PasswordFile)

	if c.QueryCache.Entries < 1 {
		all.add("queryCache.entries", "%d is less than 1", c.QueryCache.Entries)
	}
	duration(&all, "queryCache.ttl", c.QueryCache.TTL)

	if c.ResultCache.MemoryBytes != 0 {
		resultCache(&all, c.ResultCache)
	}
	if c.EmbedBatch.MaxWait < 0 || c.EmbedBatch.MaxWait > maxEmbedWait {
		all.add("embedBatch.maxWait", "%s is not between 0s and %s", c.EmbedBatch.MaxWait, maxEmbedWait)
	}
	if c.EmbedBatch.MaxInputs < 2 {
		all.add("embedBatch.maxInputs", "%d is less than 2: set embedBatch.maxWait to 0s to send each request alone", c.EmbedBatch.MaxInputs)
	}

	aliases(&all, c.Models.Aliases)
	for i, path := range c.Auth.PublicPaths {
		if !strings.HasPrefix(path, "/") {
			all.add(fmt.Sprintf("auth.publicPaths[%d]", i), "%q is not a path such as /api/version", path)
		}
	}
	for i, line := range c.Auth.PublicKeys {
		if _, _, err := sshkey.ParseLine(line); err != nil {
			all.add(fmt.Sprintf("auth.publicKeys[%d]", i), "%q %s", line, err)
		}
	}
	duration(&all, "auth.signatureWindow", c.Auth.SignatureWindow)
	duration(&all, "auth.refreshInterval", c.Auth.RefreshInterval)
	duration(&all, "usage.flushInterval", c.Usage.FlushInterval)
	if c.Usage.KeepDays < minKeepDays {
		all.add("usage.keepDays", "%d is less than %d, a month, which budgets are reckoned over", c.Usage.KeepDays, minKeepDays)
	}
	if c.Usage.BufferRows < 1 {
		all.add("usage.bufferRows", "%d is less than 1", c.Usage.BufferRows)
	}
	live(&all, c.Live)
	percent(&all, "memory.warnPercent", c.Memory.WarnPercent)
	if c.Memory.ShedPercent <= c.Memory.WarnPercent || c.Memory.ShedPercent >= c.Memory.RefusePercent {
		all.add("memory.shedPercent", "%d is not between memory.warnPercent (%d) and memory.refusePercent (%d)",
			c.Memory.ShedPercent, c.Memory.WarnPercent, c.Memory.RefusePercent)
	}
	percent(&all, "memory.refusePercent", c.Memory.RefusePercent)
	if c.Memory.NodeWarning < 1 || c.Memory.NodeWarning >= c.Memory.NodeCritical {
		all.add("memory.nodeWarning", "%d is not between 1 and memory.nodeCritical (%d)", c.Memory.NodeWarning, c.Memory.NodeCritical)
	}
	if at, err := url.Parse(c.Tracing.Endpoint); c.Tracing.Endpoint != "" &&
		(err != nil || at.Hostname() == "" || (at.Scheme != "http" && at.Scheme != "https") || strings.HasSuffix(at.Path, "/")) {
		all.add("tracing.endpoint", "%q is not an address such as http://collector:4318", c.Tracing.Endpoint)
	}
	if math.IsNaN(c.Tracing.SampleRatio) || c.Tracing.SampleRatio < 0 || c.Tracing.SampleRatio > 1 {
		all.add("tracing.sampleRatio", "%v is not between 0 and 1", c.Tracing.SampleRatio)
	}
	if _, err := c.Log.level(); err != nil {
		all.add("log.level", "%q is not debug, info, warn or error", c.Log.Level)
	}

	for _, problem := range all {
		path, _, _ := strings.Cut(problem, ": ")
		if !mentions(decoded, path) {
			problems = append(problems, problem)
		}
	}
	return problems
}

func resultCache(problems *Problems, c ResultCache) {
	if c.MemoryBytes < minCacheBytes {
		problems.add("resultCache.memoryBytes", "%d is less than %d: set it to 0 to keep no answers", c.MemoryBytes, minCacheBytes)
	}
	if c.MaxAnswerBytes < 1024 || c.MaxAnswerBytes > c.MemoryBytes {
		problems.add("resultCache.maxAnswerBytes", "%d is not between 1024 and resultCache.memoryBytes (%d)", c.MaxAnswerBytes, c.MemoryBytes)
	}
	duration(problems, "resultCache.ttl", c.TTL)
	if c.RedisTimeout <= 0 || c.RedisTimeout > time.Second {
		problems.add("resultCache.redisTimeout", "%s is not between 0s and 1s: a request waits that long", c.RedisTimeout)
	}
}

// aliases checks each alias, and that none stands for another.
func aliases(problems *Problems, specs []models.Spec) {
	var all []models.Record
	for i, spec := range specs {
		path, spec := fmt.Sprintf("models.aliases[%d]", i), spec.Complete()
		for _, other := range all {
			if other.Name == spec.Name {
				problems.add(path+".name", "%q is listed twice", spec.Name)
			}
		}
		all = append(all, models.Record{Spec: spec})
	}
	for i, record := range all {
		if err := models.Invalid(record.Check(), record.Against(all)); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				*problems = append(*problems, fmt.Sprintf("models.aliases[%d].%s", i, line))
			}
		}
	}
}

func live(problems *Problems, c Live) {
	if c.Flush < time.Millisecond || c.Flush > time.Second {
		problems.add("live.flush", "%s is not between 1ms and 1s", c.Flush)
	}
	if c.Batch < 1 || c.Batch > maxLiveBatch {
		problems.add("live.batch", "%d is not between 1 and %d", c.Batch, maxLiveBatch)
	}
	if c.Buffer < c.Batch || c.Buffer > maxLiveBuffer {
		problems.add("live.buffer", "%d is not between live.batch (%d) and %d", c.Buffer, c.Batch, maxLiveBuffer)
	}
	atLeast(problems, "live.clients", c.Clients, 1)
	for i, origin := range c.Origins {
		if at, err := url.Parse(origin); err != nil || at.Host == "" || origin != at.Scheme+"://"+at.Host {
			problems.add(fmt.Sprintf("live.origins[%d]", i), "%q is not an origin such as https://console.example.com", origin)
		}
	}
}

// routing checks how requests are spread over the workers, whose hosts are given.
func routing(all *Problems, w Workers, hosts map[string]bool) {
	if w.Discovery != "dns" && w.Discovery != "kubernetes" {
		all.add("workers.discovery", "%q is not dns or kubernetes", w.Discovery)
	}
	atLeast(all, "workers.slots", w.Slots, 0)
	atLeast(all, "workers.loadedModels", w.LoadedModels, 0)
	memory(all, "workers", w.Memory, w.Preload, w.LoadedModels)
	limited := map[string]bool{}
	for i, limit := range w.Limits {
		path := fmt.Sprintf("workers.limits[%d]", i)
		if !hosts[limit.Host] {
			all.add(path+".host", "%q is none of workers.hosts", limit.Host)
		}
		if limited[limit.Host] {
			all.add(path+".host", "%q is listed twice", limit.Host)
		}
		limited[limit.Host] = true
		atLeast(all, path+".slots", limit.Slots, 0)
		atLeast(all, path+".loadedModels", limit.LoadedModels, 0)
		memory(all, path, limit.Memory, limit.Preload, limit.LoadedModels)
		if limit.ColdStart < 0 {
			all.add(path+".coldStart", "%s is less than 0s", limit.ColdStart)
		}
		if limit.ColdStart > 0 && len(limit.Preload) == 0 {
			all.add(path+".coldStart", "%s would be waited for no model: list them under preload", limit.ColdStart)
		}
	}
	if math.IsNaN(w.AffinityLoad) || w.AffinityLoad < 1 {
		all.add("workers.affinityLoad", "%g is less than 1: no node could take its share", w.AffinityLoad)
	}
	duration(all, "workers.spreadAfter", w.SpreadAfter)
	if w.SlowStart < 0 {
		all.add("workers.slowStart", "%s is less than 0s", w.SlowStart)
	}
	atLeast(all, "workers.queue.total", w.Queue.Total, 1)
	if w.Queue.PerKey < 1 || w.Queue.PerKey > w.Queue.Total {
		all.add("workers.queue.perKey", "%d is not between 1 and workers.queue.total (%d)", w.Queue.PerKey, w.Queue.Total)
	}
	duration(all, "workers.queue.maxWait", w.Queue.MaxWait)
	duration(all, "workers.breaker.window", w.Breaker.Window)
	atLeast(all, "workers.breaker.minRequests", w.Breaker.MinRequests, 1)
	percent(all, "workers.breaker.failures", w.Breaker.Failures)
	duration(all, "workers.breaker.openFor", w.Breaker.OpenFor)
	atLeast(all, "workers.ejection.consecutive", w.Ejection.Consecutive, 1)
	duration(all, "workers.ejection.interval", w.Ejection.Interval)
	atLeast(all, "workers.ejection.minRequests", w.Ejection.MinRequests, 1)
	percent(all, "workers.ejection.margin", w.Ejection.Margin)
	duration(all, "workers.ejection.base", w.Ejection.Base)
	if w.Ejection.Longest < w.Ejection.Base {
		all.add("workers.ejection.longest", "%s is less than workers.ejection.base (%s)", w.Ejection.Longest, w.Ejection.Base)
	}
	if w.Ejection.MaxPercent < 0 || w.Ejection.MaxPercent > 100 {
		all.add("workers.ejection.maxPercent", "%d is not between 0 and 100", w.Ejection.MaxPercent)
	}
}

// memory checks what a worker has in its memory.
func memory(problems *Problems, path string, bytes int64, preload []string, most int) {
	if bytes < 0 {
		problems.add(path+".memory", "%d is less than 0", bytes)
	}
	if most > 0 && len(preload) > most {
		problems.add(path+".preload", "lists %d models, more than %s.loadedModels (%d)", len(preload), path, most)
	}
	for i, model := range preload {
		if model == "" {
			problems.add(fmt.Sprintf("%s.preload[%d]", path, i), "%q is no model's name", model)
		}
	}
}

func atLeast(problems *Problems, path string, value, least int) {
	if value < least {
		problems.add(path, "%d is less than %d", value, least)
	}
}

func percent(problems *Problems, path string, value int) {
	if value < 1 || value > 100 {
		problems.add(path, "%d is not between 1 and 100", value)
	}
}

func mentions(problems Problems, path string) bool {
	for _, problem := range problems {
		reported, _, _ := strings.Cut(problem, ": ")
		if reported == path || strings.HasPrefix(path, reported+".") || strings.HasPrefix(path, reported+"[") {
			return true
		}
	}
	return false
}

func required(problems *Problems, path, value string) {
	if value == "" {
		problems.add(path, "is missing")
	}
}

func duration(problems *Problems, path string, value time.Duration) {
	if value <= 0 {
		problems.add(path, "%s is not more than 0s", value)
	}
}

func address(problems *Problems, path, value string, needsHost bool) {
	host, port, err := net.SplitHostPort(value)
	number, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || number < 0 || number > 65535 || (needsHost && (host == "" || number == 0)) {
		example := ":8080"
		if needsHost {
			example = "worker-1:11434"
		}
		problems.add(path, "%q is not an address such as %s", value, example)
	}
}

func (l Log) level() (slog.Level, error) {
	switch l.Level {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("unknown level %q", l.Level)
}

// SlogLevel is the level as log/slog counts it.
func (l Log) SlogLevel() slog.Level {
	level, _ := l.level() // checked when the file was read
	return level
}
