package main

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"strings"
)

const (
	bodySize = 200
	distinct = 100       // requests that are repeated
	smallest = 100 << 10 // of large prompts, bytes
	largest  = 1 << 20
	sizes    = 8  // of large prompts
	turns    = 10 // of a conversation
)

// request is one to be sent.
type request struct {
	wire []byte
	ends string // what stands in the last line of a whole answer
}

// kinds are what can be sent: each gives the n-th request. Shares are fixed sequences, so that every target
// gets the same.
var kinds = map[string]func(p *plan, n int64) request{
	"prompts":       (*plan).prompt,
	"large":         (*plan).large,
	"repeated":      (*plan).repeated,
	"same":          func(p *plan, _ int64) request { return p.generate(p.model, p.seed, kept, bodySize) },
	"conversations": (*plan).conversation,
	"mix":           (*plan).mix,
	"words": func(p *plan, n int64) request {
		return p.generate(p.model, n, `,"options":{"num_predict":64}`, bodySize)
	},
}

func kindNames() iter.Seq[string] { return maps.Keys(kinds) }

// kept has a gateway keep the answer.
const kept = `,"options":{"temperature":0}`

var (
	filler = strings.Repeat("x", largest)
	// A system prompt that all conversations share.
	system = `{"role":"system","content":"` + filler[:500] + `"}`
	spoken = `,{"role":"assistant","content":"` + filler[:200] + `"},{"role":"user","content":"` + filler[:100] + `"}`
)

func (p *plan) prompt(n int64) request { return p.generate(p.named(n), n, "", bodySize) }

func (p *plan) large(n int64) request {
	if float64(n%100) < 100*p.share {
		return p.generate(p.model, n, "", smallest+int(n%sizes)*(largest-smallest)/sizes)
	}
	return p.prompt(n)
}

func (p *plan) repeated(n int64) request {
	if float64(n%100) < 100*p.share {
		n %= distinct
	}
	return p.generate(p.model, n, kept, bodySize)
}

// conversation has its turns one after the other: each repeats what was said and adds to it.
func (p *plan) conversation(n int64) request {
	said := strings.Repeat(spoken, int(n%turns))
	return p.post("/api/chat", fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[%s,{"role":"user","content":"%012d "}%s]}`,
		p.model, p.stream, system, n/turns, said), done)
}

// mix is what a platform is asked for: mostly answers, some of them streams, some not for the first time,
// embeddings, and looks at what there is.
func (p *plan) mix(n int64) request {
	switch part := n * 37 % 100; { // 37: parts take turns
	case part < 50:
		return p.prompt(n)
	case part < 70:
		streaming := *p
		streaming.stream = true
		return streaming.prompt(n)
	case part < 80:
		return p.generate(p.model, n%distinct, kept, bodySize)
	case part < 90:
		return p.post("/api/embed", fmt.Sprintf(`{"model":%q,"input":"%012d %s"}`, p.model, n, filler[:100]), "}")
	case part < 94:
		return p.get("/api/tags")
	case part < 97:
		return p.get("/v1/models")
	case part < 99:
		return p.get("/api/v1/nodes")
	}
	return p.get("/api/version")
}

// named returns the n-th request's model. Of several, a few are asked for often and most now and then: the
// k-th as often as 1/k (Zipf's law).
func (p *plan) named(n int64) string {
	if p.models == 1 {
		return p.model
	}
	const golden = 0.6180339887498949 // its multiples, less their whole parts, are spread evenly
	_, at := math.Modf(float64(n) * golden)
	sum := 0.0
	for k := range p.models {
		sum += 1 / float64(k+1)
	}
	k := 0
	for at -= 1 / sum; at > 0 && k < p.models-1; at -= 1 / float64(k+1) / sum {
		k++
	}
	return modelName(k)
}

// done stands in the last message of an answer to a prompt.
const done = `"done":true`

func (p *plan) generate(model string, n int64, options string, size int) request {
	begin := fmt.Sprintf(`{"model":%q,"stream":%t%s,"prompt":"%012d `, model, p.stream, options, n)
	return p.post("/api/generate", begin+filler[:max(0, size-len(begin)-len(`"}`))]+`"}`, done)
}

func (p *plan) post(path, body, ends string) request {
	return request{fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, p.authorization(), len(body), body), ends}
}

func (p *plan) get(path string) request {
	return request{fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path, p.authorization()), ""}
}

func (p *plan) authorization() string {
	if p.key == "" {
		return ""
	}
	return "Authorization: Bearer " + p.key + "\r\n"
}
