// Package modelname reads model names as Ollama does, so that every spelling of a model is routed to
// the nodes that hold it.
package modelname

import "strings"

const (
	defaultHost      = "registry.ollama.ai"
	defaultNamespace = "library"
	defaultTag       = "latest"
)

// Canonical returns the full name in lower case, host/namespace/model:tag, with Ollama's defaults for
// the parts left out: "Tiny" and "library/tiny:latest" are one model. Ollama compares names without
// regard to case. An empty name stays empty.
func Canonical(name string) string {
	if name == "" {
		return ""
	}
	name = strings.ToLower(name)
	if scheme := strings.Index(name, "://"); scheme >= 0 {
		name = name[scheme+3:]
	}
	tag := defaultTag
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		if name[colon+1:] != "" {
			tag = name[colon+1:]
		}
		name = name[:colon]
	}
	host, namespace := defaultHost, defaultNamespace
	if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
		rest := name[:slash]
		name = name[slash+1:]
		if slash := strings.LastIndexByte(rest, '/'); slash >= 0 {
			host, rest = rest[:slash], rest[slash+1:]
		}
		namespace = rest
	}
	return host + "/" + namespace + "/" + name + ":" + tag
}

// Short returns the name as Ollama lists it: host and namespace only where they are not the default,
// and always the tag.
func Short(name string) string {
	canonical := Canonical(name)
	canonical = strings.TrimPrefix(canonical, defaultHost+"/")
	return strings.TrimPrefix(canonical, defaultNamespace+"/")
}

// Valid tells whether name is written as a model's can be: parts of letters, digits and a few signs, within
// the lengths that Ollama takes.
func Valid(name string) bool {
	colon := strings.LastIndexByte(name, ':')
	tagged := colon > strings.LastIndexByte(name, '/')
	if tagged {
		if !part(name[colon+1:], maxPart, "-._") {
			return false
		}
		name = name[:colon]
	}
	parts := strings.Split(name, "/")
	last := len(parts) - 1
	if last > 2 || !part(parts[last], maxPart, "-._") {
		return false
	}
	if last > 0 && !part(parts[last-1], maxPart, "-_") {
		return false
	}
	return last < 2 || part(parts[0], maxHost, "-._:")
}

// Lengths of a name's parts.
const (
	maxPart = 80
	maxHost = 350
)

func part(text string, most int, signs string) bool {
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case i > 0 && strings.IndexByte(signs, c) >= 0:
		default:
			return false
		}
	}
	return len(text) > 0 && len(text) <= most
}

// Namespace returns the part that the OpenAI API calls the owner.
func Namespace(name string) string {
	canonical := Canonical(name)
	canonical = canonical[:strings.LastIndexByte(canonical, '/')]
	return canonical[strings.LastIndexByte(canonical, '/')+1:]
}
