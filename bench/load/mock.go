package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

const (
	answerBytes = 1024
	tokens      = 64 // of a stream
	cutAt       = 40 // token at which the model "cut" breaks off
	upstream    = 20 * time.Millisecond
)

// models are the mock's behaviours. "bench" answers at once, "slow" after 20 ms, "busy" says 429, "broken" 500,
// and "cut" ends a stream at token 40.
var models = []string{"bench", "slow", "busy", "broken", "cut"}

var (
	whole  = message("application/json", "200 OK", `{"model":"bench","response":"`+strings.Repeat("x", answerBytes-95)+`","done":true,"prompt_eval_count":26,"eval_count":64}`)
	busy   = message("application/json", "429 Too Many Requests", `{"error":"too many requests"}`)
	broken = message("application/json", "500 Internal Server Error", `{"error":"llama runner process has terminated"}`)
	start  = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
	token  = chunk(`{"model":"bench","created_at":"2026-01-01T00:00:00Z","response":" word","done":false}` + "\n")
	ending = append(chunk(`{"model":"bench","created_at":"2026-01-01T00:00:00Z","response":"","done":true,"prompt_eval_count":26,"eval_count":64}`+"\n"), "0\r\n\r\n"...)
	tags   = message("application/json", "200 OK", listed(`{"name":%[1]q,"model":%[1]q,"digest":"digest-of-%[1]s","size":1000,"modified_at":"2026-01-01T00:00:00Z"}`))
	loaded = message("application/json", "200 OK", listed(`{"name":%[1]q,"model":%[1]q,"digest":"digest-of-%[1]s","size":1000}`))
)

func message(kind, status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, kind, len(body), body)
}

func chunk(text string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(text), text) }

func listed(entry string) string {
	var list []string
	for _, model := range models {
		list = append(list, fmt.Sprintf(entry, model+":latest"))
	}
	return `{"models":[` + strings.Join(list, ",") + `]}`
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			if err := answerAll(c); !errors.Is(err, io.EOF) {
				_, _ = fmt.Fprintln(os.Stderr, "mock:", err)
			}
		}()
	}
}

// answerAll answers a connection's requests, one after the other, until its client leaves (io.EOF) or fails.
func answerAll(c net.Conn) error {
	in := bufio.NewReaderSize(c, 64<<10)
	var line []byte
	for {
		h, err := readHead(in, line)
		if err != nil {
			return err
		}
		line = h.first
		// Model and stream stand first in what drive sends: the rest need not be looked at.
		begin, err := in.Peek(min(max(h.length, 0), 64))
		if err != nil {
			return err
		}
		model, stream := read(begin)
		if _, err := in.Discard(max(h.length, 0)); err != nil {
			return err
		}
		if err := answer(c, string(line), model, stream); err != nil {
			return err
		}
	}
}

// read returns what drive's body asks for.
func read(begin []byte) (model string, stream bool) {
	fields := bytes.SplitN(begin, []byte(`"`), 5)
	if len(fields) == 5 {
		model = string(fields[3])
	}
	return model, bytes.Contains(begin, []byte(`"stream":true`))
}

func answer(c net.Conn, line, model string, stream bool) error {
	write := func(data []byte) error { _, err := c.Write(data); return err }
	switch {
	case strings.Contains(line, " /api/tags "):
		return write(tags)
	case strings.Contains(line, " /api/ps "):
		return write(loaded)
	case strings.HasPrefix(line, "GET "):
		return write(message("text/plain", "200 OK", "Ollama is running"))
	}
	switch model {
	case "slow":
		time.Sleep(upstream)
	case "busy":
		return write(busy)
	case "broken":
		return write(broken)
	}
	if !stream {
		return write(whole)
	}
	if err := write(start); err != nil {
		return err
	}
	for i := range tokens {
		if model == "cut" && i == cutAt {
			return io.EOF
		}
		if err := write(token); err != nil {
			return err
		}
	}
	return write(ending)
}
