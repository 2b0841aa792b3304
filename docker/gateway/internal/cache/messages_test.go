package cache_test

import (
	"slices"
	"strings"
	"testing"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/stream"
)

const (
	ndjson = "application/x-ndjson"
	events = "text/event-stream; charset=utf-8"
)

func TestAStreamIsCutIntoItsMessages(t *testing.T) {
	for _, c := range []struct {
		contentType string
		messages    []string
	}{
		{ndjson, []string{"{\"response\":\"a\"}\n", "{\"done\":true}\n"}},
		{ndjson, []string{"{\"response\":\"a\"}\n", "{\"done\":true}"}},
		{events, []string{"data: {}\n\n", "event: x\ndata: {}\n\n", "data: [DONE]\n\n"}},
		{"application/json; charset=utf-8", []string{"{\n\n\"done\":true}\n"}},
		{"", nil},
	} {
		var messages []string
		for rest := []byte(strings.Join(c.messages, "")); len(rest) > 0; {
			var message []byte
			message, rest = cache.Message(stream.FormatOf(c.contentType), rest)
			messages = append(messages, string(message))
		}
		if !slices.Equal(messages, c.messages) {
			t.Errorf("%q, not %q", messages, c.messages)
		}
	}
}

func TestOnlyAnAnswerThatSaysAllIsComplete(t *testing.T) {
	for _, c := range []struct {
		contentType, body string
		complete          bool
	}{
		{"application/json", `{"done":true}`, true},
		{"application/json", ` `, false},
		{ndjson, "{\"response\":\"a\"}\n{\"done\":true}\n", true},
		{ndjson, "{\"response\":\"a\"}\n{\"error\":\"out of memory\"}\n", false},
		{ndjson, "{\"response\":\"\\\"done\\\":true\",\"done\":false}\n", false},
		{ndjson, "", false},
		{events, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", true},
		{events, "data: {\"choices\":[]}\n\ndata: {\"error\":{}}\n\n", false},
		{events, "data: {\"text\":\"data: [DONE]\"}\n\n", false},
		{events, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true},
		{events, "event: response.completed\ndata: {}\n\n", true},
		{events, "event: response.failed\ndata: {}\n\n", false},
	} {
		if complete := cache.Complete(c.contentType, []byte(c.body)); complete != c.complete {
			t.Errorf("%s %q: complete is %v", c.contentType, c.body, complete)
		}
	}
}
