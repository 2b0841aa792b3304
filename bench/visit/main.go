// Command visit asks a server over one version of HTTP, as fast as it answers, and prints what came of it as JSON.
// It is a client of the edge: what it costs itself counts for nothing, and so it has Go's own client and quic-go's.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// plan is what to ask.
type plan struct {
	url, version, authority, key, model, encoding string
	clients, connections                          int
	stream                                        bool
	length                                        time.Duration
}

// result is what came of it. Times are in milliseconds.
type result struct {
	Requests int     `json:"requests"` // answered with 200, whole
	Tokens   int     `json:"tokens"`   // lines of streams
	Failed   int     `json:"failed"`
	Reason   string  `json:"reason"` // of the first that failed
	Bytes    int     `json:"bytes"`  // of the last answer, as they came
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	TokenP50 float64 `json:"token_p50_ms"` // from one token of a stream to the next
	TokenP99 float64 `json:"token_p99_ms"`
}

func main() {
	var p plan
	flag.StringVar(&p.url, "url", "", "`URL` to ask; that of /api/generate is sent a prompt")
	flag.StringVar(&p.version, "version", "1.1", "`VERSION` of HTTP: 1.1, 2 or 3")
	flag.StringVar(&p.authority, "authority", "", "`FILE` with the certificate of the server's authority")
	flag.StringVar(&p.key, "key", "", "API `KEY`")
	flag.StringVar(&p.model, "model", "bench", "`MODEL`")
	flag.StringVar(&p.encoding, "encoding", "identity", "`ENCODING` of the answers")
	flag.IntVar(&p.clients, "clients", 64, "requests at a time")
	flag.IntVar(&p.connections, "connections", 8, "connections that HTTP/2 and HTTP/3 share them out to")
	flag.BoolVar(&p.stream, "stream", false, "ask for streams")
	flag.DurationVar(&p.length, "length", 3*time.Second, "`TIME` in which requests are sent")
	flag.Parse()
	if err := run(p); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(p plan) error {
	transports, err := transports(p)
	if err != nil {
		return err
	}
	visitors := make([]*visitor, p.clients)
	started := time.Now()
	var all sync.WaitGroup
	for i := range visitors {
		v := &visitor{plan: p, client: &http.Client{Transport: transports[i%len(transports)]}, number: i}
		visitors[i] = v
		all.Go(func() { v.run(started) })
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(sum(visitors, time.Since(started)))
}

// transports are the connections: HTTP/1.1 makes one of its own for each request at a time.
func transports(p plan) ([]http.RoundTripper, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, ClientSessionCache: nil}
	if p.authority != "" {
		text, err := os.ReadFile(p.authority)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", p.authority)
		}
	}
	made := make([]http.RoundTripper, p.connections)
	for i := range made {
		var protocols http.Protocols
		switch p.version {
		case "1.1":
			protocols.SetHTTP1(true)
		case "2":
			protocols.SetHTTP2(true)
		case "3":
			made[i] = &http3.Transport{TLSClientConfig: config.Clone(), DisableCompression: true}
			continue
		default:
			return nil, fmt.Errorf("--version: there is no HTTP %q here", p.version)
		}
		made[i] = &http.Transport{
			TLSClientConfig: config.Clone(), Protocols: &protocols, DisableCompression: true, MaxIdleConnsPerHost: p.clients,
		}
	}
	return made, nil
}

// visitor asks one request after the other.
type visitor struct {
	plan
	client *http.Client
	number int
	seen   result

	times, tokens []time.Duration
}

var filler = strings.Repeat("x", 120)

func (v *visitor) run(started time.Time) {
	for n := 0; time.Since(started) < v.length; n++ {
		asked := time.Now()
		if err := v.ask(v.number<<32 + n); err != nil {
			v.seen.Failed++
			v.seen.Reason = err.Error()
			time.Sleep(10 * time.Millisecond) // a server that is away is not asked in a tight loop
			continue
		}
		v.seen.Requests++
		v.times = append(v.times, time.Since(asked))
	}
}

func (v *visitor) ask(n int) error {
	request, err := http.NewRequest(http.MethodGet, v.url, nil)
	if prompt := strings.HasSuffix(v.url, "/api/generate"); prompt {
		body := fmt.Sprintf(`{"model":%q,"stream":%t,"prompt":"%012d %s"}`, v.model, v.stream, n, filler)
		request, err = http.NewRequest(http.MethodPost, v.url, strings.NewReader(body))
	}
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+v.key)
	request.Header.Set("Accept-Encoding", v.encoding)
	answer, err := v.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	return v.read(answer)
}

// read reads an answer, and notes when the tokens of a stream came.
func (v *visitor) read(answer *http.Response) error {
	var body bytes.Buffer
	piece := make([]byte, 32<<10)
	last := time.Now()
	for {
		size, err := answer.Body.Read(piece)
		body.Write(piece[:size])
		now := time.Now()
		for range bytes.Count(piece[:size], []byte("\n")) {
			if v.stream {
				v.seen.Tokens++
				v.tokens = append(v.tokens, now.Sub(last))
				last = now
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	v.seen.Bytes = body.Len()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", answer.StatusCode, body.Bytes())
	}
	if v.stream && !bytes.Contains(body.Bytes(), []byte(`"done":true`)) {
		return errors.New("the stream has no end")
	}
	return nil
}

func sum(visitors []*visitor, took time.Duration) result {
	total := result{Seconds: took.Seconds()}
	var times, tokens []time.Duration
	for _, v := range visitors {
		total.Requests += v.seen.Requests
		total.Tokens += v.seen.Tokens
		total.Failed += v.seen.Failed
		total.Bytes = v.seen.Bytes
		if total.Reason == "" {
			total.Reason = v.seen.Reason
		}
		times, tokens = append(times, v.times...), append(tokens, v.tokens...)
	}
	total.P50, total.P99 = at(times, 0.5), at(times, 0.99)
	total.TokenP50, total.TokenP99 = at(tokens, 0.5), at(tokens, 0.99)
	return total
}

// at returns a quantile, in milliseconds.
func at(values []time.Duration, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return float64(values[int(share*float64(len(values)-1))]) / float64(time.Millisecond)
}
