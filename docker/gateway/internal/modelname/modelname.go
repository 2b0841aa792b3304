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

// Namespace returns the part that the OpenAI API calls the owner.
func Namespace(name string) string {
	canonical := Canonical(name)
	canonical = canonical[:strings.LastIndexByte(canonical, '/')]
	return canonical[strings.LastIndexByte(canonical, '/')+1:]
}
