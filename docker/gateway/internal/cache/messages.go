package cache

import (
	"bytes"
	"iter"
	"strings"
)

var (
	line  = []byte("\n")
	event = []byte("\n\n")
)

// separator is what ends a message of a stream, or nil for an answer that is one document.
func separator(contentType string) []byte {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/x-ndjson":
		return line
	case "text/event-stream":
		return event
	}
	return nil
}

// Messages cuts a stream into the messages that it was made of, so that it is replayed as it came: a line of
// NDJSON or a server-sent event each. Any other answer is one message.
func Messages(contentType string, body []byte) iter.Seq[[]byte] {
	end := separator(contentType)
	return func(yield func([]byte) bool) {
		for rest := body; len(rest) > 0; {
			length := len(rest)
			if at := bytes.Index(rest, end); end != nil && at >= 0 {
				length = at + len(end)
			}
			if !yield(rest[:length:length]) {
				return
			}
			rest = rest[length:]
		}
	}
}

// Complete tells whether an answer of status 200 says all that it was going to say. A worker that fails in the
// middle of a stream reports that as a message, and then ends the stream as any other.
func Complete(contentType string, body []byte) bool {
	body = bytes.TrimSpace(body)
	end := separator(contentType)
	if end == nil {
		return len(body) > 0
	}
	last := bytes.TrimSpace(body[bytes.LastIndex(body, end)+1:])
	if len(end) == len(line) {
		return bytes.Contains(last, []byte(`"done":true`)) // no text of a model holds a quote that is not escaped
	}
	for _, ending := range []string{"data: [DONE]", "event: message_stop", "event: response.completed"} {
		if bytes.HasPrefix(last, []byte(ending)) {
			return true
		}
	}
	return false
}
