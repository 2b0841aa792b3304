package upstream_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"ollamamax/gateway/internal/stream"
	"ollamamax/gateway/internal/upstream"
)

const silence = 5 * time.Second

// worker accepts connections and plays a part on each, in the order of its parts.
type worker struct {
	pool  *upstream.Pool
	asked chan *http.Request // each request that was read
}

// play starts a worker. What a part writes is what the worker says; when it returns, it hangs up.
func play(t *testing.T, parts ...func(w *worker, conn net.Conn, in *bufio.Reader)) *worker {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{pool: upstream.NewPool(listener.Addr().String(), time.Second), asked: make(chan *http.Request, 10)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, part := range parts {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			part(w, conn, bufio.NewReader(conn))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		w.pool.Close()
		<-done
	})
	return w
}

// hear reads a request and its body, or returns false at the end.
func (w *worker) hear(in *bufio.Reader) bool {
	request, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	body, _ := io.ReadAll(request.Body)
	request.Body = io.NopCloser(strings.NewReader(string(body)))
	w.asked <- request
	return true
}

// says answers each request in turn with the next text, then waits until the gateway hangs up.
func says(texts ...string) func(*worker, net.Conn, *bufio.Reader) {
	return func(w *worker, conn net.Conn, in *bufio.Reader) {
		for _, text := range texts {
			w.hear(in)
			_, _ = io.WriteString(conn, text)
		}
		_, _ = io.Copy(io.Discard, in)
	}
}

// saysAndHangsUp answers one request and closes.
func saysAndHangsUp(text string) func(*worker, net.Conn, *bufio.Reader) {
	return func(w *worker, conn net.Conn, in *bufio.Reader) {
		w.hear(in)
		_, _ = io.WriteString(conn, text)
	}
}

func (w *worker) conn(t *testing.T) *upstream.Conn {
	t.Helper()
	conn, err := w.pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

var post = upstream.Request{Method: "POST", Target: "/api/chat?a=1", Fields: []byte("X-Mine: 1\r\n"), Body: []byte("{}")}

// read reads an answer to its end.
func read(conn *upstream.Conn, request upstream.Request, wait time.Duration) (string, error) {
	piece, done, err := conn.Ask(&request, time.Now(), wait)
	text := string(piece)
	for err == nil && !done {
		piece, done, err = conn.Next(time.Now(), wait)
		text += string(piece)
	}
	return text, err
}

func TestARequestReachesTheWorkerAndItsAnswerComesBack(t *testing.T) {
	w := play(t, says("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\nabc"))
	conn := w.conn(t)
	text, err := read(conn, post, silence)
	if text != "abc" || err != nil || conn.Status != 200 || conn.Format != stream.Lines {
		t.Errorf("%q, %v, status %d, format %d", text, err, conn.Status, conn.Format)
	}
	conn.Release()
	asked := <-w.asked
	body, _ := io.ReadAll(asked.Body)
	if asked.Method != "POST" || asked.RequestURI != "/api/chat?a=1" || asked.Header.Get("X-Mine") != "1" || asked.ContentLength != 2 || string(body) != "{}" {
		t.Errorf("the worker was asked %s %s %v %d %q", asked.Method, asked.RequestURI, asked.Header, asked.ContentLength, body)
	}
}

func TestAnAnswerEndsWhereItsHeadSays(t *testing.T) {
	for name, c := range map[string]struct {
		method, answer, text string
		kept                 bool
	}{
		"by its length":      {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", true},
		"by no length":       {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
		"by its last chunk":  {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc", true},
		"after interim ones": {"POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", true},
		"without a body":     {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "", true},
		"and goes on":        {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc", false},
		"with the last word": {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "abc", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := play(t, says(c.answer))
			conn := w.conn(t)
			text, err := read(conn, upstream.Request{Method: c.method, Target: "/"}, silence)
			if text != c.text || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			conn.Release()
			if kept := w.pool.Idle() == 1; kept != c.kept {
				t.Errorf("the connection is kept: %v", kept)
			}
		})
	}
}

func TestAnAnswerWithoutLengthEndsWithItsConnection(t *testing.T) {
	w := play(t, saysAndHangsUp("HTTP/1.1 200 OK\r\n\r\nabc"))
	conn := w.conn(t)
	if text, err := read(conn, post, silence); text != "abc" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	conn.Release()
	if w.pool.Idle() != 0 {
		t.Error("a connection that has ended is kept")
	}
}

func TestAnAnswerThatIsCutOffIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ answer, text string }{
		"nothing":          {"", ""},
		"in its head":      {"HTTP/1.1 200 OK\r\nContent-", ""},
		"after its head":   {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", ""},
		"in its body":      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "ab"},
		"in a chunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n5\r\nbc", "abc"},
		"between chunks":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "a"},
		"in its last line": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			w := play(t, saysAndHangsUp(c.answer))
			conn := w.conn(t)
			if text, err := read(conn, post, silence); text != c.text || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q, %v", text, err)
			}
			conn.Release()
			if w.pool.Idle() != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

func TestTheFirstWordIsWaitedForWithTheHead(t *testing.T) {
	more := make(chan struct{}, 2)
	w := play(t, func(w *worker, conn net.Conn, in *bufio.Reader) {
		w.hear(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		<-more
		_, _ = io.WriteString(conn, "1\r\na\r\n")
		<-more
		_, _ = io.WriteString(conn, "1\r\nb\r\n0\r\n\r\n")
		_, _ = io.Copy(io.Discard, in)
	})
	conn := w.conn(t)
	defer conn.Release()
	time.AfterFunc(20*time.Millisecond, func() { more <- struct{}{} })
	piece, done, err := conn.Ask(&post, time.Now(), silence)
	if string(piece) != "a" || done || err != nil {
		t.Fatalf("%q, done %v, %v", piece, done, err)
	}
	more <- struct{}{}
	if piece, done, err = conn.Next(time.Now(), silence); string(piece) != "b" || !done || err != nil {
		t.Errorf("%q, done %v, %v", piece, done, err)
	}
}

func TestAConnectionServesOneRequestAfterAnother(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	w := play(t, says(answer, answer, answer))
	for range 3 {
		conn := w.conn(t)
		if text, err := read(conn, post, silence); text != "abc" || err != nil {
			t.Fatalf("%q, %v", text, err)
		}
		conn.Release()
	}
}

func TestAConnectionThatTheWorkerClosedWhileItWasIdleIsNotUsed(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	closed := make(chan struct{})
	w := play(t, func(w *worker, conn net.Conn, in *bufio.Reader) {
		saysAndHangsUp(answer)(w, conn, in)
		_ = conn.Close()
		close(closed)
	}, says(answer))
	for range 2 {
		conn := w.conn(t)
		if text, err := read(conn, post, silence); text != "abc" || err != nil {
			t.Fatalf("%q, %v", text, err)
		}
		conn.Release()
		<-closed
	}
}

func TestTheConnectionUsedLastIsTakenFirst(t *testing.T) {
	w := play(t) // who plays no part hangs up on nobody
	first, last := w.conn(t), w.conn(t)
	first.Release()
	last.Release()
	for _, want := range []*upstream.Conn{last, first} {
		conn := w.conn(t)
		defer conn.Release()
		if conn != want {
			t.Error("the one that was idle for longer is taken first")
		}
	}
}

func TestASilentWorkerIsGivenUp(t *testing.T) {
	w := play(t, says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"))
	conn := w.conn(t)
	defer conn.Release()
	began := time.Now()
	text, err := read(conn, post, 200*time.Millisecond)
	if text != "a" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", text, err)
	}
	if took := time.Since(began); took < 200*time.Millisecond || took > time.Second {
		t.Errorf("after %s", took)
	}
}

func TestAnAbortEndsWhateverIsWaitedFor(t *testing.T) {
	w := play(t, says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"))
	conn := w.conn(t)
	defer conn.Release()
	if _, _, err := conn.Ask(&post, time.Now(), silence); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, conn.Abort)
	if _, _, err := conn.Next(time.Now(), silence); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the wait ended with %v", err)
	}
}

func TestAWorkerMayRefuseALargeRequestWithoutReadingIt(t *testing.T) {
	w := play(t, func(_ *worker, conn net.Conn, in *bufio.Reader) {
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
		// Closing with bytes unread resets the connection, in the middle of the gateway's writing.
	})
	conn := w.conn(t)
	large := upstream.Request{Method: "POST", Target: "/", Body: make([]byte, 64<<20)}
	text, err := read(conn, large, silence)
	if text != "no!" || err != nil || conn.Status != 413 {
		t.Errorf("%q, %v, status %d", text, err, conn.Status)
	}
	conn.Release()
	if w.pool.Idle() != 0 {
		t.Error("a connection with half a request on it is kept")
	}
}

func TestALargeRequestArrivesWhole(t *testing.T) {
	w := play(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	conn := w.conn(t)
	defer conn.Release()
	body := strings.Repeat("0123456789abcdef", 1<<17)
	if _, err := read(conn, upstream.Request{Method: "POST", Target: "/", Body: []byte(body)}, silence); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll((<-w.asked).Body); string(got) != body {
		t.Errorf("%d bytes of %d arrived, or others", len(got), len(body))
	}
}

func TestAnEndlessHeadIsGivenUp(t *testing.T) {
	w := play(t, says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 40<<10)))
	conn := w.conn(t)
	defer conn.Release()
	if _, err := read(conn, post, silence); err == nil || !strings.Contains(err.Error(), "larger than 32 KiB") {
		t.Errorf("%v", err)
	}
}

func TestAWorkerThatIsNotThereIsADialError(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	_, err = upstream.NewPool(listener.Addr().String(), time.Second).Get(t.Context())
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Op != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
}

func TestAClosedPoolKeepsNothing(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	w := play(t, says(answer, answer))
	conn := w.conn(t)
	if _, err := read(conn, post, silence); err != nil {
		t.Fatal(err)
	}
	w.pool.Close()
	if _, err := read(conn, post, silence); err != nil {
		t.Errorf("a request under way was broken off: %v", err)
	}
	conn.Release()
	if w.pool.Idle() != 0 {
		t.Error("the connection is kept")
	}
}
