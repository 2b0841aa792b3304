package cache

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/prometheus"
)

const (
	// connections is how many a gateway has to Redis for answers, beside the two of the bus.
	connections = 8
	idleTimeout = time.Minute

	// A number of failures in a row opens the circuit: Redis is then left alone but for one question a while.
	failuresToOpen = 3
	retryAfter     = time.Second

	// queueBytes bounds what waits to be written. More is dropped: it is only a cache.
	queueBytes  = 16 << 20
	queueLength = 1024

	namespace   = "ollamamax:answer:"
	digestBytes = 24 // of a digest, in a name: to find a model's answers by

	format = 1 // of a value, its first byte
)

// shared is the second level. No request waits for it longer than timeout, and none for a write.
type shared struct {
	pool    *redis.Pool
	timeout time.Duration
	ttl     time.Duration
	limit   int64 // bytes of an answer
	log     *slog.Logger
	circuit circuit
	writes  struct{ stored, dropped, failed prometheus.Counter }

	queue   chan job
	waiting atomic.Int64 // bytes in queue
}

// packers compress with the standard library, which the gateway has anyway: a second encoder would be a
// twentieth of its size.
var packers = sync.Pool{New: func() any {
	packer, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return packer
}}

// job is an answer to write, or a digest whose answers are to go.
type job struct {
	key    Key
	answer *Answer
	digest string
}

func newShared(dial bus.Dial, timeout, ttl time.Duration, limit int64, writes *prometheus.CounterVec, log *slog.Logger) *shared {
	s := &shared{
		timeout: timeout, ttl: ttl, limit: limit, log: log, queue: make(chan job, queueLength),
		pool: &redis.Pool{
			// A dial that takes longer than a request waits is of use to the next one.
			DialContext: func(ctx context.Context) (redis.Conn, error) { return dial(context.WithoutCancel(ctx)) },
			MaxIdle:     connections, MaxActive: connections, Wait: true, IdleTimeout: idleTimeout,
		},
	}
	s.writes.stored = writes.WithLabelValues("stored")
	s.writes.dropped = writes.WithLabelValues("dropped")
	s.writes.failed = writes.WithLabelValues("failed")
	return s
}

// name is that of a key in Redis.
func name(key Key, digest string) string {
	return namespace + digest[:min(len(digest), digestBytes)] + ":" + hex.EncodeToString(key[:])
}

// get asks for an answer. It returns nil where there is none, and an error where Redis did not say so in time.
func (s *shared) get(ctx context.Context, key Key, digest string) (*Answer, error) {
	if !s.circuit.closed(time.Now()) {
		return nil, errOpen
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	type outcome struct {
		value []byte
		err   error
	}
	// On its own, so that a connection on which an answer is late stays in use: closing it would have the
	// next request wait for a new one.
	done := make(chan outcome, 1)
	go func() {
		value, err := s.fetch(ctx, name(key, digest))
		done <- outcome{value, err}
	}()
	select {
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // and not because the clients left
			s.circuit.failed(time.Now())
		}
		return nil, ctx.Err()
	case o := <-done:
		if o.err != nil || o.value == nil {
			return nil, o.err
		}
		return s.unpack(o.value, digest)
	}
}

func (s *shared) fetch(ctx context.Context, name string) ([]byte, error) {
	connection, err := s.pool.GetContext(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.circuit.failed(time.Now())
		}
		return nil, err
	}
	defer func() { _ = connection.Close() }() // back to the pool
	value, err := redis.Bytes(connection.Do("GET", name))
	if err != nil && !errors.Is(err, redis.ErrNil) {
		s.circuit.failed(time.Now())
		return nil, err
	}
	s.circuit.worked()
	return value, nil
}

// put has an answer written, some time. It never waits.
func (s *shared) put(key Key, answer *Answer) {
	size := answer.size()
	if s.waiting.Add(size) <= queueBytes {
		select {
		case s.queue <- job{key: key, answer: answer}:
			return
		default:
		}
	}
	s.waiting.Add(-size)
	s.writes.dropped.Inc()
}

// drop has the answers of a digest deleted, some time. Their keys are asked for no more: this frees the room.
func (s *shared) drop(digest string) {
	select {
	case s.queue <- job{digest: digest}:
	default:
		s.log.Warn("answers of a model that changed stay in redis until they are too old", "digest", digest)
	}
}

// run writes until ctx ends.
func (s *shared) run(ctx context.Context) {
	defer func() { _ = s.pool.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.queue:
			if j.answer != nil {
				s.write(ctx, j)
			} else if err := s.delete(ctx, j.digest); err != nil {
				s.log.Warn("answers of a model that changed stay in redis until they are too old", "digest", j.digest, "error", err)
			}
		}
	}
}

func (s *shared) write(ctx context.Context, j job) {
	defer s.waiting.Add(-j.answer.size())
	left := s.ttl - time.Since(j.answer.Stored)
	if left < time.Millisecond || !s.circuit.closed(time.Now()) {
		s.writes.dropped.Inc()
		return
	}
	connection, err := s.pool.GetContext(ctx)
	if err == nil {
		_, err = connection.Do("SET", name(j.key, j.answer.Digest), s.pack(j.answer), "PX", left.Milliseconds())
		_ = connection.Close() // back to the pool
	}
	if err != nil {
		s.circuit.failed(time.Now())
		s.writes.failed.Inc()
		return
	}
	s.circuit.worked()
	s.writes.stored.Inc()
}

// delete goes through the keys a thousand at a time, so that Redis serves others in between.
func (s *shared) delete(ctx context.Context, digest string) error {
	connection, err := s.pool.GetContext(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }() // back to the pool
	pattern := name(Key{}, digest)
	pattern = pattern[:len(pattern)-2*len(Key{})] + "*"
	cursor := "0"
	for {
		reply, err := redis.Values(connection.Do("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
		if err != nil {
			return err
		}
		var names [][]byte
		if _, err := redis.Scan(reply, &cursor, &names); err != nil {
			return err
		}
		if len(names) > 0 {
			if _, err := connection.Do("UNLINK", redis.Args{}.AddFlat(names)...); err != nil {
				return err
			}
		}
		if cursor == "0" || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// pack writes an answer as Redis keeps it: format, time, content type, compressed body.
func (s *shared) pack(a *Answer) []byte {
	packed := make([]byte, 0, 64+len(a.ContentType)+len(a.Body)/4)
	packed = append(packed, format)
	packed = binary.BigEndian.AppendUint64(packed, uint64(a.Stored.UnixMilli()))
	packed = binary.AppendUvarint(packed, uint64(len(a.ContentType)))
	packed = append(packed, a.ContentType...)
	out := bytes.NewBuffer(packed)
	packer := packers.Get().(*gzip.Writer)
	defer packers.Put(packer)
	packer.Reset(out)
	_, err := packer.Write(a.Body)
	if err = errors.Join(err, packer.Close()); err != nil {
		panic(err) // memory takes what it is given
	}
	return out.Bytes()
}

var errForeign = errors.New("a value in redis is not an answer of this version")

func (s *shared) unpack(packed []byte, digest string) (*Answer, error) {
	if len(packed) < 10 || packed[0] != format {
		return nil, errForeign
	}
	stored := time.UnixMilli(int64(binary.BigEndian.Uint64(packed[1:])))
	length, n := binary.Uvarint(packed[9:])
	if n <= 0 || length > uint64(len(packed)-9-n) {
		return nil, errForeign
	}
	rest := packed[9+n:]
	unpacker, err := gzip.NewReader(bytes.NewReader(rest[length:]))
	if err != nil {
		return nil, errors.Join(errForeign, err)
	}
	body, err := io.ReadAll(io.LimitReader(unpacker, s.limit+1))
	if err != nil || int64(len(body)) > s.limit {
		return nil, errors.Join(errForeign, err)
	}
	if time.Since(stored) >= s.ttl {
		return nil, nil //nolint:nilnil // too old is not there
	}
	return newAnswer(digest, string(rest[:length]), slices.Clip(body), stored), nil
}

// errOpen means that Redis was not asked, because it has failed again and again.
var errOpen = errors.New("redis is left alone for a while")

// circuit leaves Redis alone after failures in a row, but for one question at a time.
type circuit struct {
	failures atomic.Int64
	until    atomic.Int64 // nanoseconds
}

func (c *circuit) closed(now time.Time) bool {
	if c.failures.Load() < failuresToOpen {
		return true
	}
	until := c.until.Load()
	return now.UnixNano() >= until && c.until.CompareAndSwap(until, now.Add(retryAfter).UnixNano())
}

func (c *circuit) failed(now time.Time) {
	if c.failures.Add(1) >= failuresToOpen {
		c.until.Store(now.Add(retryAfter).UnixNano())
	}
}

func (c *circuit) worked() { c.failures.Store(0) }
