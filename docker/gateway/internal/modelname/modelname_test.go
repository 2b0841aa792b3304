package modelname_test

import (
	"testing"

	"ollamamax/gateway/internal/modelname"
)

func TestSpellingsOfOneModelAreOne(t *testing.T) {
	for spelling, canonical := range map[string]string{
		"":                                       "",
		"tiny":                                   "registry.ollama.ai/library/tiny:latest",
		"Tiny:Latest":                            "registry.ollama.ai/library/tiny:latest",
		"tiny:":                                  "registry.ollama.ai/library/tiny:latest",
		"library/tiny":                           "registry.ollama.ai/library/tiny:latest",
		"registry.ollama.ai/library/tiny:latest": "registry.ollama.ai/library/tiny:latest",
		"https://registry.ollama.ai/library/tiny": "registry.ollama.ai/library/tiny:latest",
		"smollm2:135m":           "registry.ollama.ai/library/smollm2:135m",
		"me/mine":                "registry.ollama.ai/me/mine:latest",
		"hf.co/me/mine:Q4_K_M":   "hf.co/me/mine:q4_k_m",
		"localhost:5000/me/mine": "localhost:5000/me/mine:latest",
	} {
		if got := modelname.Canonical(spelling); got != canonical {
			t.Errorf("%q is %q, want %q", spelling, got, canonical)
		}
	}
}

func TestShortNamesAreAsOllamaListsThem(t *testing.T) {
	for spelling, short := range map[string]string{
		"tiny": "tiny:latest", "registry.ollama.ai/library/tiny": "tiny:latest", "me/mine": "me/mine:latest",
		"hf.co/me/mine": "hf.co/me/mine:latest",
	} {
		if got := modelname.Short(spelling); got != short {
			t.Errorf("%q is listed as %q, want %q", spelling, got, short)
		}
	}
}

func TestTheNamespaceIsTheOwner(t *testing.T) {
	for name, owner := range map[string]string{"tiny": "library", "me/mine": "me", "hf.co/you/yours:x": "you"} {
		if got := modelname.Namespace(name); got != owner {
			t.Errorf("%q belongs to %q, want %q", name, got, owner)
		}
	}
}
