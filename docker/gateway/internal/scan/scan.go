// Package scan reads of a request's body what routing and caching need to know, without decoding it.
//
// It reads as the workers do, which use the standard library's decoder: names of fields without regard
// to case, the last of several fields of one name, null as nothing said. What it finds is therefore what
// the worker acts on; a fuzzer compares the two.
package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// API is a route whose bodies are read.
type API uint8

// The routes. Other is every route that this list has not.
const (
	Other API = iota
	Generate
	Chat
	Embed
	Embeddings // Ollama's older route: one prompt, one embedding
	OpenAIChat
	OpenAICompletions
	OpenAIEmbeddings
	OpenAIResponses
	AnthropicMessages
)

// Of returns the API of a path.
func Of(path string) API {
	switch path {
	case "/api/generate":
		return Generate
	case "/api/chat":
		return Chat
	case "/api/embed":
		return Embed
	case "/api/embeddings":
		return Embeddings
	case "/v1/chat/completions":
		return OpenAIChat
	case "/v1/completions":
		return OpenAICompletions
	case "/v1/embeddings":
		return OpenAIEmbeddings
	case "/v1/responses":
		return OpenAIResponses
	case "/v1/messages":
		return AnthropicMessages
	}
	return Other
}

// Fields is what a body says.
type Fields struct {
	// Model is the first of model, name and source that is not empty, as the client spelt it. It is part of
	// the body unless it had to be unescaped.
	Model []byte
	// at is where the body says so: a string with its quotes.
	at span
	// Stream tells whether the answer comes in pieces, by the default of the API where the body is silent.
	Stream bool
	// Deterministic tells that the same body always gets the same answer from the same model: its
	// temperature is 0 or it gives a seed, or it asks for embeddings.
	Deterministic bool
	// Commands tells that the request does more than ask: it says how long the model stays loaded, or only
	// has it loaded. An answer out of a cache would not obey it.
	Commands bool
	// Prefix names the conversation, in the same way at each of its turns: system prompt and first message of
	// the user. System names the system prompt alone. Zero: there is none. All gateways agree on both.
	Prefix, System uint64
}

// span is a part of a body, from its first byte to behind its last.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

func (s span) empty() bool { return s.from == s.to }

// fieldNames are the names that Body looks for, in the order of its switch.
var fieldNames = [...]string{
	"model", "name", "source", "stream", "keep_alive", "options", "temperature", "seed",
	"system", "instructions", "prompt", "context", "messages", "input",
}

// word is a string that a body has, and where.
type word struct {
	text []byte
	at   span
}

// found is what a body holds, before it is judged.
type found struct {
	model, name, source   word
	stream                bool
	options               int  // how many there are
	zeroTemperature, seed bool // of what is read by the worker
	keepAlive             bool
	system, prompt, input span
	context               span // the tokens of the turns before
	messages              bool // there is one at least
	systemMessage, first  span // texts of a conversation's first messages
}

// Rename appends body to to, with the string model, in quotes, in the place of Model: the worker reads that
// name, and all else as the client wrote it. There must be a Model.
func (f *Fields) Rename(to, body, model []byte) []byte {
	return append(append(append(to, body[:f.at.from]...), model...), body[f.at.to:]...)
}

// Body reads the first JSON value of a body; like the workers, it does not look at what follows. The error
// is the standard library's, in the words of Ollama: io.EOF where there is no value at all. A value that
// is JSON though not what the API expects is no error here: the worker words it.
func Body(api API, body []byte) (Fields, error) {
	s := scanner{b: body}
	start := space(body, 0)
	if at(body, start) != '{' {
		if err := wording(body); err != nil {
			return Fields{}, err
		}
		return Fields{Stream: api.streams()}, nil
	}
	f := found{stream: api.streams()}
	if !s.top(api, start, &f) {
		return Fields{Stream: api.streams()}, wording(body)
	}
	return f.judge(api, body), nil
}

// wording has the standard library say what is wrong with a body.
func wording(body []byte) error {
	var wrongType *json.UnmarshalTypeError
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&struct{}{})
	if errors.As(err, &wrongType) {
		return nil
	}
	return err
}

func (a API) openAI() bool { return a >= OpenAIChat }

// streams is the API's default.
func (a API) streams() bool { return a == Generate || a == Chat }

// top reads the members of the object at start; false: it is no object.
func (s *scanner) top(api API, start int, f *found) bool {
	o := object{walk: walk{at: start + 1}}
	for s.next(&o) {
		name, from := fieldName(o.key, o.plain), o.at
		switch {
		case name == "messages", name == "input" && api == OpenAIResponses:
			o.at = s.messages(from, f)
		case name == "options" && !api.openAI():
			o.at = s.options(from, f)
		case name == "system", name == "instructions":
			f.system, o.at = s.text(from, 1)
		default:
			o.at = s.skip(from, 1)
		}
		if o.at < 0 {
			return false
		}
		f.note(api, name, s.b, from, o.at)
	}
	return o.closed
}

// note takes what a member of a body says: b[from:to].
func (f *found) note(api API, name string, b []byte, from, to int) {
	value := b[from:to]
	switch name {
	case "model":
		f.model = named(b, from, to, f.model)
	case "name":
		f.name = named(b, from, to, f.name)
	case "source":
		f.source = named(b, from, to, f.source)
	case "stream":
		switch value[0] {
		case 't', 'f':
			f.stream = value[0] == 't'
		case 'n': // to Ollama a null takes back what was said before; to its OpenAI side it says nothing
			if !api.openAI() {
				f.stream = api.streams()
			}
		}
	case "keep_alive":
		f.keepAlive = f.keepAlive || (value[0] != 'n' && !api.openAI())
	case "temperature":
		if api.openAI() {
			f.zeroTemperature = isZero(value)
		}
	case "seed":
		if api.openAI() {
			f.seed = isSeed(value)
		}
	case "prompt":
		f.prompt = inner(b, from, to)
	case "context":
		f.context = inner(b, from, to)
	case "input":
		f.input = inner(b, from, to)
	}
}

func (f *found) judge(api API, body []byte) Fields {
	fields := Fields{Stream: f.stream}
	for _, name := range [...]*word{&f.model, &f.name, &f.source} {
		if len(name.text) > 0 {
			fields.Model, fields.at = name.text, name.at
			break
		}
	}
	sampled := f.options > 1 || (!f.zeroTemperature && !f.seed) // several options are merged: not read here
	switch api {
	case Embed, Embeddings, OpenAIEmbeddings:
		fields.Deterministic, fields.Stream = true, false
	case Generate, Chat, OpenAIChat, OpenAICompletions:
		fields.Deterministic = !sampled
	}
	asks := f.messages || !f.prompt.empty() || !f.input.empty()
	fields.Commands = f.keepAlive || !asks
	fields.Prefix, fields.System = f.prefix(api, body)
	return fields
}

// options reads Ollama's options, a map to the worker: their names are matched to the letter. Like the other
// walks it returns the index behind the value at from, or -1 where that is no JSON.
func (s *scanner) options(from int, f *found) int {
	if at(s.b, from) != '{' {
		return s.skip(from, 1)
	}
	f.options++
	o := object{walk: walk{at: from + 1}}
	for s.next(&o) {
		end := s.skip(o.at, 2)
		if end < 0 {
			return -1
		}
		switch string(o.key) {
		case "temperature":
			f.zeroTemperature = isZero(s.b[o.at:end])
		case "seed":
			f.seed = isSeed(s.b[o.at:end])
		default:
			if !o.plain { // could be either of them, written with escapes
				f.options++
			}
		}
		o.at = end
	}
	return o.end()
}

// isZero tells a number that is nothing but zeros.
func isZero(number []byte) bool {
	zero := false
	for _, c := range number {
		switch c {
		case '0':
			zero = true
		case '.', '-':
		default:
			return false
		}
	}
	return zero
}

// isSeed tells a number that Ollama takes as a seed. A negative one is a wish for chance, and so is the
// largest of 32 bits.
func isSeed(number []byte) bool {
	for _, c := range number {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(number) > 0 && len(number) <= 9
}

// inner is what stands between the quotes or brackets of a value; of any other value, nothing.
func inner(b []byte, from, to int) span {
	if from < to && (b[from] == '"' || b[from] == '[') {
		return span{from + 1, to - 1}
	}
	return span{from, from}
}

// named returns the string that b[from:to] is. Null leaves what was said before; any other value is no name.
func named(b []byte, from, to int, before word) word {
	switch b[from] {
	case 'n':
		return before
	case '"':
		return word{unescape(b[from:to]), span{from, to}}
	}
	return word{}
}

// unescape returns what a quoted string says.
func unescape(quoted []byte) []byte {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return raw
	}
	var decoded string
	if err := json.Unmarshal(quoted, &decoded); err != nil {
		panic(err) // it has been read as a string
	}
	return []byte(decoded)
}

// fieldName returns the name among fieldNames that the worker takes a key for, or "".
func fieldName(key []byte, plain bool) string {
	for _, name := range fieldNames {
		if string(key) == name {
			return name
		}
	}
	if plain && lower(key) {
		return ""
	}
	if !plain {
		key = unescape(append(append([]byte{'"'}, key...), '"'))
	}
	for _, name := range fieldNames {
		if strings.EqualFold(string(key), name) {
			return name
		}
	}
	return ""
}

// lower tells a key that only its exact spelling can match.
func lower(key []byte) bool {
	for _, c := range key {
		if (c >= 'A' && c <= 'Z') || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
