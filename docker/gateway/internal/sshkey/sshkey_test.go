package sshkey_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"ollamamax/gateway/internal/sshkey"
)

// The public half of no real key: its 32 bytes count up.
const (
	line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f two words"
	rsa  = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC7 somebody"
)

func TestALineOfSSHKeygenIsRead(t *testing.T) {
	key, comment, err := sshkey.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(key[:]); got != "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" {
		t.Errorf("the key is %s", got)
	}
	if comment != "two words" {
		t.Errorf("the comment is %q", comment)
	}
}

func TestWhatIsNoEd25519KeyIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "ssh-ed25519", rsa, "ssh-ed25519 not-base64", "ssh-ed25519 AAAA",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=", // a byte short
	} {
		if _, _, err := sshkey.ParseLine(text); !errors.Is(err, sshkey.ErrNotKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
