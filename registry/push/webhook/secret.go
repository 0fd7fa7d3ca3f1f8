package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	secretPrefix = "whsec_"
	// leastSecret and mostSecret are what the specification asks for, in octets.
	leastSecret, mostSecret = 24, 64
)

// parseSecret reads a secret as it is written for people: whsec_ and base64.
func parseSecret(text string) ([]byte, error) {
	coded, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	secret, err := base64.StdEncoding.DecodeString(coded)
	switch {
	case !ok || err != nil:
		return nil, errors.New("the secret is not whsec_ and base64")
	case len(secret) < leastSecret || len(secret) > mostSecret:
		return nil, fmt.Errorf("the secret has %d octets, %d to %d would be right", len(secret), leastSecret, mostSecret)
	}
	return secret, nil
}

// sign makes the value of webhook-signature.
func sign(secret []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
