// Package inflate reads compressed request bodies, so that the gateway knows what they ask for and the
// workers, which read none, get them plain.
package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// Accepted is the encodings that are read, as the header Accept-Encoding lists them.
const Accepted = "gzip, br, zstd"

const (
	// A body may grow this many times once it is larger than free: text compresses ten times, a bomb a
	// thousand times, and a short body made of one word often is harmless.
	maxRatio = 100
	free     = 1 << 20
	// windowBytes bounds the memory that a zstd frame can ask for before it has given a byte.
	windowBytes = 8 << 20
)

// Errors of Body, beside that of a body that is not what its header says.
var (
	ErrEncoding = errors.New("content encoding is not one of identity, " + Accepted)
	ErrTooLarge = errors.New("the body is larger than the limit once it is decompressed")
	ErrRatio    = fmt.Errorf("the body grows more than %d times when it is decompressed", maxRatio)
)

// Plain tells whether a Content-Encoding leaves a body as it is.
func Plain(encoding string) bool {
	return encoding == "" || strings.EqualFold(strings.TrimSpace(encoding), "identity")
}

// Name is how metrics call a Content-Encoding.
func Name(encoding string) string {
	switch name := strings.ToLower(strings.TrimSpace(encoding)); name {
	case "gzip", "x-gzip":
		return "gzip"
	case "br", "zstd":
		return name
	}
	return "other"
}

// Most returns the most bytes that a body takes once it has been decompressed: of length bytes, -1 where that is
// not known, and limit at most. A body that Body does not decompress takes its length.
func Most(encoding string, length, limit int64) int64 {
	switch {
	case Plain(encoding) || Name(encoding) == "other":
		return length
	case length < 0 || length > limit/maxRatio:
		return limit
	}
	return min(limit, max(free, maxRatio*length))
}

// Body decompresses a whole body. limit is the most bytes that it may have afterwards.
func Body(encoding string, body []byte, limit int64) ([]byte, error) {
	switch Name(encoding) {
	case "gzip":
		reader, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("the body is not gzip: %w", err)
		}
		return read("gzip", reader, len(body), limit)
	case "br":
		reader := brotliReaders.Get().(*brotli.Reader)
		defer brotliReaders.Put(reader)
		if err := reader.Reset(bytes.NewReader(body)); err != nil {
			return nil, fmt.Errorf("the body is not br: %w", err)
		}
		return read("br", reader, len(body), limit)
	case "zstd":
		reader := zstdReaders.Get().(*zstd.Decoder)
		defer zstdReaders.Put(reader)
		if err := reader.Reset(bytes.NewReader(body)); err != nil {
			return nil, fmt.Errorf("the body is not zstd: %w", err)
		}
		return read("zstd", reader, len(body), limit)
	}
	return nil, ErrEncoding
}

// Decoders have tables that are worth keeping.
var (
	brotliReaders = sync.Pool{New: func() any { return brotli.NewReader(nil) }}
	zstdReaders   = sync.Pool{New: func() any {
		reader, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(windowBytes))
		if err != nil {
			panic(err) // the options are constants
		}
		return reader
	}}
)

func read(name string, reader io.Reader, compressed int, limit int64) ([]byte, error) {
	most := Most(name, int64(compressed), limit)
	plain, err := io.ReadAll(io.LimitReader(reader, most+1))
	switch {
	case int64(len(plain)) > limit:
		return nil, ErrTooLarge
	case int64(len(plain)) > most:
		return nil, ErrRatio
	case err != nil:
		return nil, fmt.Errorf("the body is not %s: %w", name, err)
	}
	return plain, nil
}
