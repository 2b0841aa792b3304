package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// Secrets are the contents of the files that a configuration names.
type Secrets struct {
	DatabasePassword string
	DatabaseTLS      *tls.Config
	RedisPassword    string
	RedisTLS         *tls.Config
	TracingTLS       *tls.Config
	AdminPassword    string // the database administrator's; empty where there is none
	Key              string // the stack's API key; empty where no file is named
}

// Purpose says which files a subcommand needs.
type Purpose int

const (
	// Serving needs the passwords and certificates alone: a gateway never sees a key in clear.
	Serving Purpose = iota
	// Migrating needs the stack's key too, to register it, and the administrator's password.
	Migrating
)

// ReadSecrets reads the files. The error is a Problems.
func (c Config) ReadSecrets(purpose Purpose) (Secrets, error) {
	var s Secrets
	var problems Problems
	s.DatabasePassword = secret(&problems, "database.passwordFile", c.Database.PasswordFile)
	s.DatabaseTLS = trust(&problems, "database.caFile", c.Database.CAFile, c.Database.Host)
	host, _, _ := net.SplitHostPort(c.Redis.Address)
	s.RedisPassword = secret(&problems, "redis.passwordFile", c.Redis.PasswordFile)
	s.RedisTLS = trust(&problems, "redis.caFile", c.Redis.CAFile, host)
	if purpose == Serving && c.Tracing.Endpoint != "" {
		endpoint, _ := url.Parse(c.Tracing.Endpoint) // has been read before
		s.TracingTLS = trust(&problems, "tracing.caFile", c.Tracing.CAFile, endpoint.Hostname())
	}
	if purpose == Migrating && c.Database.Admin != (Admin{}) {
		s.AdminPassword = secret(&problems, "database.admin.passwordFile", c.Database.Admin.PasswordFile)
	}
	if purpose == Migrating && c.Auth.KeyFile != "" {
		s.Key = secret(&problems, "auth.keyFile", c.Auth.KeyFile)
		if len(s.Key) < 16 && s.Key != "" {
			problems.add("auth.keyFile", "%s holds a key of %d characters: 16 is the least", c.Auth.KeyFile, len(s.Key))
		}
	}
	if len(problems) > 0 {
		return Secrets{}, problems
	}
	return s, nil
}

// Password returns the password in a file as it is now: a rotation replaces the file while a gateway serves.
func Password(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", errors.New(fileError(file, err))
	}
	return strings.TrimSpace(string(text)), nil
}

func secret(problems *Problems, path, file string) string {
	value, err := Password(file)
	if err != nil {
		problems.add(path, "%s", err)
		return ""
	}
	if value == "" {
		problems.add(path, "%s is empty", file)
	}
	return value
}

func trust(problems *Problems, path, file, host string) *tls.Config {
	if file == "" {
		return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		problems.add(path, "%s", fileError(file, err))
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		problems.add(path, "%s holds no certificate in PEM form", file)
	}
	return &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}
}

func fileError(file string, err error) string {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Sprintf("%s can't be read: %s", file, err)
}
