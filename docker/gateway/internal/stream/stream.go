// Package stream knows how answers are cut into messages: how a broken one is ended so that no client takes
// it for whole, and where the counts of its tokens stand.
package stream

import (
	"bytes"
	"net/http"
	"strconv"

	"ollamamax/gateway/internal/reply"
)

// Format is how an answer is cut into messages.
type Format int

const (
	// Whole answers are one document.
	Whole Format = iota
	// Lines are NDJSON: an object a line.
	Lines
	// Events are server-sent events.
	Events
)

// FormatOf returns the format of a Content-Type.
func FormatOf[T string | []byte](contentType T) Format {
	media, _, _ := bytes.Cut([]byte(contentType), []byte(";"))
	media = bytes.TrimSpace(media)
	switch {
	case bytes.EqualFold(media, []byte("application/x-ndjson")):
		return Lines
	case bytes.EqualFold(media, []byte("text/event-stream")):
		return Events
	}
	return Whole
}

// ErrorEnding returns what closes a broken stream, or nil where the format has no place for an error.
// lineEnded tells that the last byte sent was a line end; otherwise the fragment is closed off first.
func (f Format) ErrorEnding(path, message string, lineEnded bool) []byte {
	body := reply.ErrorBody(path, http.StatusBadGateway, message)
	var ending []byte
	switch f {
	case Lines:
		if !lineEnded {
			ending = append(ending, '\n')
		}
		return append(append(ending, body...), '\n')
	case Events:
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

// Counter watches an answer pass for its token counts.
type Counter struct {
	tail     []byte // tailBytes at least, where the answer has so many, and twice as much at most
	messages int64
}

// Reset makes the counter ready for another answer.
func (c *Counter) Reset() { c.tail, c.messages = c.tail[:0], 0 }

// Add takes the next piece of the answer.
func (c *Counter) Add(piece []byte, f Format) {
	switch f {
	case Events:
		c.messages += int64(bytes.Count(piece, []byte("data: {")))
	case Lines:
		c.messages += int64(bytes.Count(piece, []byte{'\n'}))
	}
	if len(piece) >= tailBytes {
		c.tail = append(c.tail[:0], piece[len(piece)-tailBytes:]...)
		return
	}
	if len(c.tail)+len(piece) > 2*tailBytes { // moved now and then, not with every token
		c.tail = c.tail[:copy(c.tail, c.tail[len(c.tail)-tailBytes:])]
	}
	c.tail = append(c.tail, piece...)
}

// EndsLine tells whether the last byte so far was a line end.
func (c *Counter) EndsLine() bool { return len(c.tail) == 0 || c.tail[len(c.tail)-1] == '\n' }

// Messages returns how many the answer had so far: of a model's, one a token.
func (c *Counter) Messages() int64 { return c.messages }

// The names of the counts: Ollama's, those of OpenAI's chat and completions, and those that OpenAI's responses and
// Anthropic's messages share.
var (
	promptNames     = [...]string{`"prompt_eval_count":`, `"prompt_tokens":`, `"input_tokens":`}
	completionNames = [...]string{`"eval_count":`, `"completion_tokens":`, `"output_tokens":`}
)

// Tokens returns what the worker reported, in the words of any API that it speaks. A stream without usage, which
// is OpenAI's default, is counted by its messages: Ollama sends one a token and one to finish.
func (c *Counter) Tokens() (prompt, completion int64) {
	prompt, completion = last(c.tail, promptNames[:]), last(c.tail, completionNames[:])
	if completion == 0 && c.messages > 1 {
		completion = c.messages - 1
	}
	return prompt, completion
}

// last returns the number after the last of several names, whichever that is: what an answer repeats of its
// request, such as the tools of OpenAI's responses, may have members of any name, but comes before the counts.
func last(digits []byte, names []string) int64 {
	found := false
	for _, name := range names {
		// Forwards, and again, is many times faster than backwards.
		for {
			_, after, again := bytes.Cut(digits, []byte(name))
			if !again {
				break
			}
			digits, found = after, true
		}
	}
	if !found {
		return 0
	}
	digits = bytes.TrimLeft(digits, " ")
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
