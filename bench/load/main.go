// Command load is the two ends of a benchmark: "mock" stands in for Ollama and does no work, "drive" sends
// requests and "watch" follows a WebSocket, and both print what came of it as JSON. They speak HTTP/1.1 over
// plain connections, because they share a core: what net/http costs would be most of what is measured.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const usage = `usage: load mock|drive|watch [OPTION…]     options: load mock --help, and so on
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
		m := newMock()
		listen := flags.String("listen", "127.0.0.1:11500", "`ADDRESS` to answer at")
		flags.IntVar(&m.memory.models, "models", 0, "`NUMBER` of models, model-00 and so on, that take their time to load")
		flags.IntVar(&m.memory.room, "room", 6, "`NUMBER` of these models that are in memory at once")
		flags.DurationVar(&m.memory.loading, "loading", 5*time.Second, "`TIME` that one of them takes to load")
		_ = flags.Parse(arguments) // it exits by itself
		return m.serve(*listen)
	case "drive":
		var p plan
		send := flags.String("send", "prompts", "what requests are: "+strings.Join(slices.Sorted(kindNames()), ", "))
		flags.StringVar(&p.address, "address", "127.0.0.1:11500", "`ADDRESS` that requests go to")
		flags.StringVar(&p.key, "key", "", "API `KEY`; none: requests carry none")
		flags.StringVar(&p.model, "model", "bench", "`MODEL`, which is how the mock behaves")
		flags.BoolVar(&p.stream, "stream", false, "ask for streams")
		flags.Float64Var(&p.share, "share", 0, "`SHARE` of requests that are large, or repeated")
		flags.IntVar(&p.models, "models", 1, "`NUMBER` of models that requests are for")
		flags.IntVar(&p.clients, "clients", 8, "connections, each with one request at a time")
		flags.IntVar(&p.each, "each", 0, "`NUMBER` of requests that each client sends; 0: as many as it can")
		flags.Float64Var(&p.rate, "rate", 0, "requests a second in all, sent when they are due; 0: as fast as answers come")
		flags.DurationVar(&p.length, "length", 3*time.Second, "`TIME` in which requests are sent")
		flags.DurationVar(&p.leave, "leave", 0, "`TIME` after which clients leave, within the same time again; 0: they stay")
		flags.Int64Var(&p.seed, "seed", 1, "first `NUMBER` of the requests: no two runs send the same")
		_ = flags.Parse(arguments) // it exits by itself
		p.row = 1
		if *send == "conversations" {
			p.row = turns
		}
		if p.kind = kinds[*send]; p.kind == nil {
			return fmt.Errorf("--send: there is no %q", *send)
		}
		result, err := drive(p)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	case "watch":
		var w watching
		flags.StringVar(&w.address, "address", "127.0.0.1:11500", "`ADDRESS` of a gateway")
		flags.StringVar(&w.key, "key", "", "API `KEY`")
		flags.StringVar(&w.node, "node", "", "`NAME` of the node that is drained and taken in again")
		flags.IntVar(&w.clients, "clients", 1000, "WebSockets")
		flags.IntVar(&w.stalled, "stalled", 0, "`NUMBER` of them that read nothing")
		flags.DurationVar(&w.length, "length", 10*time.Second, "`TIME` in which changes are made")
		_ = flags.Parse(arguments) // it exits by itself
		result, err := w.watch()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	return fmt.Errorf("unknown command %q\n%s", command, usage)
}
