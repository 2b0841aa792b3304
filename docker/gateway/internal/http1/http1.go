// Package http1 reads HTTP/1.1 messages in place: the heads of plain requests, those of answers, and
// chunked bodies. It is strict and knows few things; who needs more asks net/http.
package http1

import (
	"bytes"
	"net/http"
	"strings"
)

// lineEnd closes every line of a head.
const lineEnd = "\r\n"

var headEnd = []byte("\r\n\r\n")

// field is what a header means on its way between client and worker.
type field int

const (
	passed        field = iota // of no concern here: handed on as it is
	ended                      // of one connection or one hop, or a secret that ends at the gateway
	host                       // each hop has its own
	contentLength              // likewise
	contentType
	contentEncoding
	date
	connection
	transferEncoding
	authorization
	apiKey
	requestID
	traceparent
	ours    // the gateway puts it into its answers, whatever the worker says
	unusual // changes how a message is to be read, or what the connection is for
)

// fields are the headers that are not simply handed on, by their names in lower case.
var fields = map[string]field{
	"host": host, "content-length": contentLength, "content-type": contentType, "date": date,
	"connection": connection, "transfer-encoding": transferEncoding,
	"keep-alive": ended, "proxy-authenticate": ended, "proxy-authorization": ended, "proxy-connection": ended,
	"te": ended, "trailer": ended,
	"sec-websocket-protocol": ended, // which may hold a key
	"authorization":          authorization, "x-api-key": apiKey, "x-request-id": requestID, "traceparent": traceparent, "cookie": ended,
	"origin":           ended, // the gateway decides who may ask; Ollama would refuse all but localhost
	"accept-encoding":  ended, // answers pass byte for byte
	"content-encoding": contentEncoding, "expect": unusual, "upgrade": unusual,
	"x-accel-buffering": ours, "x-ollamamax-node": ours, "x-ollamamax-gateway": ours,
}

// byLength are the same, by the lengths of their names.
var byLength = func() (lists [longestField + 1][]namedField) {
	for name, f := range fields {
		lists[len(name)] = append(lists[len(name)], namedField{name, f})
	}
	return lists
}()

// longestField is the length of the longest name in fields.
const longestField = len("sec-websocket-protocol")

type namedField struct {
	name string
	field
}

// kind looks a name up, whatever its case.
func kind(name []byte) field {
	if len(name) <= longestField {
		for _, known := range byLength[len(name)] {
			if is(name, known.name) {
				return known.field
			}
		}
	}
	return passed
}

// ToWorker gives the headers of a request that a worker gets, to add.
func ToWorker(header http.Header, add func(name, value string)) {
	ofHop := map[string]bool{}
	for _, value := range header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			ofHop[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range header {
		if ofHop[name] || !toWorker(kind([]byte(name))) {
			continue
		}
		for _, value := range values {
			add(name, value)
		}
	}
}

func toWorker(f field) bool {
	switch f {
	case passed, contentType, contentEncoding, date, requestID, traceparent, ours:
		return true
	default:
		return false
	}
}

// Characters of a header's name, of a value that every server reads alike, and of simple names.
var (
	tokens  = characters("!#$%&'*+-.^_`|~" + alphanumeric)
	texts   = characters(" \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + alphanumeric)
	letters = characters("-._" + alphanumeric)
)

const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func characters(list string) (set [256]bool) {
	for _, c := range []byte(list) {
		set[c] = true
	}
	return set
}

// cutField takes the first line off a head. ok is false where it is no header.
func cutField(lines []byte) (name, value, line, rest []byte, ok bool) {
	end := bytes.IndexByte(lines, '\n')
	if end < 1 || lines[end-1] != '\r' {
		return nil, nil, nil, nil, false
	}
	line, rest = lines[:end+1], lines[end+1:]
	colon := 0
	for tokens[line[colon]] {
		colon++
	}
	if colon == 0 || line[colon] != ':' {
		return nil, nil, nil, nil, false
	}
	return line[:colon], trim(line[colon+1 : end-1]), line, rest, true
}

// Value returns the first value of a header in lines that have been read, and the lines after it. It is nil
// where there is none.
func Value(lines []byte, name string) (value, rest []byte) {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		line := lines[:end]
		lines = lines[end:]
		if len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name) {
			return trim(line[len(name)+1 : len(line)-len(lineEnd)]), lines
		}
	}
	return nil, nil
}

func trim(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return value
}

// plain tells whether a value is nothing but visible ASCII and blanks.
func plain(value []byte) bool {
	for _, c := range value {
		if !texts[c] {
			return false
		}
	}
	return true
}

// harmless tells whether a value has no control character, which might end it early for someone.
func harmless(value []byte) bool {
	for _, c := range value {
		if c < 0x80 && !texts[c] {
			return false
		}
	}
	return true
}

// maxDigits keeps a length far from what an int64 can't hold.
const maxDigits = 15

// number reads digits alone.
func number(digits []byte) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > maxDigits {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// is compares a value to a word in lower case.
func is(value []byte, word string) bool {
	if len(value) != len(word) {
		return false
	}
	for i, c := range value {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
