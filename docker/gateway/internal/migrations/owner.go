package migrations

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// ownerLock makes a second run at the same time wait.
	ownerLock = 0x6f6c6c616d61
	// scramRounds is PostgreSQL's own number.
	scramRounds = 4096
)

// EnsureOwner makes role and the database that it owns where they are missing, and gives it password,
// each time: so a new password is put into use. A managed server's administrator is enough: it creates
// roles and databases, and is no superuser.
func EnsureOwner(ctx context.Context, admin *pgx.Conn, role, password, database string) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(ownerLock)); err != nil {
		return err
	}
	defer func() {
		_, _ = admin.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(ownerLock))
	}()
	var hasRole, hasDatabase bool
	err = admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		EXISTS (SELECT FROM pg_database WHERE datname = $2)`, role, database).Scan(&hasRole, &hasDatabase)
	if err != nil {
		return err
	}
	verb := "CREATE"
	if hasRole {
		verb = "ALTER"
	}
	owner := pgx.Identifier{role}.Sanitize()
	statements := []string{fmt.Sprintf("%s ROLE %s LOGIN PASSWORD '%s'", verb, owner, verifier)}
	if !hasDatabase {
		statements = append(statements,
			// Who gives a database to a role must be able to act as that role.
			fmt.Sprintf("GRANT %s TO CURRENT_USER", owner),
			// The order of texts is the same on every server, and stays so when its operating system changes.
			fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' "+
				"LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", pgx.Identifier{database}.Sanitize(), owner))
	}
	for _, statement := range statements {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// scramVerifier returns what the server keeps of a password (RFC 5803): the password itself goes neither
// over the wire nor into the server's log.
func scramVerifier(password string) (string, error) {
	for _, letter := range password {
		if letter < ' ' || letter > '~' {
			return "", errors.New("the password holds other characters than letters, digits and punctuation of ASCII")
		}
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramRounds, sha256.Size)
	if err != nil {
		return "", err
	}
	sign := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		scramRounds, encode(salt), encode(stored[:]), encode(sign("Server Key"))), nil
}
