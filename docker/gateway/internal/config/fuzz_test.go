package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzParse: whatever stands in a file, it is refused with lines that say what is wrong, or it is a configuration in
// which nothing was passed over.
func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(valid + "auth: {publicKeys: [\"" + publicKey + "\"], publicPaths: [/api/version]}\nserver: {readTimeout: 5s}\n"))
	f.Add([]byte("workers: {hosts: [\"a:1\"], limits: [{host: \"a:1\", slots: 3}], breaker: {failures: 50}}\nlog: {level: loud}\n"))
	f.Add([]byte(valid + "---\nlog: {level: debug}\n"))
	f.Add([]byte("a: &x {b: *x}\nserver: *x\n<<: {name: b}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := Parse(text)
		if err == nil {
			if _, err := Parse(append(text, "\nnoSuchSetting: 1\n"...)); err == nil {
				t.Error("what stands behind a configuration is passed over")
			}
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		for _, problem := range problems {
			if strings.TrimSpace(problem) == "" {
				t.Errorf("a problem that says nothing: %q", problems)
			}
		}
	})
}
