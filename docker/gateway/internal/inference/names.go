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

	// maxPooled is the largest body whose memory is kept for another.
	maxPooled = 1 << 20
)

// renamed are bodies that name another model than the client did.
var renamed = sync.Pool{New: func() any { return new([]byte) }}

// inName has a request for an alias answered by answer, as one for a model that the alias stands for.
func (s *Service) inName(r *Request, alias *models.Alias, fields scan.Fields, c Client, answer func(*Request, scan.Fields, Client) error) error {
	variant, refusal := s.choose(r, alias, fields)
	if refusal != nil {
		c.Refuse(refusal)
		return nil
	}
	r.Exchange.Variant = variant
	r.Want.Model = variant.Model
	body := renamed.Get().(*[]byte)
	*body = fields.Rename((*body)[:0], r.Body, variant.JSON)
	r.Body = *body
	err := answer(r, fields, c)
	r.Body = nil // it is another request's from here on
	if cap(*body) <= maxPooled {
		renamed.Put(body)
	}
	return err
}

// choose finds the variant for a request.
func (s *Service) choose(r *Request, alias *models.Alias, fields scan.Fields) (*models.Variant, *reply.Refusal) {
	if name, _ := http1.Value(r.Fields, VariantHeader); name != nil {
		if variant := alias.Variant(string(name)); variant != nil {
			return variant, nil
		}
		return nil, &reply.Refusal{Status: http.StatusBadRequest, Message: fmt.Sprintf(
			"%s: %q is no variant of %s: there are %s", VariantHeader, name, alias.Name, strings.Join(alias.Variants(), ", "))}
	}
	if r.Want.Light {
		return alias.First(s.pool.Serves), nil
	}
	return alias.Choose(point(r, fields), s.pool.Serves), nil
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
