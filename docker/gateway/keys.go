package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/keys"
	"ollamamax/gateway/internal/store"
)

const keysHelp = `usage: ollama-distributed keys COMMAND [OPTION…]

  create --name NAME   make a key and print its secret, this once
  list                 list keys
  revoke ID            end a key: it stops working at once
  rotate ID            give a key another secret and print it; the old one stays good for a while

They talk to the database itself, so they need no key and no gateway that serves.
"keys COMMAND --help" lists a command's options.
`

// keyPatience bounds a command about keys.
const keyPatience = 15 * time.Second

// keyCommand is one of the commands about keys, with its options.
type keyCommand struct {
	flags  *flag.FlagSet
	config *string
	json   *bool
	run    func(ctx context.Context, s *store.Store, id int64, out printer) error
	takes  bool // an ID
	writes bool // a key, of which the gateways must learn
}

// printer writes a command's result.
type printer struct {
	out    io.Writer
	asJSON bool
}

// runKeys returns the exit status of a command about keys.
func runKeys(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	if len(arguments) == 0 {
		_, _ = io.WriteString(stderr, keysHelp)
		return 2
	}
	command, known := keyCommands()[arguments[0]]
	switch name := arguments[0]; {
	case name == "--help" || name == "-h" || name == "help":
		_, _ = io.WriteString(stdout, keysHelp)
		return 0
	case !known:
		_, _ = fmt.Fprintf(stderr, "unknown command %q\n%s", "keys "+name, keysHelp)
		return 2
	}
	id, err := command.parse(arguments[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		command.help(stdout)
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(stderr, err)
		command.help(stderr)
		return 2
	}
	if err := command.execute(ctx, id, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func keyCommands() map[string]*keyCommand {
	commands := map[string]*keyCommand{"create": createKey(), "list": listKeys(), "revoke": revokeKey(), "rotate": rotateKey()}
	for name, command := range commands {
		command.config = command.flags.String("config", defaultConfig, "configuration `FILE`")
		command.json = command.flags.Bool("json", false, "print JSON")
		command.flags.Init("keys "+name, flag.ContinueOnError)
		command.flags.SetOutput(io.Discard) // help goes where it was asked for
	}
	return commands
}

func (c *keyCommand) help(to io.Writer) {
	id := ""
	if c.takes {
		id = " ID"
	}
	_, _ = fmt.Fprintf(to, "usage: ollama-distributed %s%s [OPTION…]\n\n", c.flags.Name(), id)
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	c.flags.VisitAll(func(option *flag.Flag) {
		value, meaning := flag.UnquoteUsage(option)
		if option.DefValue != "" && option.DefValue != "false" {
			meaning += " (default " + option.DefValue + ")"
		}
		_, _ = fmt.Fprintf(table, "  --%s %s\t%s\n", option.Name, value, meaning)
	})
	_ = table.Flush() // nobody is left to be told
}

// parse reads options and, before, between or after them, the ID where the command takes one.
func (c *keyCommand) parse(arguments []string) (int64, error) {
	var words []string
	for {
		if err := c.flags.Parse(arguments); err != nil {
			return 0, err
		}
		if c.flags.NArg() == 0 {
			break
		}
		words, arguments = append(words, c.flags.Arg(0)), c.flags.Args()[1:]
	}
	switch {
	case !c.takes && len(words) > 0:
		return 0, fmt.Errorf("unexpected argument %q", words[0])
	case !c.takes:
		return 0, nil
	case len(words) != 1:
		return 0, fmt.Errorf("%s takes the ID of one key: keys list prints it", c.flags.Name())
	}
	id, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not the ID of a key: keys list prints it", words[0])
	}
	return id, nil
}

func (c *keyCommand) execute(ctx context.Context, id int64, stdout, stderr io.Writer) error {
	cfg, secrets, err := load(*c.config, config.Serving)
	if err != nil {
		return err
	}
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	database, err := store.Open(ctx, settings, cfg.Database)
	if err != nil {
		return err
	}
	defer database.Close()
	if err := c.run(ctx, database, id, printer{stdout, *c.json}); err != nil {
		return err
	}
	if !c.writes {
		return nil
	}
	if err := bus.PublishOnce(ctx, redisDialer(cfg.Redis, secrets), bus.Keys); err != nil {
		_, _ = fmt.Fprintf(stderr, "the gateways could not be told (%s): they know in %s at most\n", err, cfg.Auth.RefreshInterval)
	}
	return nil
}

func createKey() *keyCommand {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	spec := keys.New()
	flags.StringVar(&spec.Name, "name", "", "`NAME` that logs and lists call it by")
	flags.StringVar(&spec.Tenant, "tenant", "", "`TENANT` that it belongs to; none: the platform's own")
	scopes := flags.String("scopes", strings.Join(spec.Scopes, ","), "what it may do, a `LIST` of "+strings.Join(auth.ScopeNames(), ", "))
	flags.Var(limitFlag{&spec.RequestsPerMinute}, "rpm", "`N` requests a minute; none: no limit")
	flags.Var(limitFlag{&spec.TokensPerMinute}, "tpm", "`N` tokens a minute; none: no limit")
	flags.Var(limitFlag{&spec.TokensPerMonth}, "monthly-tokens", "`N` tokens a calendar month (UTC); none: no limit")
	flags.StringVar(&spec.Priority, "priority", spec.Priority, "`LEVEL` low, normal or high: how soon it gets a slot where others wait too")
	flags.Var(timeFlag{&spec.ExpiresAt}, "expires", "`WHEN` it ends: 720h, 2026-12-31 or 2026-12-31T18:00:00Z; none: never")
	return &keyCommand{flags: flags, writes: true, run: func(ctx context.Context, s *store.Store, _ int64, out printer) error {
		spec.Scopes = strings.Split(*scopes, ",")
		if err := spec.Check(time.Now()); err != nil {
			return err
		}
		secret, digest := keys.NewSecret()
		key, err := s.AddKey(ctx, spec, "command line", digest)
		if err != nil {
			return err
		}
		return out.secret(key, secret)
	}}
}

func listKeys() *keyCommand {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	tenant := flags.String("tenant", "", "only those of `TENANT`")
	revoked := flags.Bool("revoked", false, "those that are revoked too")
	return &keyCommand{flags: flags, run: func(ctx context.Context, s *store.Store, _ int64, out printer) error {
		page := store.KeyPage{Revoked: *revoked, Limit: 1000}
		if *tenant != "" {
			page.Tenant = tenant
		}
		all := []keys.Record{}
		for {
			found, err := s.ListKeys(ctx, page)
			if err != nil {
				return err
			}
			all = append(all, found...)
			if len(found) < page.Limit {
				return out.list(all)
			}
			page.After = found[len(found)-1].ID
		}
	}}
}

func revokeKey() *keyCommand {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	return &keyCommand{flags: flags, takes: true, writes: true, run: func(ctx context.Context, s *store.Store, id int64, out printer) error {
		key, err := s.ChangeKey(ctx, id, nil, func(key *keys.Record) error { return key.Revoke(time.Now()) })
		if err != nil {
			return fmt.Errorf("key %d: %w", id, err)
		}
		return out.list([]keys.Record{key})
	}}
}

func rotateKey() *keyCommand {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	grace := flags.String("grace", keys.DefaultGrace, "`TIME` for which the old secret stays good, 0s to 720h")
	return &keyCommand{flags: flags, takes: true, writes: true, run: func(ctx context.Context, s *store.Store, id int64, out printer) error {
		stays, err := keys.ParseGrace(*grace)
		if err != nil {
			return err
		}
		var secret string
		key, err := s.ChangeKey(ctx, id, nil, func(key *keys.Record) error {
			var err error
			secret, err = key.Rotate(time.Now(), stays)
			return err
		})
		if err != nil {
			return fmt.Errorf("key %d: %w", id, err)
		}
		return out.secret(key, secret)
	}}
}

// limitFlag is an option that stays nil where it is not given.
type limitFlag struct{ value **int64 }

func (f limitFlag) String() string { return "" }

func (f limitFlag) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errors.New("it is not a whole number")
	}
	*f.value = &n
	return nil
}

// timeFlag is a time, or how long it is until then.
type timeFlag struct{ value **time.Time }

func (f timeFlag) String() string { return "" }

func (f timeFlag) Set(text string) error {
	if ahead, err := time.ParseDuration(text); err == nil {
		at := time.Now().Add(ahead).Truncate(time.Second)
		*f.value = &at
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			*f.value = &at
			return nil
		}
	}
	return errors.New("it is neither a time such as 2026-12-31 nor a duration such as 720h")
}

// secret prints a key and, this once, its secret.
func (p printer) secret(key keys.Record, secret string) error {
	if p.asJSON {
		return p.json(struct {
			Key    keys.Record `json:"key"`
			Secret string      `json:"secret"`
		}{key, secret})
	}
	if err := p.list([]keys.Record{key}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "\n%s\n\nThis is the only time that the secret is shown.\n", secret)
	return err
}

func (p printer) json(value any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// list prints keys as a table.
func (p printer) list(all []keys.Record) error {
	if p.asJSON {
		return p.json(map[string]any{"keys": all})
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tNAME\tTENANT\tSCOPES\tREQUESTS/MIN\tTOKENS/MIN\tTOKENS/MONTH\tPRIORITY\tEXPIRES\tLAST USED\tSTATE")
	for _, key := range all {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Name, orDash(key.Tenant),
			strings.Join(key.Scopes, ","), limitText(key.RequestsPerMinute), limitText(key.TokensPerMinute), limitText(key.TokensPerMonth),
			key.Priority, timeText(key.ExpiresAt), timeText(key.LastUsedAt), key.State(time.Now()))
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func limitText(limit *int64) string {
	if limit == nil {
		return "-"
	}
	return strconv.FormatInt(*limit, 10)
}

func timeText(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04")
}
