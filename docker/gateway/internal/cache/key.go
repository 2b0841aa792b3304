// Package cache keeps answers for requests that would be answered in the same way again: in memory, and
// behind that in Redis, which the gateways share.
package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"
	"sync"
)

// Key names an answer. Requests with one key get the same answer, to the byte.
type Key [sha256.Size]byte

// Question is everything that an answer hangs on.
type Question struct {
	Target      string // path and query
	Digest      string // of the model's manifest, not its name: what a name means changes
	Tenant      string // whose answer it is,
	Shared      bool   // unless it is everybody's
	ContentType []byte // of the request
	Accept      []byte
	// Body is the request's, byte for byte. Bodies that differ by the order of their fields or by white space
	// have different keys, though their answers are the same: to tell that they are would take the worker's
	// own reading of them (fields given twice, numbers, escapes), a clever mistake in it would answer one
	// request with another's answer, and a client that asks again does so with the same bytes.
	Body []byte
}

// hasher is a hash and room for its result, kept because both would be allocated for each key.
type hasher struct {
	hash.Hash
	part [8]byte
	sum  Key
	text []byte
}

var hashers = sync.Pool{New: func() any { return &hasher{Hash: sha256.New()} }}

// Key returns the question's key.
func (q *Question) Key() Key {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	h.Reset()
	tenant := q.Tenant
	h.text = append(h.text[:0], 0)
	if q.Shared {
		tenant, h.text[0] = "", 1
	}
	h.write(h.text)
	for _, text := range [...]string{q.Target, q.Digest, tenant} {
		h.text = append(h.text[:0], text...)
		h.write(h.text)
	}
	for _, part := range [...][]byte{q.ContentType, q.Accept, q.Body} {
		h.write(part)
	}
	h.Sum(h.sum[:0])
	return h.sum
}

// write adds a part with its length before it, so that no two rows of parts look alike.
func (h *hasher) write(part []byte) {
	binary.LittleEndian.PutUint64(h.part[:], uint64(len(part)))
	_, _ = h.Write(h.part[:]) // a hash never fails
	_, _ = h.Write(part)
}

// Header is what a client says to the cache, and the cache to the client. As a request's it has one value,
// Use; an answer's is Hit, Miss or Joined, and missing where the cache had no part in it.
const Header = "X-Ollamamax-Cache"

// Values of Header.
const (
	Use    = "use"    // keep the answer, and give one that is kept, though the request leaves it to chance
	Hit    = "hit"    // kept from an earlier request
	Miss   = "miss"   // made for this request, and kept
	Joined = "joined" // made for the same request of another client at the same time
)

// Policy is what may be done for a request.
type Policy struct {
	Read    bool // it may be answered with what is kept, or with what is being made for another
	Write   bool // its answer may be kept
	Private bool // for its tenant alone
}

// Decide returns the policy of a request: deterministic is whether it would be answered in the same way
// again, commands whether it does more than ask. The headers are Cache-Control's and Header's.
func Decide(deterministic, commands bool, cacheControl, header string) Policy {
	if commands || (!deterministic && !strings.EqualFold(header, Use)) {
		return Policy{}
	}
	policy := Policy{Read: true, Write: true}
	for directive := range strings.SplitSeq(cacheControl, ",") {
		switch strings.ToLower(strings.TrimSpace(directive)) {
		case "no-store":
			return Policy{}
		case "no-cache", "max-age=0":
			policy.Read = false
		case "private":
			policy.Private = true
		}
	}
	return policy
}
