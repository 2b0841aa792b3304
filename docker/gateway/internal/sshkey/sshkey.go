// Package sshkey reads ed25519 public keys in SSH's formats. golang.org/x/crypto/ssh reads them too, but
// brings all of SSH, which would be a tenth of the gateway's image.
package sshkey

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
)

const algorithm = "ssh-ed25519"

// wirePrefix opens a key in wire format (RFC 8709, section 4): the algorithm and the key, each behind
// its length in four bytes.
const wirePrefix = "\x00\x00\x00\x0b" + algorithm + "\x00\x00\x00\x20"

// ErrNotKey means that a text is no ed25519 public key.
var ErrNotKey = errors.New("is not a line \"ssh-ed25519 AAAA… comment\" as ssh-keygen -t ed25519 writes it")

// Decode reads the base64 part of a key.
func Decode(encoded string) ([ed25519.PublicKeySize]byte, error) {
	var key [ed25519.PublicKeySize]byte
	wire, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(wire) != len(wirePrefix)+len(key) || !strings.HasPrefix(string(wire), wirePrefix) {
		return key, ErrNotKey
	}
	copy(key[:], wire[len(wirePrefix):])
	return key, nil
}

// ParseLine reads a line of an authorized_keys file without options.
func ParseLine(line string) (key [ed25519.PublicKeySize]byte, comment string, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != algorithm {
		return key, "", ErrNotKey
	}
	key, err = Decode(fields[1])
	return key, strings.Join(fields[2:], " "), err
}
