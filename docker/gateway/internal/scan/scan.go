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

	"github.com/cespare/xxhash/v2"
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

const (
	// textBytes is how much of a message goes into a prefix hash: enough to tell conversations apart.
	textBytes = 4096
	// promptBytes is how much of a bare prompt does: a conversation in such a prompt grows at its end, so
	// the less is looked at, the earlier do its turns agree.
	promptBytes = 128
)

// found is what a body holds, before it is judged.
type found struct {
	model, name, source   []byte
	stream                bool
	options               int  // how many there are
	zeroTemperature, seed bool // of what is read by the worker
	keepAlive             bool
	system, prompt, input span
	context               span // the tokens of the turns before
	messages              bool // there is one at least
	systemMessage, first  span // texts of a conversation's first messages
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
		f.model = named(value, f.model)
	case "name":
		f.name = named(value, f.name)
	case "source":
		f.source = named(value, f.source)
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
	for _, name := range [][]byte{f.model, f.name, f.source} {
		if len(name) > 0 {
			fields.Model = name
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

// prefix returns the hashes of the conversation and of its system prompt.
func (f *found) prefix(api API, b []byte) (conversation, system uint64) {
	switch api {
	case Embed, Embeddings, OpenAIEmbeddings, Other:
		return 0, 0 // nothing is generated, so there is nothing to be used again
	}
	first, limit := f.first, textBytes
	if first.empty() {
		limit = promptBytes
		for _, bare := range []span{f.context, f.prompt, f.input} {
			if first.empty() {
				first = bare
			}
		}
	}
	before := f.system
	if before.empty() {
		before = f.systemMessage
	}
	if before.empty() && first.empty() {
		return 0, 0
	}
	var hash xxhash.Digest
	hash.Reset()
	if !before.empty() {
		_, _ = hash.Write(cut(before.of(b), textBytes)) // never fails
		system = hash.Sum64()
	}
	_, _ = hash.Write([]byte{0})
	_, _ = hash.Write(cut(first.of(b), limit))
	return hash.Sum64(), system
}

func cut(b []byte, limit int) []byte { return b[:min(len(b), limit)] }

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

// messages finds the texts that a conversation begins with: of the first system message before the first
// message of the user, and of that.
func (s *scanner) messages(from int, f *found) int {
	f.systemMessage, f.first, f.messages = span{}, span{}, false
	if at(s.b, from) != '[' {
		return s.skip(from, 1)
	}
	a := array{walk{at: from + 1}}
	for s.element(&a) {
		f.messages = true
		if f.first.empty() && at(s.b, a.at) == '{' {
			a.at = s.message(a.at, f)
		} else {
			a.at = s.skip(a.at, 2)
		}
	}
	return a.end()
}

func (s *scanner) message(from int, f *found) int {
	var role, content span
	o := object{walk: walk{at: from + 1}}
	for s.next(&o) {
		start := o.at
		if string(o.key) == "content" {
			content, o.at = s.text(start, 3)
			continue
		}
		o.at = s.skip(start, 3)
		if string(o.key) == "role" {
			role = inner(s.b, start, o.at)
		}
	}
	switch string(role.of(s.b)) {
	case "system", "developer":
		if f.systemMessage.empty() {
			f.systemMessage = content
		}
	case "user":
		f.first = content
	}
	return o.end()
}

// text returns the text of a message: a string, or the first text among its parts. Other parts, and what
// is noted beside a text, may change from turn to turn.
func (s *scanner) text(from, depth int) (found span, end int) {
	if at(s.b, from) != '[' {
		end = s.skip(from, depth)
		return inner(s.b, from, end), end
	}
	a := array{walk{at: from + 1}}
	for s.element(&a) {
		if !found.empty() || at(s.b, a.at) != '{' {
			a.at = s.skip(a.at, depth+1)
			continue
		}
		o := object{walk: walk{at: a.at + 1}}
		for s.next(&o) {
			start := o.at
			o.at = s.skip(start, depth+2)
			if o.at >= 0 && string(o.key) == "text" && at(s.b, start) == '"' {
				found = inner(s.b, start, o.at)
			}
		}
		a.at = o.end()
	}
	if end = a.end(); found.empty() {
		found = inner(s.b, from, end)
	}
	return found, end
}

// inner is what stands between the quotes or brackets of a value; of any other value, nothing.
func inner(b []byte, from, to int) span {
	if from < to && (b[from] == '"' || b[from] == '[') {
		return span{from + 1, to - 1}
	}
	return span{from, from}
}

// named returns the string that value is. Null leaves what was said before; any other value is no name.
func named(value, before []byte) []byte {
	switch value[0] {
	case 'n':
		return before
	case '"':
		return unescape(value)
	}
	return nil
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
