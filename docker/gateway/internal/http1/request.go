package http1

import "bytes"

// Request is the head of a plain request: a POST in HTTP/1.1 with a body of known length. Its slices point
// into what was read.
type Request struct {
	Size   int    // of the head, with the line that ends it
	Path   []byte // the whole target: plain requests have no query
	Length int64  // of the body
	Close  bool   // the client wants the connection closed afterwards

	Authorization []byte
	APIKey        []byte
	RequestID     []byte
	Traceparent   []byte
	Fields        []byte // the header lines for a worker, each with its end
}

// Verdict is what a head turned out to be.
type Verdict int

const (
	// Plain heads have been read.
	Plain Verdict = iota
	// Partial heads go on.
	Partial
	// Other requests, good or bad, are for net/http.
	Other
)

const (
	method  = "POST /"
	version = " HTTP/1.1\r\n"
)

// ParseRequest reads the head at the start of data into r. Lines for the worker are appended to r.Fields.
// It takes nothing that net/http would refuse or understand in another way.
func ParseRequest(r *Request, data []byte) Verdict {
	if n := min(len(data), len(method)); string(data[:n]) != method[:n] {
		return Other
	}
	end := bytes.Index(data, headEnd)
	if end < 0 {
		return Partial
	}
	*r = Request{Size: end + len(headEnd), Length: -1, Fields: r.Fields[:0]}
	line := bytes.IndexByte(data, '\n') + 1
	path := line - len(version)
	if path < len(method) || string(data[path:line]) != version {
		return Other
	}
	if r.Path = data[len(method)-1 : path]; !simple(r.Path) {
		return Other
	}
	lines := data[line : end+len(lineEnd)]
	hosts := 0
	for len(lines) > 0 {
		name, value, line, rest, ok := cutField(lines)
		if !ok || !plain(value) {
			return Other
		}
		lines = rest
		switch kind(name) {
		case passed, contentType, date, ours:
			r.Fields = append(r.Fields, line...)
		case requestID:
			if r.RequestID == nil {
				r.RequestID = value
			}
			r.Fields = append(r.Fields, line...)
		case traceparent:
			r.Traceparent = value
			r.Fields = append(r.Fields, line...)
		case host:
			if hosts++; !hostName(value) {
				return Other
			}
		case contentLength:
			if r.Length >= 0 {
				return Other
			}
			if r.Length, ok = number(value); !ok {
				return Other
			}
		case authorization:
			if r.Authorization != nil {
				return Other
			}
			r.Authorization = value
		case apiKey:
			if r.APIKey != nil {
				return Other
			}
			r.APIKey = value
		case connection:
			switch {
			case is(value, "close"):
				r.Close = true
			case !is(value, "keep-alive"):
				return Other
			}
		case transferEncoding, contentEncoding, unusual:
			return Other
		case ended:
		}
	}
	if hosts != 1 || r.Length < 0 {
		return Other
	}
	return Plain
}

// simple tells whether a path has nothing that could be written or read in another way.
func simple(path []byte) bool {
	for _, c := range path {
		if !letters[c] && c != '/' {
			return false
		}
	}
	return true
}

// hostName tells whether a Host header is a name or an address with nothing odd in it.
func hostName(value []byte) bool {
	for _, c := range value {
		if !letters[c] && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(value) > 0
}
