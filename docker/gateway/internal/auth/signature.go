package auth

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ollamamax/gateway/internal/sshkey"
)

var errSignature = errors.New("the signature of this request is not valid")

// signed is a request that the ollama command line signed: it sends "<public key>:<signature>" as
// Authorization and signs "METHOD,/path?ts=SECONDS", ts being in the query too.
type signed struct {
	key [ed25519.PublicKeySize]byte
}

// parseSigned checks a signature and its time. The body is not part of what the command line signs, and
// two equal requests within a second carry the same signature, so a replay can only be limited by the
// time: a request is good for window and no longer.
func parseSigned(method, path, query, authorization string, now time.Time, window time.Duration) (signed, error) {
	var s signed
	encodedKey, encodedSignature, found := strings.Cut(authorization, ":")
	if !found {
		return s, errSignature
	}
	var err error
	if s.key, err = sshkey.Decode(encodedKey); err != nil {
		return s, errSignature
	}
	signature, err := base64.StdEncoding.DecodeString(encodedSignature)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return s, errSignature
	}
	values, _ := url.ParseQuery(query) // what can't be read is no time
	stamps := values["ts"]
	if len(stamps) != 1 {
		return s, errSignature
	}
	seconds, err := strconv.ParseInt(stamps[0], 10, 64)
	if err != nil {
		return s, errSignature
	}
	message := method + "," + path + "?ts=" + stamps[0]
	if !ed25519.Verify(s.key[:], []byte(message), signature) {
		return s, errSignature
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > window {
		return s, errors.New("the signed time of this request is too far from the gateway's clock")
	}
	return s, nil
}

// WithoutStamp removes the time of a signature from a query and leaves the rest as it was written.
func WithoutStamp(query string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(part, "="); name != "ts" && part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}
