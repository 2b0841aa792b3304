// Command load is the two ends of a benchmark: "mock" stands in for Ollama and does no work, "drive" sends
// requests and prints what came of them as JSON. Both speak HTTP/1.1 over plain connections, because they
// share a core: what net/http costs would be most of what is measured.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

const usage = `usage: load mock|drive [OPTION…]     options: load mock --help, load drive --help
`

func main() {
	if len(os.Args) < 2 {
		_, _ = fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string, arguments []string) error {
	flags := flag.NewFlagSet(command, flag.ExitOnError)
	switch command {
	case "mock":
		listen := flags.String("listen", "127.0.0.1:11500", "`ADDRESS` to answer at")
		_ = flags.Parse(arguments) // it exits by itself
		return serve(*listen)
	case "drive":
		var p plan
		flags.StringVar(&p.address, "address", "127.0.0.1:11500", "`ADDRESS` that requests go to")
		flags.StringVar(&p.key, "key", "", "API `KEY`; none: requests carry none")
		flags.StringVar(&p.model, "model", "bench", "`MODEL`, which is how the mock behaves: see models")
		flags.BoolVar(&p.stream, "stream", false, "ask for streams")
		flags.Float64Var(&p.large, "large", 0, "`SHARE` of requests with prompts of 100 KB to 1 MB")
		flags.Float64Var(&p.repeated, "repeated", -1, "`SHARE` of deterministic requests that were sent before; -1: none is deterministic")
		flags.IntVar(&p.clients, "clients", 8, "connections, each with one request at a time")
		flags.Float64Var(&p.rate, "rate", 0, "requests a second in all, sent when they are due; 0: as fast as answers come")
		flags.DurationVar(&p.length, "length", 3*time.Second, "`TIME` in which requests are sent")
		flags.Int64Var(&p.seed, "seed", 1, "first `NUMBER` of the requests: no two runs send the same")
		_ = flags.Parse(arguments)
		result, err := drive(p)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	return fmt.Errorf("unknown command %q\n%s", command, usage)
}

// head is what of a message's head tells where the message ends.
type head struct {
	first   []byte // request or status line
	length  int    // -1: none is given
	chunked bool
	close   bool
}

// readHead reads a message's head. The returned line is good until the next read.
func readHead(in *bufio.Reader, line []byte) (head, error) {
	h := head{length: -1}
	first, err := in.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	h.first = append(line[:0], bytes.TrimRight(first, "\r\n")...)
	for {
		field, err := in.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		field = bytes.TrimRight(field, "\r\n")
		if len(field) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil {
				return h, fmt.Errorf("Content-Length: %w", err)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// readChunk adds the content of a chunk to a buffer and returns its size; 0 is the last.
func readChunk(in *bufio.Reader, to *bytes.Buffer) (int, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("size of a chunk: %w", err)
	}
	if size > 0 {
		if _, err := io.CopyN(to, in, size); err != nil {
			return 0, err
		}
	}
	_, err = in.Discard(len("\r\n"))
	return int(size), err
}
