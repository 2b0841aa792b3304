package inference

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/scan"
)

const (
	// VariantHeader names the variant of an alias that is to answer.
	VariantHeader = "X-Ollamamax-Variant"
	// SessionHeader names what is to stay on one variant.
	SessionHeader = "X-Ollamamax-Session"

	// maxModels bounds how many models of an alias a request is tried with.
	maxModels = 3
	// maxPooled is the largest body whose memory is kept for another.
	maxPooled = 1 << 20
)

// renamed are bodies that name another model than the client did.
var renamed = sync.Pool{New: func() any { return new([]byte) }}

// inName has a request for an alias answered by answer, as one for a model that the alias stands for. Where that
// model turns out to be served no more, another one answers: the request has only waited until then, or it has lost
// its node, and this is the retry that it has.
func (s *Service) inName(r *Request, alias *models.Alias, fields scan.Fields, c Client, answer func(*Request, scan.Fields, Client) error) error {
	choose, refusal := choice(r, alias, fields)
	if refusal != nil {
		c.Refuse(refusal)
		return nil
	}
	body := renamed.Get().(*[]byte)
	asked, variant := r.Body, choose.variant(s.pool.Serves)
	defer func() {
		r.Body = asked // body is another request's from here on
		if cap(*body) <= maxPooled {
			renamed.Put(body)
		}
	}()
	for tried := 1; ; tried++ {
		r.Exchange.Variant, r.Want.Model = variant, variant.Model
		*body = fields.Rename((*body)[:0], asked, variant.JSON)
		r.Body = *body
		r.Want.Elsewhere = tried < maxModels && choose.named == nil && alias.Others(variant, s.pool.Serves)
		if !r.Want.Elsewhere {
			return answer(r, fields, c)
		}
		to := elsewhere{Client: c}
		err := answer(r, fields, &to)
		if to.refusal == nil {
			return err
		}
		other := variant
		if to.refusal.Status == http.StatusServiceUnavailable && r.Life.Err() == nil {
			other = choose.variant(s.pool.Serves)
		}
		if other == variant {
			c.Refuse(to.refusal)
			return err
		}
		variant = other
		r.Exchange.Cause = nil
		r.Exchange.Retries++
		s.metrics.Retry()
	}
}

// elsewhere is the client of a request that another model could answer: it is not told at once that this one can't.
type elsewhere struct {
	Client
	refusal *reply.Refusal
}

func (e *elsewhere) Refuse(refusal *reply.Refusal) { e.refusal = refusal }

// chosen is what decides over the variant of a request.
type chosen struct {
	alias *models.Alias
	named *models.Variant // by the client, or nil
	first bool            // in the order in which they are written
	point uint64
}

// choice finds out what decides over the variant of a request.
func choice(r *Request, alias *models.Alias, fields scan.Fields) (chosen, *reply.Refusal) {
	c := chosen{alias: alias, first: r.Want.Light}
	name, _ := http1.Value(r.Fields, VariantHeader)
	if name == nil {
		c.point = point(r, fields)
		return c, nil
	}
	if c.named = alias.Variant(string(name)); c.named == nil {
		return c, &reply.Refusal{Status: http.StatusBadRequest, Message: fmt.Sprintf(
			"%s: %q is no variant of %s: there are %s", VariantHeader, name, alias.Name, strings.Join(alias.Variants(), ", "))}
	}
	return c, nil
}

func (c *chosen) variant(serves func(model string) bool) *models.Variant {
	switch {
	case c.named != nil:
		return c.named
	case c.first:
		return c.alias.First(serves)
	}
	return c.alias.Choose(c.point, serves)
}

// point is a hash of what must stay on one variant: a session that the client names; a conversation; and of
// embeddings, which are worth nothing beside another model's, all of a key. Each other request is by itself.
func point(r *Request, fields scan.Fields) uint64 {
	var hash xxhash.Digest
	hash.Reset()
	if session, _ := http1.Value(r.Fields, SessionHeader); session != nil {
		_, _ = hash.Write(session) // never fails
		return hash.Sum64()
	}
	if key := r.Exchange.Key; key != nil {
		_, _ = hash.WriteString(key.Account)
	}
	switch scan.Of(r.Path) {
	case scan.Embed, scan.Embeddings, scan.OpenAIEmbeddings:
		return hash.Sum64()
	case scan.Chat, scan.OpenAIChat, scan.OpenAIResponses, scan.AnthropicMessages:
		if fields.Prefix != 0 {
			return hash.Sum64() ^ fields.Prefix
		}
	}
	return rand.Uint64() // no secret
}
