package http1_test

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ollamamax/gateway/internal/http1"
)

const plain = "POST /api/chat HTTP/1.1\r\nHost: gateway:8080\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"

func TestAPlainHeadIsReadWholeAndWhatIsNoWorkersBusinessIsLeftOut(t *testing.T) {
	head := plain + "authorization: Bearer k\r\nX-API-Key: other\r\nX-Request-Id: \t1-2 \r\nCookie: c\r\nOrigin: o\r\n" +
		"Accept-Encoding: gzip\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Mine: a, b\r\nx-mine: c\r\n\r\n"
	var r http1.Request
	if verdict := http1.ParseRequest(&r, []byte(head+"{}POST /")); verdict != http1.Plain {
		t.Fatalf("verdict %d", verdict)
	}
	if r.Size != len(head) || string(r.Path) != "/api/chat" || r.Length != 2 || r.Close {
		t.Errorf("read as %d bytes, %q, body of %d, close %v", r.Size, r.Path, r.Length, r.Close)
	}
	if string(r.Authorization) != "Bearer k" || string(r.APIKey) != "other" || string(r.RequestID) != "1-2" {
		t.Errorf("read %q, %q, %q", r.Authorization, r.APIKey, r.RequestID)
	}
	want := "Content-Type: application/json\r\nX-Request-Id: \t1-2 \r\nX-Mine: a, b\r\nx-mine: c\r\n"
	if string(r.Fields) != want {
		t.Errorf("for the worker:\n%q, want\n%q", r.Fields, want)
	}
}

func TestAHeadThatGoesOnIsWaitedFor(t *testing.T) {
	head := plain + "Connection: close\r\n\r\n"
	for n := 1; n < len(head); n++ {
		var r http1.Request
		if verdict := http1.ParseRequest(&r, []byte(head[:n])); verdict != http1.Partial {
			t.Fatalf("after %q: verdict %d", head[:n], verdict)
		}
	}
	var r http1.Request
	if verdict := http1.ParseRequest(&r, []byte(head)); verdict != http1.Plain || !r.Close {
		t.Errorf("verdict %d, close %v", verdict, r.Close)
	}
}

func TestAnythingElseIsForNetHTTP(t *testing.T) {
	for name, head := range map[string]string{
		"another method":    strings.Replace(plain, "POST", "GET", 1),
		"lower case":        strings.Replace(plain, "POST", "post", 1),
		"a query":           strings.Replace(plain, "chat", "chat?a=b", 1),
		"an escape":         strings.Replace(plain, "chat", "ch%61t", 1),
		"HTTP/1.0":          strings.Replace(plain, "/1.1", "/1.0", 1),
		"no path":           strings.Replace(plain, "POST /api", "POST api", 1),
		"bare line feed":    strings.Replace(plain, "8080\r\n", "8080\n", 1),
		"no host":           strings.Replace(plain, "Host", "Ghost", 1),
		"an odd host":       strings.Replace(plain, "gateway", "gate/way", 1),
		"no length":         strings.Replace(plain, "Content-Length: 2\r\n", "", 1),
		"an odd length":     strings.Replace(plain, "h: 2", "h: +2", 1),
		"an empty length":   strings.Replace(plain, "h: 2", "h: ", 1),
		"a huge length":     strings.Replace(plain, "h: 2", "h: 9999999999999999", 1),
		"two lengths":       plain + "content-length: 2\r\n",
		"two hosts":         plain + "Host: gateway\r\n",
		"two keys":          plain + "Authorization: a\r\nAuthorization: b\r\n",
		"two other keys":    plain + "X-Api-Key: a\r\nX-Api-Key: b\r\n",
		"chunks":            plain + "Transfer-Encoding: chunked\r\n",
		"compressed":        plain + "Content-Encoding: gzip\r\n",
		"expects":           plain + "Expect: 100-continue\r\n",
		"upgrades":          plain + "Upgrade: websocket\r\n",
		"names a header":    plain + "Connection: X-Mine\r\n",
		"a folded line":     plain + "X: a\r\n b\r\n",
		"a space in a name": plain + "X : a\r\n",
		"no name":           plain + ": a\r\n",
		"no colon":          plain + "X\r\n",
		"a control":         plain + "X: a\x00b\r\n",
		"a lone return":     plain + "X: a\rb\r\n",
		"not ASCII":         plain + "X: \xe9\r\n",
	} {
		var r http1.Request
		if verdict := http1.ParseRequest(&r, []byte(head+"\r\n")); verdict != http1.Other {
			t.Errorf("%s: verdict %d", name, verdict)
		}
	}
}

// FuzzHead: what this package takes, net/http takes too, and reads in the same way.
func FuzzHead(f *testing.F) {
	f.Add([]byte(plain + "\r\n{}"))
	f.Add([]byte(plain + "Authorization: Bearer k\r\nX-Api-Key: k\r\nX-Request-Id: 1\r\nConnection: close\r\nCookie: c\r\nX-A:\tb \r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length:0\r\n\r\n"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var mine http1.Request
		if http1.ParseRequest(&mine, data) != http1.Plain {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(data))
		theirs, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data[:mine.Size], err)
		}
		if theirs.Method != http.MethodPost || theirs.RequestURI != string(mine.Path) || theirs.ContentLength != mine.Length || theirs.Close != mine.Close {
			t.Fatalf("net/http reads %s %q, body of %d, close %v; here %q, %d, %v",
				theirs.Method, theirs.RequestURI, theirs.ContentLength, theirs.Close, mine.Path, mine.Length, mine.Close)
		}
		if len(data)-mine.Size != reader.Buffered() && len(data) < 4096 {
			t.Fatalf("net/http leaves %d bytes, here %d", reader.Buffered(), len(data)-mine.Size)
		}
		for name, value := range map[string][]byte{"Authorization": mine.Authorization, "X-Api-Key": mine.APIKey, "X-Request-Id": mine.RequestID} {
			if theirs.Header.Get(name) != string(value) {
				t.Fatalf("net/http reads %s as %q, here it is %q", name, theirs.Header.Get(name), value)
			}
		}
		want := http.Header{}
		http1.ToWorker(theirs.Header, want.Add)
		again, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\n" + string(mine.Fields) + "\r\n")))
		if err != nil {
			t.Fatalf("the worker's %q can't be read: %v", mine.Fields, err)
		}
		if !maps.EqualFunc(want, again.Header, slices.Equal[[]string]) {
			t.Fatalf("the worker gets %v, by net/http's way %v", again.Header, want)
		}
	})
}
