package scan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"ollamamax/gateway/internal/scan"
)

func read(t *testing.T, api scan.API, body string) scan.Fields {
	t.Helper()
	fields, err := scan.Body(api, []byte(body))
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return fields
}

func TestTheModelIsTheFirstNameThatTheBodyHas(t *testing.T) {
	for body, model := range map[string]string{
		`{"model":"tiny"}`:                         "tiny",
		` {"stream":false , "model" : "a/b:c"} `:   "a/b:c",
		`{"name":"older"}`:                         "older",
		`{"source":"of a copy","destination":"x"}`: "of a copy",
		`{"name":"second","model":"first"}`:        "first",
		`{"model":"","name":"second"}`:             "second",
		`{"model":"a","model":"b"}`:                "b",
		`{"model":"a","model":null}`:               "a",
		`{"model":7,"name":"second"}`:              "second",
		`{"MODEL":"tiny"}`:                         "tiny",
		`{"mod\u0065l":"tiny"}`:                    "tiny",
		`{"model":"t\u0069ny"}`:                    "tiny",
		`{"ſource":"tiny"}`:                        "tiny",
		`{"model":"` + "\xff" + `"}`:               "\uFFFD",
		`{"messages":[{"model":"inner"}]}`:         "",
		`{"model":"tiny"} and what follows`:        "tiny",
		`null`:                                     "",
		`["model"]`:                                "",
		`{}`:                                       "",
	} {
		if fields := read(t, scan.Chat, body); string(fields.Model) != model {
			t.Errorf("%s: model %q, not %q", body, fields.Model, model)
		}
	}
}

func TestARenamedBodyIsTheSameForAnotherModel(t *testing.T) {
	for body, renamed := range map[string]string{
		`{"model":"tiny"}`: `{"model":"other"}`,
		`{"stream":false , "MODEL" : "a/b:c" ,"prompt":"\u00e9"} more`: `{"stream":false , "MODEL" : "other" ,"prompt":"\u00e9"} more`,
		`{"model":"a","model":"t\u0069ny","model":null}`:               `{"model":"a","model":"other","model":null}`,
		`{"name":"second","model":""}`:                                 `{"name":"other","model":""}`,
	} {
		fields := read(t, scan.Chat, body)
		if got := fields.Rename([]byte("> "), []byte(body), []byte(`"other"`)); string(got) != "> "+renamed {
			t.Errorf("%s: became %s", body, got)
		}
	}
}

func TestABodyThatIsNotJSONIsRefusedInTheStandardLibrarysWords(t *testing.T) {
	for _, body := range []string{
		"", "  ", "{", `{"model"`, `{"model":`, `{"model":"tiny"`, `{"model":"tiny",}`, `{model:"tiny"}`, "\xef\xbb\xbf{}",
		`{"a":01}`, `{"a":1.}`, `{"a":+1}`, `{"a":-}`, `{"a":1e}`, `{"a":tru}`, `{"a":[1,]}`, `{"a":[1}`, `{"a":"\x"}`,
		`{"a":"\u00g0"}`, "{\"a\":\"\n\"}", "{\"a\":\"\\u\x11\x11\x11\x11\"}", `[`, `"`, `nul`,
		strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001),
	} {
		_, err := scan.Body(scan.Generate, []byte(body))
		want := json.NewDecoder(strings.NewReader(body)).Decode(&struct{}{})
		if want == nil || err == nil || err.Error() != want.Error() {
			t.Errorf("%.40q: %v, not %v", body, err, want)
		}
	}
	if _, err := scan.Body(scan.Chat, nil); !errors.Is(err, io.EOF) {
		t.Errorf("an empty body is not io.EOF but %v", err)
	}
}

func TestNestingIsReadAsDeepAsTheWorkerReadsIt(t *testing.T) {
	deep := `{"tools":` + strings.Repeat(`[`, 9999) + strings.Repeat(`]`, 9999) + `,"model":"tiny"}`
	if fields := read(t, scan.Chat, deep); string(fields.Model) != "tiny" {
		t.Errorf("model %q", fields.Model)
	}
}

func TestAStreamIsWhatTheBodySaysOrElseTheAPIsDefault(t *testing.T) {
	for _, c := range []struct {
		api    scan.API
		body   string
		stream bool
	}{
		{scan.Generate, `{}`, true},
		{scan.Chat, `{}`, true},
		{scan.Chat, `{"stream":false}`, false},
		{scan.Chat, `{"stream":true,"stream":false}`, false},
		{scan.Chat, `{"stream":false,"stream":null}`, true},
		{scan.Chat, `{"Stream":false}`, false},
		{scan.Embed, `{"stream":true}`, false},
		{scan.OpenAIChat, `{}`, false},
		{scan.OpenAIChat, `{"stream":true}`, true},
		{scan.OpenAIChat, `{"stream":true,"stream":null}`, true},
		{scan.OpenAIEmbeddings, `{"stream":true}`, false},
		{scan.AnthropicMessages, `{"stream":true}`, true},
		{scan.Other, `{}`, false},
	} {
		if fields := read(t, c.api, c.body); fields.Stream != c.stream {
			t.Errorf("%d %s: stream is %v", c.api, c.body, fields.Stream)
		}
	}
}

func TestOnlyARequestWithoutChanceIsDeterministic(t *testing.T) {
	for _, c := range []struct {
		api           scan.API
		body          string
		deterministic bool
	}{
		{scan.Generate, `{"prompt":"p"}`, false},
		{scan.Generate, `{"prompt":"p","options":{"temperature":0}}`, true},
		{scan.Generate, `{"prompt":"p","options":{"temperature":0.0}}`, true},
		{scan.Generate, `{"prompt":"p","options":{"temperature":0.1}}`, false},
		{scan.Generate, `{"prompt":"p","options":{"temperature":0,"temperature":1}}`, false},
		{scan.Generate, `{"prompt":"p","options":{"Temperature":0}}`, false}, // a map to the worker
		{scan.Generate, `{"prompt":"p","options":{"temperature":0,"t\u0065mperature":1}}`, false},
		{scan.Generate, `{"prompt":"p","options":{"temperature":0},"options":{"temperature":1}}`, false},
		{scan.Generate, `{"prompt":"p","temperature":0}`, false}, // not where Ollama looks
		{scan.Chat, `{"prompt":"p","options":{"seed":7}}`, true},
		{scan.Chat, `{"prompt":"p","options":{"seed":0}}`, true},
		{scan.Chat, `{"prompt":"p","options":{"seed":-1}}`, false},
		{scan.Chat, `{"prompt":"p","options":{"seed":-1.5}}`, false},
		{scan.Chat, `{"prompt":"p","options":{"seed":4294967295}}`, false},
		{scan.Chat, `{"prompt":"p","options":{"seed":null,"temperature":null}}`, false},
		{scan.Chat, `{"prompt":"p","options":null}`, false},
		{scan.OpenAIChat, `{"temperature":0}`, true},
		{scan.OpenAIChat, `{"temperature":0,"temperature":1}`, false},
		{scan.OpenAIChat, `{"seed":7}`, true},
		{scan.OpenAIChat, `{"options":{"temperature":0}}`, false},
		{scan.OpenAICompletions, `{"Temperature":0}`, true},
		{scan.OpenAIResponses, `{"temperature":0}`, false}, // may search the web
		{scan.AnthropicMessages, `{"temperature":0}`, false},
		{scan.Embed, `{}`, true},
		{scan.Embeddings, `{}`, true},
		{scan.OpenAIEmbeddings, `{}`, true},
		{scan.Other, `{"temperature":0,"options":{"temperature":0}}`, false},
	} {
		if fields := read(t, c.api, c.body); fields.Deterministic != c.deterministic {
			t.Errorf("%d %s: deterministic is %v", c.api, c.body, fields.Deterministic)
		}
	}
}

func TestARequestThatLoadsAModelOrSaysHowLongItStaysIsACommand(t *testing.T) {
	for _, c := range []struct {
		api      scan.API
		body     string
		commands bool
	}{
		{scan.Generate, `{}`, true},
		{scan.Generate, `{"prompt":""}`, true},
		{scan.Generate, `{"prompt":"p"}`, false},
		{scan.Generate, `{"prompt":"p","keep_alive":0}`, true},
		{scan.Generate, `{"prompt":"p","keep_alive":null}`, false},
		{scan.Chat, `{"messages":[]}`, true},
		{scan.Chat, `{"messages":[{"role":"user","content":""}]}`, false},
		{scan.Embed, `{"input":""}`, true},
		{scan.Embed, `{"input":["a"]}`, false},
		{scan.OpenAIChat, `{"messages":[{"role":"user","content":"x"}],"keep_alive":0}`, false}, // unknown there
	} {
		if fields := read(t, c.api, c.body); fields.Commands != c.commands {
			t.Errorf("%d %s: commands is %v", c.api, c.body, fields.Commands)
		}
	}
}

func TestEveryTurnOfAConversationHasOnePrefix(t *testing.T) {
	for name, turns := range map[string]struct {
		api    scan.API
		bodies []string
	}{
		"chat": {scan.Chat, []string{
			`{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}`,
			`{"messages":[{"role":"system","content":"s"},{"content":"u","role":"user"},{"role":"assistant","content":"a"},{"role":"user","content":"v"}],"stream":false}`,
		}},
		"without a system prompt": {scan.OpenAIChat, []string{
			`{"messages":[{"role":"user","content":"u"}]}`,
			`{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"tool","content":"r"}]}`,
		}},
		"of parts, with notes that move": {scan.AnthropicMessages, []string{
			`{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"u","cache_control":{"type":"ephemeral"}}]}]}`,
			`{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"u"}]},{"role":"assistant","content":"a"},{"role":"user","content":"v"}]}`,
		}},
		"responses": {scan.OpenAIResponses, []string{
			`{"instructions":"s","input":[{"role":"user","content":"u"}]}`,
			`{"instructions":"s","input":[{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"user","content":"v"}]}`,
		}},
		"a growing prompt": {scan.Generate, []string{
			`{"prompt":"` + strings.Repeat("once ", 30) + `"}`,
			`{"prompt":"` + strings.Repeat("once ", 30) + ` upon a time"}`,
		}},
		"tokens of the turns before": {scan.Generate, []string{
			`{"prompt":"v","context":[` + strings.Repeat("12345,", 30) + `1]}`,
			`{"prompt":"w","context":[` + strings.Repeat("12345,", 30) + `1,2,3]}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			first := read(t, turns.api, turns.bodies[0])
			if first.Prefix == 0 {
				t.Fatal("no prefix")
			}
			for _, body := range turns.bodies[1:] {
				if fields := read(t, turns.api, body); fields.Prefix != first.Prefix || fields.System != first.System {
					t.Errorf("%s has another prefix", body)
				}
			}
		})
	}
}

func TestConversationsDifferByTheirFirstMessageAndShareTheirSystemPrompt(t *testing.T) {
	one := read(t, scan.Chat, `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}`)
	two := read(t, scan.Chat, `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"v"}]}`)
	other := read(t, scan.Chat, `{"messages":[{"role":"system","content":"t"},{"role":"user","content":"u"}]}`)
	none := read(t, scan.Chat, `{"messages":[{"role":"user","content":"u"}]}`)
	if one.Prefix == two.Prefix || one.Prefix == other.Prefix || one.Prefix == none.Prefix {
		t.Error("different conversations have one prefix")
	}
	if one.System == 0 || one.System != two.System || one.System == other.System || none.System != 0 {
		t.Errorf("system prompts: %x %x %x %x", one.System, two.System, other.System, none.System)
	}
	if fields := read(t, scan.Embed, `{"input":"text"}`); fields.Prefix != 0 || fields.System != 0 {
		t.Error("an embedding has a prefix: nothing of it is used again")
	}
}

func TestOrdinaryBodiesAreReadWithoutAllocating(t *testing.T) {
	body := []byte(`{"model":"llama2:7b","messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"Grüße\n"}],` +
		`"options":{"temperature":0,"num_ctx":4096},"stream":false,"think":false,"tools":[{"type":"function","function":{"name":"f"}}]}`)
	if allocations := testing.AllocsPerRun(100, func() {
		if fields, err := scan.Body(scan.Chat, body); err != nil || len(fields.Model) == 0 {
			t.Fatal(err)
		}
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// asDecoded is what the worker makes of a body.
type asDecoded struct {
	Model  string `json:"model"`
	Name   string `json:"name"`
	Source string `json:"source"`
}

func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"model":"tiny","stream":false,"messages":[{"role":"user","content":"x"}]}`,
		`{"MODEL":"\u0074","ſtream":true,"stream":null,"options":{"seed":1,"temperature":0e1}}`,
		`{"model":null,"name":"a","model":"b","keep_alive":"5m","prompt":"\ud800","input":["a",{"b":[null,1.5e-3]}]} trailing`,
		`[{"model":1}]`, `{"a":[[[{}]]],"b":{"c":"\\\"/"}}`, "{\"model\":\"\xff\x00\"}", ` "x" `, `-0.1e+5`,
	} {
		f.Add(uint8(scan.Chat), []byte(body))
		f.Add(uint8(scan.OpenAIChat), []byte(body))
	}
	f.Fuzz(func(t *testing.T, api uint8, body []byte) {
		kind := scan.API(api % uint8(scan.AnthropicMessages+1))
		before := bytes.Clone(body)
		fields, err := scan.Body(kind, body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was altered")
		}
		var ollama struct {
			asDecoded
			Stream *bool `json:"stream"`
		}
		var openAI struct {
			asDecoded
			Stream bool `json:"stream"`
		}
		names, stream := &openAI.asDecoded, false
		var want error
		switch kind {
		case scan.Generate, scan.Chat:
			want = json.NewDecoder(bytes.NewReader(body)).Decode(&ollama)
			names, stream = &ollama.asDecoded, ollama.Stream == nil || *ollama.Stream
		case scan.OpenAIChat, scan.OpenAICompletions, scan.OpenAIResponses, scan.AnthropicMessages:
			want = json.NewDecoder(bytes.NewReader(body)).Decode(&openAI)
			stream = openAI.Stream
		default:
			want = json.NewDecoder(bytes.NewReader(body)).Decode(names)
		}
		var wrongType *json.UnmarshalTypeError
		switch {
		case errors.As(want, &wrongType):
			if err != nil {
				t.Fatalf("refused what the worker words: %v", err)
			}
			return
		case want != nil:
			if err == nil || err.Error() != want.Error() {
				t.Fatalf("%v, not %v", err, want)
			}
			return
		case err != nil:
			t.Fatalf("refused what the worker takes: %v", err)
		}
		model := names.Model
		for _, other := range []string{names.Name, names.Source} {
			if model == "" {
				model = other
			}
		}
		if string(fields.Model) != model {
			t.Fatalf("model %q, not %q", fields.Model, model)
		}
		if model != "" {
			compareRenamed(t, kind, fields, body)
		}
		if fields.Stream != stream && kind != scan.Other {
			t.Fatalf("stream %v, not %v", fields.Stream, stream)
		}
		compareChance(t, kind, fields, body)
	})
}

// compareRenamed checks that the worker takes a renamed body for the same request of another model.
func compareRenamed(t *testing.T, kind scan.API, fields scan.Fields, body []byte) {
	t.Helper()
	renamed, err := scan.Body(kind, fields.Rename(nil, body, []byte(`"another"`)))
	if err != nil || string(renamed.Model) != "another" {
		t.Fatalf("renamed, the model is %q: %v", renamed.Model, err)
	}
	if renamed.Stream != fields.Stream || renamed.Prefix != fields.Prefix || renamed.Commands != fields.Commands ||
		renamed.Deterministic != fields.Deterministic {
		t.Fatalf("%+v became %+v", fields, renamed)
	}
}

// compareChance checks that no request is called deterministic that the worker would sample.
func compareChance(t *testing.T, kind scan.API, fields scan.Fields, body []byte) {
	t.Helper()
	if !fields.Deterministic {
		return
	}
	switch kind {
	case scan.Generate, scan.Chat:
		var sent struct {
			Options map[string]any `json:"options"`
		}
		if json.NewDecoder(bytes.NewReader(body)).Decode(&sent) != nil {
			return // refused by the worker
		}
		temperature, given := sent.Options["temperature"].(float64)
		seed, seeded := sent.Options["seed"].(float64)
		if (!given || temperature != 0) && (!seeded || seed < 0) {
			t.Fatalf("chance in %v", sent.Options)
		}
	case scan.OpenAIChat, scan.OpenAICompletions:
		var sent struct {
			Temperature *float64 `json:"temperature"`
			Seed        *int     `json:"seed"`
		}
		if json.NewDecoder(bytes.NewReader(body)).Decode(&sent) != nil {
			return
		}
		if (sent.Temperature == nil || *sent.Temperature != 0) && (sent.Seed == nil || *sent.Seed < 0) {
			t.Fatalf("chance in %v", sent)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	for name, body := range map[string]string{
		"200B": `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("a few words ", 8) + `"}],"stream":true,"options":{"temperature":0}}`,
		"1MB":  `{"model":"tiny","prompt":"` + strings.Repeat(`some lines of text\n`, 1<<20/19) + `"}`,
	} {
		b.Run(name, func(b *testing.B) {
			text := []byte(body)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scan.Body(scan.Chat, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
