package inflate_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"ollamamax/gateway/internal/inflate"
)

const limit = 2 << 20

func deflate(t testing.TB, encoding string, plain []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	var writer io.WriteCloser
	switch encoding {
	case "gzip":
		writer = gzip.NewWriter(&packed)
	case "br":
		writer = brotli.NewWriterLevel(&packed, brotli.BestSpeed)
	case "zstd":
		var err error
		if writer, err = zstd.NewWriter(&packed); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := writer.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

var encodings = []string{"gzip", "br", "zstd"}

// letters does not compress well.
func letters(n int) []byte {
	source := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('a' + source.IntN(26))
	}
	return text
}

func TestABodyIsReadInEachEncoding(t *testing.T) {
	for _, encoding := range encodings {
		for _, plain := range [][]byte{nil, []byte(`{"model":"tiny"}`), letters(limit)} {
			got, err := inflate.Body(encoding, deflate(t, encoding, plain), limit)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: %d bytes of %d: %v", encoding, len(got), len(plain), err)
			}
		}
	}
	if _, err := inflate.Body(" X-GZIP", deflate(t, "gzip", nil), limit); err != nil {
		t.Error(err)
	}
}

func TestABodyThatIsTooLargeAfterwardsIsRefused(t *testing.T) {
	for _, encoding := range encodings {
		if _, err := inflate.Body(encoding, deflate(t, encoding, letters(limit+1)), limit); !errors.Is(err, inflate.ErrTooLarge) {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}

func TestABombIsRefusedBeforeItHasGrown(t *testing.T) {
	for _, encoding := range encodings {
		bomb := deflate(t, encoding, make([]byte, 3<<19))
		if _, err := inflate.Body(encoding, bomb, limit); !errors.Is(err, inflate.ErrRatio) {
			t.Errorf("%s, %d bytes: %v", encoding, len(bomb), err)
		}
		harmless := deflate(t, encoding, make([]byte, 1<<20))
		if _, err := inflate.Body(encoding, harmless, limit); err != nil {
			t.Errorf("%s: a short body of one letter is refused: %v", encoding, err)
		}
	}
}

func TestTheMostThatABodyTakesIsKnownBeforeItIsRead(t *testing.T) {
	for _, c := range []struct {
		encoding     string
		length, most int64
	}{
		{"", 300, 300},
		{"identity", -1, -1},
		{"deflate", 300, 300}, // is refused as it is
		{"gzip", 300, 1 << 20},
		{" X-GZIP ", 20_000, 2_000_000},
		{"br", 30_000, limit},
		{"zstd", -1, limit},
		{"zstd", math.MaxInt64, limit},
	} {
		if most := inflate.Most(c.encoding, c.length, limit); most != c.most {
			t.Errorf("%q of %d bytes takes %d, not %d", c.encoding, c.length, most, c.most)
		}
	}
	if most := inflate.Most("gzip", 1, 1024); most != 1024 {
		t.Errorf("%d bytes of 1024", most)
	}
}

func TestABodyThatIsNotWhatItsHeaderSaysIsRefused(t *testing.T) {
	for _, encoding := range encodings {
		whole := deflate(t, encoding, letters(1000))
		for name, body := range map[string][]byte{"text": []byte(`{"model":"tiny"}`), "cut": whole[:len(whole)-10]} {
			_, err := inflate.Body(encoding, body, limit)
			if err == nil || !strings.Contains(err.Error(), "the body is not "+encoding) {
				t.Errorf("%s, %s: %v", encoding, name, err)
			}
		}
		if _, err := inflate.Body(encoding, whole, limit); err != nil { // a decoder is used again after an error
			t.Errorf("%s: %v", encoding, err)
		}
	}
}

func TestOtherEncodingsAreRefused(t *testing.T) {
	for _, encoding := range []string{"deflate", "compress", "gzip, br", "nonsense"} {
		if _, err := inflate.Body(encoding, nil, limit); !errors.Is(err, inflate.ErrEncoding) || inflate.Plain(encoding) {
			t.Errorf("%s: %v", encoding, err)
		}
	}
	if !inflate.Plain("") || !inflate.Plain("Identity") {
		t.Error("an uncompressed body is not taken for one")
	}
}

func FuzzBody(f *testing.F) {
	for _, encoding := range encodings {
		f.Add(encoding, deflate(f, encoding, []byte(`{"model":"tiny"}`)))
	}
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		plain, err := inflate.Body(encoding, body, 64<<10)
		if len(plain) > 64<<10 || (err != nil && plain != nil) {
			t.Errorf("%d bytes, %v", len(plain), err)
		}
	})
}
