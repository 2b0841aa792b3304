package http1

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

var (
	errHead   = errors.New("the worker's answer is not HTTP/1.1 as it is written down")
	errSwitch = errors.New("the worker switched protocols, which nobody asked for")
)

// Response is the head of an answer.
type Response struct {
	Status      int
	ContentType []byte // points into what was read
	Dated       bool   // Fields have a Date
	Length      int64  // as announced; -1 where the body's framing, or the connection's end, tells
	Empty       bool   // there is no body, whatever Length says
	Chunked     bool
	Closes      bool   // the connection can't be used again
	Fields      []byte // the header lines for the client, each with its end; no length, no framing
}

// ParseResponse reads the head of an answer to a request of the given method, from the start of data, into
// r. Lines for the client are appended to r.Fields. size is 0 while the head goes on. Interim answers (1xx)
// are left out.
func ParseResponse(r *Response, method string, data []byte) (size int, err error) {
	for {
		end := bytes.Index(data[size:], headEnd)
		if end < 0 {
			return 0, nil
		}
		head := data[size : size+end+len(lineEnd)]
		size += end + len(headEnd)
		if err := parseHead(r, head); err != nil {
			return 0, err
		}
		if r.Status == http.StatusSwitchingProtocols {
			return 0, errSwitch
		}
		if r.Status >= http.StatusOK {
			break
		}
	}
	switch {
	case method == http.MethodHead, r.Status == http.StatusNoContent, r.Status == http.StatusNotModified:
		r.Empty, r.Chunked = true, false
	case r.Chunked:
		r.Length = -1 // two framings at once: the chunks count
	case r.Length < 0:
		r.Closes = true
	}
	return size, nil
}

func parseHead(r *Response, head []byte) error {
	*r = Response{Length: -1, Fields: r.Fields[:0]}
	line := bytes.IndexByte(head, '\n') + 1
	const start = len("HTTP/1.x 200")
	if line < start+len(lineEnd) || string(head[:len("HTTP/1.")]) != "HTTP/1." || head[8] != ' ' || head[line-2] != '\r' ||
		(line > start+len(lineEnd) && head[start] != ' ') || !harmless(head[start:line-len(lineEnd)]) {
		return fmt.Errorf("%w: status line %.40q", errHead, head[:line])
	}
	switch head[7] {
	case '1':
	case '0':
		r.Closes = true
	default:
		return fmt.Errorf("%w: status line %.40q", errHead, head[:line])
	}
	status, ok := number(head[9:start])
	if !ok || status < 100 {
		return fmt.Errorf("%w: status line %.40q", errHead, head[:line])
	}
	r.Status = int(status)
	for lines := head[line:]; len(lines) > 0; {
		name, value, line, rest, ok := cutField(lines)
		if !ok || !harmless(value) {
			return fmt.Errorf("%w: header %.40q", errHead, lines)
		}
		lines = rest
		if err := r.take(kind(name), value, line); err != nil {
			return err
		}
	}
	if r.Chunked && head[7] == '0' {
		return fmt.Errorf("%w: chunks, which HTTP/1.0 does not have", errHead)
	}
	return nil
}

func (r *Response) take(kind field, value, line []byte) error {
	switch kind {
	case contentType:
		r.ContentType = value
		r.Fields = append(r.Fields, line...)
	case date:
		r.Dated = true
		r.Fields = append(r.Fields, line...)
	case contentLength:
		length, ok := number(value)
		if !ok || (r.Length >= 0 && r.Length != length) {
			return fmt.Errorf("%w: Content-Length %.40q", errHead, value)
		}
		r.Length = length
	case transferEncoding:
		if !is(value, "chunked") || r.Chunked {
			return fmt.Errorf("%w: Transfer-Encoding %.40q", errHead, value)
		}
		r.Chunked = true
	case connection:
		if !is(value, "keep-alive") {
			r.Closes = true // whatever else it says
		}
	case ended, requestID, ours, unusual:
	default:
		r.Fields = append(r.Fields, line...)
	}
	return nil
}
