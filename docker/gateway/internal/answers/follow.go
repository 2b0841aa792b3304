package answers

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/flight"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/stream"
)

// shared is the head of an answer that several clients get.
type shared struct {
	inference.Head
	contentType string
	node        string
	retries     int
	cache       string // Hit where it was found in Redis, Miss where it may be kept
	tokens      *tokens
}

// tokens are what an answer took. They are counted once, for the first client that gets its end.
type tokens struct {
	prompt, completion int64
	counted            atomic.Bool
}

// follow gives a client an answer that is being made.
func follow(r *inference.Request, c inference.Client, reader *flight.Reader[*shared], joined bool) error {
	x := r.Exchange
	began := time.Now()
	head, err := reader.Head(r.Life)
	x.Waited(began)
	if err != nil {
		reader.Leave()
		return refuse(r, c, err)
	}
	x.Node, x.Retries, x.Cache = head.node, head.retries, head.cache
	if joined && head.cache != cache.Hit {
		x.Cache = cache.Joined
	}
	own := head.Head
	if x.Cache != "" {
		own.Fields = slices.Concat(own.Fields, []byte(cache.Header+": "+x.Cache+"\r\n"))
	}
	c.Begin(own)
	var counter stream.Counter
	err = pass(r, c, reader, head, &counter)
	// It is paid for once: by the first who gets its end, or by the last to leave before that, as far as it went.
	switch last := reader.Leave(); {
	case err == nil && !head.tokens.counted.Swap(true):
		x.PromptTokens, x.CompletionTokens = head.tokens.prompt, head.tokens.completion
	case x.Left && last && head.cache != cache.Hit:
		x.CompletionTokens = counter.Messages()
	}
	return err
}

// pass passes the body on.
func pass(r *inference.Request, c inference.Client, reader *flight.Reader[*shared], head *shared, counter *stream.Counter) error {
	x, format := r.Exchange, stream.FormatOf(head.contentType)
	for {
		began := time.Now()
		piece, done, err := reader.Next(r.Life)
		if err != nil {
			x.Waited(began)
			return breakOff(r, c, format, counter.EndsLine(), err)
		}
		if format != stream.Whole {
			counter.Add(piece, format)
			if x.FirstByte == 0 && len(piece) > 0 {
				x.FirstByte = time.Since(x.Start)
			}
		}
		if piece, err = putMost(c, piece); err == nil {
			err = c.Write(piece, done)
		}
		x.Waited(began)
		if err != nil {
			return inference.Left(x, err)
		}
		if done {
			return nil
		}
	}
}

// refuse answers a client for which no answer has begun.
func refuse(r *inference.Request, c inference.Client, err error) error {
	var refused *refusedError
	switch cause := r.Life.Cause(); {
	case errors.Is(cause, exchange.ErrStopping):
		r.Exchange.Cause = cause
		c.Refuse(&reply.Refusal{Status: http.StatusServiceUnavailable, Message: cause.Error()})
	case cause != nil:
		return inference.Left(r.Exchange, cause)
	case errors.As(err, &refused):
		r.Exchange.Cause = refused.cause
		c.Refuse(refused.refusal)
	default:
		r.Exchange.Cause = err
		c.Refuse(&reply.Refusal{Status: http.StatusBadGateway, Message: err.Error()})
	}
	return nil
}

// breakOff ends an answer that has begun.
func breakOff(r *inference.Request, c inference.Client, format stream.Format, lineEnded bool, err error) error {
	var cut *cutError
	var ending []byte
	switch cause := r.Life.Cause(); {
	case errors.Is(cause, exchange.ErrStopping):
		err = cause
		ending = format.ErrorEnding(r.Path, cause.Error(), lineEnded)
	case cause != nil:
		return inference.Left(r.Exchange, cause)
	case errors.As(err, &cut):
		err, ending = cut.cause, cut.ending
	default:
		ending = format.ErrorEnding(r.Path, err.Error(), lineEnded)
	}
	r.Exchange.Failed, r.Exchange.Cause = true, err
	c.Abort(ending)
	return inference.ErrCut
}

// refusedError is a request that no worker began to answer.
type refusedError struct {
	refusal *reply.Refusal
	cause   error
}

func (e *refusedError) Error() string { return e.refusal.Message }

// cutError is an answer that broke off. ending closes what has been sent of it.
type cutError struct {
	ending []byte
	cause  error
}

func (e *cutError) Error() string { return "the answer was cut off" }
