package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"ollamamax/gateway/internal/http1"
)

func TestAnAnswersHeadTellsHowItsBodyEnds(t *testing.T) {
	for name, c := range map[string]struct {
		method, head string
		want         http1.Response
	}{
		"length":          {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", http1.Response{Status: 200, Length: 3}},
		"no reason":       {"POST", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", http1.Response{Status: 404}},
		"length twice":    {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", http1.Response{Status: 200, Length: 3}},
		"chunks":          {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", http1.Response{Status: 200, Length: -1, Chunked: true}},
		"both":            {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", http1.Response{Status: 200, Length: -1, Chunked: true}},
		"neither":         {"POST", "HTTP/1.1 200 OK\r\n\r\n", http1.Response{Status: 200, Length: -1, Closes: true}},
		"closes":          {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n", http1.Response{Status: 200, Length: 3, Closes: true}},
		"HTTP/1.0":        {"POST", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", http1.Response{Status: 200, Length: 3, Closes: true}},
		"HEAD":            {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", http1.Response{Status: 200, Length: 3, Empty: true}},
		"HEAD of chunks":  {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", http1.Response{Status: 200, Length: -1, Empty: true}},
		"no content":      {"POST", "HTTP/1.1 204 No Content\r\n\r\n", http1.Response{Status: 204, Length: -1, Empty: true}},
		"interim answers": {"POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", http1.Response{Status: 200, Length: 3}},
	} {
		var got http1.Response
		size, err := http1.ParseResponse(&got, c.method, []byte(c.head+"abc"))
		if err != nil || size != len(c.head) {
			t.Errorf("%s: %d bytes of %d, %v", name, size, len(c.head), err)
		}
		if len(got.Fields) != 0 {
			t.Errorf("%s: the client gets %q", name, got.Fields)
		}
		got.Fields = nil
		if got.Status != c.want.Status || got.Length != c.want.Length || got.Empty != c.want.Empty || got.Chunked != c.want.Chunked || got.Closes != c.want.Closes {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		for n := range len(c.head) {
			if size, err := http1.ParseResponse(&got, c.method, []byte(c.head[:n])); size != 0 || err != nil {
				t.Errorf("%s: %d bytes of %q, %v", name, size, c.head[:n], err)
			}
		}
	}
}

func TestAClientGetsAWorkersHeadersLessThoseOfTheHopAndOfTheGateway(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: now\r\nContent-Length: 3\r\nKeep-Alive: 5\r\n" +
		"Connection: keep-alive\r\nX-Request-Id: theirs\r\nUpgrade: h2c\r\nX-Accel-Buffering: yes\r\nSet-Cookie: a\r\nSet-Cookie: \xe9\r\n\r\n"
	var r http1.Response
	if _, err := http1.ParseResponse(&r, "POST", []byte(head)); err != nil {
		t.Fatal(err)
	}
	want := "Content-Type: text/plain; charset=utf-8\r\nDate: now\r\nSet-Cookie: a\r\nSet-Cookie: \xe9\r\n"
	if string(r.Fields) != want || string(r.ContentType) != "text/plain; charset=utf-8" || !r.Dated || r.Closes {
		t.Errorf("%q, %q, dated %v, closes %v", r.Fields, r.ContentType, r.Dated, r.Closes)
	}
}

func TestAnAnswerThatIsNotHTTPIsRefused(t *testing.T) {
	for _, head := range []string{
		"HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 099 OK", "SSH-2.0-OpenSSH",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x",
		"HTTP/1.1 200 OK\r\nContent-Length: x", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
		"HTTP/1.1 200 OK\r\nX : a", "HTTP/1.1 200 OK\r\n folded", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b", "HTTP/1.1 200 OK\nX: a",
	} {
		var r http1.Response
		if _, err := http1.ParseResponse(&r, "POST", []byte(head+"\r\n\r\n")); err == nil {
			t.Errorf("%q is taken as %+v", head, r)
		}
	}
}

// FuzzResponse: of what this package takes, net/http reads the same body.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 500 No\r\nContent-Type: a/b\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var mine http1.Response
		size, err := http1.ParseResponse(&mine, "POST", data)
		if size == 0 || err != nil || !bytes.HasPrefix(data, []byte("HTTP/1.1 2")) {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), &http.Request{Method: "POST"})
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data[:size], err)
		}
		defer func() { _ = theirs.Body.Close() }()
		if theirs.StatusCode != mine.Status || theirs.Header.Get("Content-Type") != string(mine.ContentType) && mine.ContentType != nil && len(theirs.Header["Content-Type"]) == 1 {
			t.Fatalf("net/http reads %d %q, here %d %q", theirs.StatusCode, theirs.Header.Get("Content-Type"), mine.Status, mine.ContentType)
		}
		switch {
		case mine.Empty:
		case mine.Chunked:
			if len(theirs.TransferEncoding) != 1 {
				t.Fatal("net/http sees no chunks")
			}
		case theirs.ContentLength != mine.Length:
			t.Fatalf("net/http reads a body of %d, here of %d", theirs.ContentLength, mine.Length)
		}
	})
}

// decode feeds a body in pieces that end at the given places.
func decode(body []byte, every int) (payload []byte, rest int, done bool, err error) {
	var chunks http1.Chunks
	for len(body) > 0 && err == nil && !chunks.Done() {
		n := min(every, len(body))
		var piece []byte
		piece, rest, err = chunks.Decode(bytes.Clone(body[:n]))
		payload = append(payload, piece...)
		rest += len(body) - n
		body = body[n:]
	}
	return payload, rest, chunks.Done(), err
}

func TestChunksComeTogetherHoweverTheyArrive(t *testing.T) {
	body := "5\r\nhello\r\n1;name=\"value\"\r\n,\r\nA \r\n0123456789\r\n" + strings.Repeat("1\r\n.\r\n", 20) + "0\r\nTrailer: x\r\n\r\nnext"
	for every := 1; every <= len(body); every++ {
		payload, rest, done, err := decode([]byte(body), every)
		if string(payload) != "hello,0123456789...................." || rest != len("next") || !done || err != nil {
			t.Errorf("in pieces of %d: %q, %d left, done %v, %v", every, payload, rest, done, err)
		}
	}
}

func TestChunksThatAreNoneAreRefused(t *testing.T) {
	for _, body := range []string{
		"\r\n", "x\r\n", "-1\r\n", "1\nab", "1\r\nab\r\n", "1\r\na\rb", "1\r\na\nb", "0\r\n\rx", "1;a\nb\r\n",
		"1000000000000000\r\n", "1;" + strings.Repeat("x", 20_000), "0\r\n" + strings.Repeat("T: x\r\n", 5000),
	} {
		if payload, _, done, err := decode([]byte(body), len(body)); err == nil {
			t.Errorf("%.40q is taken as %q, done %v", body, payload, done)
		}
	}
}

// FuzzChunks: of what this package takes, net/http reads the same, wherever the pieces end.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("5;a=b\r\nhello\r\n01\r\nx\r\n0\r\nA: b\r\n\r\nmore"), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, every uint8) {
		whole, restWhole, doneWhole, errWhole := decode(body, len(body))
		pieces, rest, done, err := decode(body, 1+int(every))
		if (errWhole == nil) != (err == nil) || done != doneWhole || (err == nil && (!bytes.Equal(whole, pieces) || rest != restWhole)) {
			t.Fatalf("at once: %q, %d left, done %v, %v; in pieces: %q, %d left, done %v, %v", whole, restWhole, doneWhole, errWhole, pieces, rest, done, err)
		}
		if err != nil || !done {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(
			strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(body))), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		theirs, err := io.ReadAll(response.Body)
		if !bytes.Equal(theirs, whole) {
			t.Fatalf("net/http reads %q (%v), here it is %q", theirs, err, whole)
		}
	})
}
