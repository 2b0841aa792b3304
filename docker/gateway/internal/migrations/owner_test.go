package migrations

import (
	"strings"
	"testing"
)

func TestAPasswordIsSentAsItsVerifierAlone(t *testing.T) {
	first, err := scramVerifier("a password")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := scramVerifier("a password")
	if !strings.HasPrefix(first, "SCRAM-SHA-256$4096:") || strings.Contains(first, "password") || first == second {
		t.Errorf("%s and %s are no salted verifiers", first, second)
	}
}

func TestAPasswordThatServersSpellDifferentlyIsRefused(t *testing.T) {
	for _, password := range []string{"grün", "tab\there"} {
		if _, err := scramVerifier(password); err == nil {
			t.Errorf("%q is taken", password)
		}
	}
}
