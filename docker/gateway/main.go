// Command ollama-distributed is OllamaMax's gateway: the Ollama and OpenAI APIs over many Ollama
// servers.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"ollamamax/gateway/internal/config"
)

// version is stamped by the build.
var version = "dev"

const defaultConfig = "/etc/ollamamax/gateway.yaml"

const help = `usage: ollama-distributed COMMAND [--config FILE]

  serve          run the gateway
  migrate        bring the database to this version and register the stack's keys and aliases
                 (--to VERSION: bring the schema to another version, back too)
  keys           make, list, revoke and rotate API keys: keys --help
  healthcheck    exit 0 if the gateway on this machine is ready
                 (--live: if it answers at all, whatever it waits for)
  check-config   report every problem of the configuration file
  version        print the version
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 0, 1 for a failure, 2 for wrong usage.
func run(arguments []string, stdout, stderr io.Writer) int {
	if len(arguments) == 0 {
		_, _ = io.WriteString(stderr, help)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	command := arguments[0]
	if command == "keys" {
		return runKeys(ctx, arguments[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { _, _ = io.WriteString(stderr, help) }
	path := flags.String("config", defaultConfig, "configuration file")
	target := flags.Int64("to", -1, "schema version for migrate")
	live := flags.Bool("live", false, "for healthcheck: only whether it answers")
	if err := flags.Parse(arguments[1:]); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "unexpected argument %q\n%s", flags.Arg(0), help)
		return 2
	}

	var err error
	switch command {
	case "version":
		_, err = fmt.Fprintln(stdout, version)
	case "check-config":
		err = checkConfig(*path, stdout)
	case "healthcheck":
		err = healthcheck(ctx, *path, *live)
	case "migrate":
		err = migrate(ctx, *path, *target, stdout)
	case "serve":
		// Nothing is read anew: a changed configuration is another container or pod. Unless it is ignored, the signal
		// by which others reload ends the process at once, and breaks off what is under way.
		signal.Ignore(syscall.SIGHUP)
		err = serve(ctx, *path, stdout)
	default:
		_, _ = fmt.Fprintf(stderr, "unknown command %q\n%s", command, help)
		return 2
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// load reads the configuration and the secrets. Faults of both are reported together.
func load(path string, purpose config.Purpose) (config.Config, config.Secrets, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return cfg, config.Secrets{}, err
	}
	secrets, err := cfg.ReadSecrets(purpose)
	return cfg, secrets, err
}

func checkConfig(path string, stdout io.Writer) error {
	if _, _, err := load(path, config.Serving); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, "configuration is valid")
	return err
}
