// Package config reads the gateway's YAML file. Decoding is strict and every problem is reported at
// once, each with the path of the setting, its value and its limit.
package config

import (
	"os"
	"time"

	"ollamamax/gateway/internal/models"
)

// Config is the whole configuration. The zero value is not usable: start from Default.
type Config struct {
	Name        string      `yaml:"name"`        // this gateway, as metrics and response headers call it; by default the host's name
	Listen      string      `yaml:"listen"`      // address of the API
	AdminListen string      `yaml:"adminListen"` // address of /metrics, /livez and /readyz
	Forecaster  string      `yaml:"forecaster"`  // name:port of what forecasts load; empty: nothing does
	Server      Server      `yaml:"server"`
	Workers     Workers     `yaml:"workers"`
	Database    Database    `yaml:"database"`
	Redis       Redis       `yaml:"redis"`
	QueryCache  QueryCache  `yaml:"queryCache"`
	ResultCache ResultCache `yaml:"resultCache"`
	EmbedBatch  EmbedBatch  `yaml:"embedBatch"`
	Models      Models      `yaml:"models"`
	Auth        Auth        `yaml:"auth"`
	Usage       Usage       `yaml:"usage"`
	Live        Live        `yaml:"live"`
	Memory      Memory      `yaml:"memory"`
	Tracing     Tracing     `yaml:"tracing"`
	Log         Log         `yaml:"log"`
}

// Server holds the limits towards clients.
type Server struct {
	ReadHeaderTimeout time.Duration `yaml:"readHeaderTimeout"` // whole request head
	ReadTimeout       time.Duration `yaml:"readTimeout"`       // rolling: renewed by progress of the body
	WriteTimeout      time.Duration `yaml:"writeTimeout"`      // rolling: renewed by each accepted chunk
	IdleTimeout       time.Duration `yaml:"idleTimeout"`       // kept-alive connection without a request
	MaxHeaderBytes    int           `yaml:"maxHeaderBytes"`    // request line and headers together
	MaxBodyBytes      int64         `yaml:"maxBodyBytes"`      // JSON bodies; blob uploads have no limit
	DrainDelay        time.Duration `yaml:"drainDelay"`        // still accepting, so that clients move away
	DrainTimeout      time.Duration `yaml:"drainTimeout"`      // whole drain, delay included
}

// Workers says where the Ollama servers are and how long to wait for them.
type Workers struct {
	Hosts           []string      `yaml:"hosts"`           // name:port; a name may have several addresses
	ResolveInterval time.Duration `yaml:"resolveInterval"` // how often names are looked up again
	HealthInterval  time.Duration `yaml:"healthInterval"`  // between two checks of a healthy node
	HealthTimeout   time.Duration `yaml:"healthTimeout"`   // one check
	ConnectTimeout  time.Duration `yaml:"connectTimeout"`  // TCP connect
	ResponseTimeout time.Duration `yaml:"responseTimeout"` // silence of a worker: first byte, or between chunks
	WaitForNode     time.Duration `yaml:"waitForNode"`     // a request's wait for a restarting node

	Discovery    string        `yaml:"discovery"`    // dns, or kubernetes: hosts are then services of the gateway's namespace
	Slots        int           `yaml:"slots"`        // requests at once of one model on one worker; 0: no limit
	LoadedModels int           `yaml:"loadedModels"` // models that one worker keeps in memory; 0: no limit
	Memory       int64         `yaml:"memory"`       // bytes that the loaded models of one worker may take; 0: not known
	Preload      []string      `yaml:"preload"`      // models that one worker has in memory always
	Pull         bool          `yaml:"pull"`         // a worker gets such a model from its registry where it lacks it
	Limits       []Limit       `yaml:"limits"`       // of hosts of which the four before pull are others
	AffinityLoad float64       `yaml:"affinityLoad"` // most load of the node that a prefix belongs to, as a multiple of the mean
	SpreadAfter  time.Duration `yaml:"spreadAfter"`  // wait after which a model is loaded in another's place rather than waited for
	SlowStart    time.Duration `yaml:"slowStart"`    // in which a node that came up gets its full share; 0s: at once
	Queue        Queue         `yaml:"queue"`
	Breaker      Breaker       `yaml:"breaker"`
	Ejection     Ejection      `yaml:"ejection"`
}

// Limit is what one host's workers can do at once, and what they have in memory.
type Limit struct {
	Host         string        `yaml:"host"` // one of hosts
	Pool         string        `yaml:"pool"` // what metrics call them by, with those of other hosts perhaps; empty: in no metric
	Slots        int           `yaml:"slots"`
	LoadedModels int           `yaml:"loadedModels"`
	Memory       int64         `yaml:"memory"`
	Preload      []string      `yaml:"preload"`
	ColdStart    time.Duration `yaml:"coldStart"` // a request's wait for the first of them to be started; 0s: one is always there
}

// Queue bounds the requests that wait for a slot.
type Queue struct {
	Total   int           `yaml:"total"`
	PerKey  int           `yaml:"perKey"`
	MaxWait time.Duration `yaml:"maxWait"`
}

// Breaker says when a node's failing model gets no more requests for a while.
type Breaker struct {
	Window      time.Duration `yaml:"window"`      // over which outcomes are counted
	MinRequests int           `yaml:"minRequests"` // fewer decide nothing
	Failures    int           `yaml:"failures"`    // percent that opens it
	OpenFor     time.Duration `yaml:"openFor"`
}

// Ejection says when a node that does worse than the others is left out, and for how long.
type Ejection struct {
	Consecutive int           `yaml:"consecutive"` // failures in a row
	Interval    time.Duration `yaml:"interval"`    // between comparisons with the other nodes
	MinRequests int           `yaml:"minRequests"` // fewer in an interval decide nothing
	Margin      int           `yaml:"margin"`      // percentage points below the others
	Base        time.Duration `yaml:"base"`        // times how often of late
	Longest     time.Duration `yaml:"longest"`
	MaxPercent  int           `yaml:"maxPercent"` // of the nodes, left out at once
}

// Database is PgBouncer for serve and PostgreSQL for migrate. The connection is TLS, verified in full
// against CAFile, or against what the machine trusts where there is none.
type Database struct {
	Host         string        `yaml:"host"`
	Port         int           `yaml:"port"`
	Name         string        `yaml:"name"`
	User         string        `yaml:"user"`
	PasswordFile string        `yaml:"passwordFile"`
	CAFile       string        `yaml:"caFile"`
	MaxOpen      int           `yaml:"maxOpen"`
	MaxIdle      int           `yaml:"maxIdle"`
	MaxLifetime  time.Duration `yaml:"maxLifetime"`
	Admin        Admin         `yaml:"admin"`
}

// Admin is who makes the database and its user before a migration. The zero value is nobody: the server
// comes with both.
type Admin struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"passwordFile"`
	Database     string `yaml:"database"` // one that is there already
}

// Redis carries invalidations between gateways. The connection is TLS, verified against CAFile, or
// against what the machine trusts where there is none.
type Redis struct {
	Address      string `yaml:"address"`
	PasswordFile string `yaml:"passwordFile"`
	CAFile       string `yaml:"caFile"`
}

// QueryCache bounds the cache of database answers.
type QueryCache struct {
	Entries int           `yaml:"entries"`
	TTL     time.Duration `yaml:"ttl"`
}

// ResultCache bounds the cache of workers' answers.
type ResultCache struct {
	MemoryBytes    int64         `yaml:"memoryBytes"`    // answers kept by a gateway; 0: none are kept, by Redis neither
	MaxAnswerBytes int64         `yaml:"maxAnswerBytes"` // a larger answer is not kept
	TTL            time.Duration `yaml:"ttl"`            // age at which an answer is forgotten
	RedisTimeout   time.Duration `yaml:"redisTimeout"`   // what a request waits for Redis at most
	AcrossTenants  bool          `yaml:"acrossTenants"`  // an answer made for one tenant is given to others
}

// EmbedBatch says when requests for embeddings are sent as one.
type EmbedBatch struct {
	MaxWait   time.Duration `yaml:"maxWait"`   // of a request for others; 0: each is sent alone
	MaxInputs int           `yaml:"maxInputs"` // texts of one batch
}

// Models holds the stack's aliases, which migrate writes to the database.
type Models struct {
	Aliases []models.Spec `yaml:"aliases"`
}

// Auth names the stack's own keys, which migrate writes to the database, and how keys are checked.
type Auth struct {
	KeyFile         string        `yaml:"keyFile"`         // holds the stack's API key; read by migrate alone
	PublicPaths     []string      `yaml:"publicPaths"`     // GETs that need no key: their answers are everybody's
	PublicKeys      []string      `yaml:"publicKeys"`      // "ssh-ed25519 AAAA… comment", for the ollama command line
	SignatureWindow time.Duration `yaml:"signatureWindow"` // how far a signed time may be from ours
	RefreshInterval time.Duration `yaml:"refreshInterval"` // reload of the keys where no invalidation came
}

// Usage says how what keys use is written to the database.
type Usage struct {
	FlushInterval time.Duration `yaml:"flushInterval"` // between two writes: what a killed gateway loses at most
	KeepDays      int           `yaml:"keepDays"`      // after which it is dropped
	BufferRows    int           `yaml:"bufferRows"`    // kept in memory while the database is away
}

// Live bounds what clients of /ws are sent.
type Live struct {
	Flush   time.Duration `yaml:"flush"`   // between two frames to a client
	Batch   int           `yaml:"batch"`   // messages of one frame
	Buffer  int           `yaml:"buffer"`  // messages that a client may be behind
	Clients int           `yaml:"clients"` // of one gateway
	Origins []string      `yaml:"origins"` // of pages of other hosts that may connect
}

// Memory is when the gateway warns, gives back what it keeps, and takes no new work.
type Memory struct {
	WarnPercent   int   `yaml:"warnPercent"`   // of the container's own limit
	ShedPercent   int   `yaml:"shedPercent"`   // likewise: caches are emptied
	RefusePercent int   `yaml:"refusePercent"` // likewise: requests for models get 503
	NodeWarning   int64 `yaml:"nodeWarning"`   // bytes used of the node, by all that share it
	NodeCritical  int64 `yaml:"nodeCritical"`  // likewise: caches are made small
}

// Tracing tells OpenTelemetry of requests.
type Tracing struct {
	Endpoint    string  `yaml:"endpoint"`    // of a receiver of OTLP over HTTP, as http://host:4318; empty: off
	SampleRatio float64 `yaml:"sampleRatio"` // share of the requests whose client has not decided
	CAFile      string  `yaml:"caFile"`      // authority of the receiver; empty: those the machine trusts
}

// Log sets what is logged.
type Log struct {
	Level string `yaml:"level"` // debug, info, warn or error
}

// Default returns the configuration of an empty file. Hosts and files have no default; the name is the
// host's.
func Default() Config {
	hostname, _ := os.Hostname() // an empty name is refused below, with the setting's path
	return Config{
		Name:        hostname,
		Listen:      ":8080",
		AdminListen: ":9090",
		Server: Server{
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      5 * time.Second,
			IdleTimeout:       60 * time.Second,
			MaxHeaderBytes:    8192,
			MaxBodyBytes:      32 << 20,
			DrainDelay:        2 * time.Second,
			DrainTimeout:      30 * time.Second,
		},
		Workers: Workers{
			ResolveInterval: 5 * time.Second,
			HealthInterval:  2 * time.Second,
			HealthTimeout:   2 * time.Second,
			ConnectTimeout:  2 * time.Second,
			ResponseTimeout: 10 * time.Minute,
			WaitForNode:     15 * time.Second,
			Discovery:       "dns",
			Slots:           4,
			LoadedModels:    3,
			AffinityLoad:    1.25,
			SpreadAfter:     5 * time.Second,
			SlowStart:       10 * time.Second,
			Queue:           Queue{Total: 4096, PerKey: 1024, MaxWait: 30 * time.Second},
			Breaker:         Breaker{Window: 10 * time.Second, MinRequests: 10, Failures: 50, OpenFor: 5 * time.Second},
			Ejection: Ejection{
				Consecutive: 5, Interval: 10 * time.Second, MinRequests: 20, Margin: 30,
				Base: 30 * time.Second, Longest: 5 * time.Minute, MaxPercent: 50,
			},
		},
		Database: Database{
			Port:        6432,
			Name:        "ollamamax",
			User:        "ollamamax",
			MaxOpen:     100,
			MaxIdle:     25,
			MaxLifetime: 5 * time.Minute,
		},
		QueryCache: QueryCache{Entries: 10000, TTL: 5 * time.Minute},
		ResultCache: ResultCache{
			MemoryBytes:    32 << 20,
			MaxAnswerBytes: 1 << 20,
			TTL:            time.Hour,
			RedisTimeout:   20 * time.Millisecond,
		},
		EmbedBatch: EmbedBatch{MaxWait: 5 * time.Millisecond, MaxInputs: 64},
		Auth:       Auth{SignatureWindow: time.Minute, RefreshInterval: 10 * time.Second},
		Usage:      Usage{FlushInterval: 10 * time.Second, KeepDays: 90, BufferRows: 100_000},
		Live:       Live{Flush: 16 * time.Millisecond, Batch: 100, Buffer: 8192, Clients: 2000},
		Memory: Memory{
			WarnPercent: 80, ShedPercent: 90, RefusePercent: 95, NodeWarning: 4096 << 20, NodeCritical: 5120 << 20,
		},
		Tracing: Tracing{SampleRatio: 0.01},
		Log:     Log{Level: "info"},
	}
}
