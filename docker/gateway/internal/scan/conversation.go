package scan

import "github.com/cespare/xxhash/v2"

const (
	// textBytes is how much of a message goes into a prefix hash: enough to tell conversations apart.
	textBytes = 4096
	// promptBytes is how much of a bare prompt does: a conversation in such a prompt grows at its end, so
	// the less is looked at, the earlier do its turns agree.
	promptBytes = 128
)

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
