package proxy

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"

	"ollamamax/gateway/internal/reply"
)

// format is how an answer is cut into messages.
type format int

const (
	whole  format = iota // one document
	ndjson               // a JSON object a line
	events               // server-sent events
)

func formatOf(contentType string) format {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return whole
	case media == "application/x-ndjson":
		return ndjson
	case media == "text/event-stream":
		return events
	}
	return whole
}

// errorEnding returns what closes a broken stream, or nil where the format has no place for an error.
// lineEnded tells that the last byte sent was a line end; otherwise the fragment is closed off first.
func (f format) errorEnding(path, message string, lineEnded bool) []byte {
	body := reply.ErrorBody(path, http.StatusBadGateway, message)
	var ending []byte
	switch f {
	case ndjson:
		if !lineEnded {
			ending = append(ending, '\n')
		}
		return append(append(ending, body...), '\n')
	case events:
		if !lineEnded {
			ending = append(ending, "\n\n"...)
		}
		return append(append(append(ending, "data: "...), body...), "\n\n"...)
	default:
		return nil
	}
}

// tailBytes is how much of an answer's end is kept to find its token counts, which come last.
const tailBytes = 1024

// counter watches an answer pass for its token counts.
type counter struct {
	tail   []byte
	events int64
}

func (c *counter) add(chunk []byte, f format) {
	if f == events {
		c.events += int64(bytes.Count(chunk, []byte("data: {")))
	}
	if len(chunk) >= tailBytes {
		c.tail = append(c.tail[:0], chunk[len(chunk)-tailBytes:]...)
		return
	}
	if excess := len(c.tail) + len(chunk) - tailBytes; excess > 0 {
		c.tail = c.tail[:copy(c.tail, c.tail[excess:])]
	}
	c.tail = append(c.tail, chunk...)
}

func (c *counter) endsLine() bool { return len(c.tail) == 0 || c.tail[len(c.tail)-1] == '\n' }

// tokens returns what the worker reported, in Ollama's words or in OpenAI's. An event stream without
// usage, which is OpenAI's default, is counted by its events: Ollama sends one a token and one to finish.
func (c *counter) tokens() (prompt, completion int64) {
	prompt = max(c.last(`"prompt_eval_count":`), c.last(`"prompt_tokens":`))
	completion = max(c.last(`"eval_count":`), c.last(`"completion_tokens":`))
	if completion == 0 && c.events > 1 {
		completion = c.events - 1
	}
	return prompt, completion
}

func (c *counter) last(name string) int64 {
	at := bytes.LastIndex(c.tail, []byte(name))
	if at < 0 {
		return 0
	}
	digits := bytes.TrimLeft(c.tail[at+len(name):], " ")
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	value, err := strconv.ParseInt(string(digits[:end]), 10, 64)
	if err != nil {
		return 0
	}
	return value
}
