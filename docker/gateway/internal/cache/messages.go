package cache

import (
	"bytes"

	"ollamamax/gateway/internal/stream"
)

var (
	endOfLine  = []byte("\n")
	endOfEvent = []byte("\n\n")
)

func separator(format stream.Format) []byte {
	if format == stream.Lines {
		return endOfLine
	}
	return endOfEvent
}

// Message cuts the first message off an answer, so that it is replayed as it came: a line of NDJSON or a
// server-sent event. An answer that is one document is one message.
func Message(format stream.Format, answer []byte) (message, rest []byte) {
	if format != stream.Whole {
		end := separator(format)
		if at := bytes.Index(answer, end); at >= 0 {
			at += len(end)
			return answer[:at], answer[at:]
		}
	}
	return answer, nil
}

// Complete tells whether an answer of status 200 says all that it was going to say. A worker that fails in the
// middle of a stream reports that as a message, and then ends the stream as any other.
func Complete(contentType string, body []byte) bool {
	body = bytes.TrimSpace(body)
	format := stream.FormatOf(contentType)
	if format == stream.Whole {
		return len(body) > 0
	}
	last := bytes.TrimSpace(body[bytes.LastIndex(body, separator(format))+1:])
	if format == stream.Lines {
		return bytes.Contains(last, []byte(`"done":true`)) // no text of a model holds a quote that is not escaped
	}
	for _, ending := range []string{"data: [DONE]", "event: message_stop", "event: response.completed"} {
		if bytes.HasPrefix(last, []byte(ending)) {
			return true
		}
	}
	return false
}
