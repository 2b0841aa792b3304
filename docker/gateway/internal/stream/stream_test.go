package stream_test

import (
	"strings"
	"testing"

	"ollamamax/gateway/internal/stream"
)

func TestTokensAreThoseThatTheWorkerReportedHoweverItsAnswerIsCutUp(t *testing.T) {
	// As Ollama's openai/responses.go and anthropic/anthropic.go write them.
	const (
		response = `{"id":"resp_1","object":"response","status":"completed","output":[{"id":"msg_1","type":"message","role":"assistant",` +
			`"content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}]}],"tools":[{"type":"function","name":"f",` +
			`"parameters":{"properties":{"eval_count":1,"prompt_tokens":1,"output_tokens":1}}}],"usage":{"input_tokens":12,"output_tokens":34,` +
			`"total_tokens":46,"input_tokens_details":{"cached_tokens":5},"output_tokens_details":{"reasoning_tokens":6}},` +
			`"max_output_tokens":56,"max_tool_calls":null,"store":false,"service_tier":"default","metadata":{},"prompt_cache_key":null}`
		responseEvents = "event: response.created\ndata: {\"response\":{\"max_output_tokens\":56,\"status\":\"in_progress\",\"usage\":null}," +
			"\"sequence_number\":0,\"type\":\"response.created\"}\n\n" +
			"event: response.output_text.delta\ndata: {\"delta\":\"a\",\"sequence_number\":1,\"type\":\"response.output_text.delta\"}\n\n" +
			"event: response.completed\ndata: {\"response\":{\"max_output_tokens\":56,\"status\":\"completed\",\"tools\":[{\"parameters\":" +
			"{\"eval_count\":1,\"prompt_tokens\":1}}],\"usage\":{\"input_tokens\":12,\"input_tokens_details\":{\"cached_tokens\":5}," +
			"\"output_tokens\":34,\"output_tokens_details\":{\"reasoning_tokens\":6},\"total_tokens\":46}}," +
			"\"sequence_number\":2,\"type\":\"response.completed\"}\n\n"
		message = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"t","name":"f",` +
			`"input":{"eval_count":1,"prompt_eval_count":1}}],"stop_reason":"tool_use","usage":{"input_tokens":12,"output_tokens":34}}`
		messageEvents = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"content\":[]," +
			"\"usage\":{\"input_tokens\":9,\"output_tokens\":0}}}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}," +
			"\"usage\":{\"input_tokens\":12,\"output_tokens\":34}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	)
	long := strings.Repeat(`{"response":"a word"}`+"\n", 200)
	for name, c := range map[string]struct {
		format             stream.Format
		answer             string
		prompt, completion int64
	}{
		"Ollama's":              {stream.Lines, long + `{"done":true,"prompt_eval_count":12,"eval_count":34}` + "\n", 12, 34},
		"one document":          {stream.Whole, `{"response":"a","prompt_eval_count": 12,"eval_count": 34}`, 12, 34},
		"OpenAI's":              {stream.Events, "data: {\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34}}\n\ndata: [DONE]\n\n", 12, 34},
		"a response":            {stream.Whole, response, 12, 34},
		"a response's events":   {stream.Events, responseEvents, 12, 34},
		"a message":             {stream.Whole, message, 12, 34},
		"a message's events":    {stream.Events, messageEvents, 12, 34},
		"details and a limit":   {stream.Whole, `{"usage":{"input_tokens_details":{"cached_tokens":5}},"max_output_tokens":56}`, 0, 0},
		"the last of several":   {stream.Whole, `{"eval_count":1,"eval_count":34}`, 0, 34},
		"of a cached prompt":    {stream.Lines, `{"done":true,"eval_count":34}` + "\n", 0, 34},
		"events without usage":  {stream.Events, strings.Repeat("data: {}\n\n", 5) + "data: [DONE]\n\n", 0, 4},
		"lines without counts":  {stream.Lines, strings.Repeat("{}\n", 5), 0, 4},
		"a single message":      {stream.Lines, "{\"error\":\"x\"}\n", 0, 0},
		"a document without":    {stream.Whole, "{}", 0, 0},
		"what the model quotes": {stream.Whole, `{"response":"\"eval_count\":7"}`, 0, 0},
		"no number":             {stream.Whole, `{"eval_count":"7"}`, 0, 0},
		"a number too large":    {stream.Whole, `{"eval_count":99999999999999999999}`, 0, 0},
	} {
		for _, size := range []int{len(c.answer), 1023, 100} {
			var counter stream.Counter
			for rest := c.answer; rest != ""; {
				n := min(size, len(rest))
				if c.format == stream.Events { // a message is counted by its beginning, where that is in one piece
					n = strings.Index(rest, "\n\n") + 2
				}
				counter.Add([]byte(rest[:n]), c.format)
				rest = rest[n:]
			}
			if prompt, completion := counter.Tokens(); prompt != c.prompt || completion != c.completion {
				t.Errorf("%s, in pieces of %d: %d and %d", name, size, prompt, completion)
			}
			if ends := strings.HasSuffix(c.answer, "\n"); counter.EndsLine() != ends {
				t.Errorf("%s, in pieces of %d: ends a line: %v", name, size, !ends)
			}
			counter.Reset()
			if prompt, completion := counter.Tokens(); prompt != 0 || completion != 0 || counter.Messages() != 0 || !counter.EndsLine() {
				t.Errorf("%s: a counter that was reset knows %d and %d", name, prompt, completion)
			}
		}
	}
}

func TestABrokenAnswerIsClosedOffInItsOwnFormat(t *testing.T) {
	for _, c := range []struct {
		contentType string
		lineEnded   bool
		want        string
	}{
		{"application/x-ndjson", true, "{\"error\":\"broken\"}\n"},
		{"Application/X-NDJSON; charset=utf-8", false, "\n{\"error\":\"broken\"}\n"},
		{"text/event-stream", true, "data: {\"error\":\"broken\"}\n\n"},
		{"text/event-stream ;a=b", false, "\n\ndata: {\"error\":\"broken\"}\n\n"},
		{"application/json", false, ""},
		{"", false, ""},
	} {
		if got := stream.FormatOf(c.contentType).ErrorEnding("/api/chat", "broken", c.lineEnded); string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.contentType, got, c.want)
		}
	}
}
