package tsig

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Key is a key that two servers share. The zero Key signs nothing.
type Key struct {
	Name      string // lower case and fully qualified
	Algorithm string // as miekg/dns writes it: hmac-sha256. and so on
	Secret    string // base64
}

// Fudge is how far clocks may be apart in seconds, RFC 8945, Section 10.
const Fudge = 300

// hashes are those of the algorithms, RFC 8945, Section 6.
var hashes = map[string]func() hash.Hash{
	dns.HmacSHA1: sha1.New, dns.HmacSHA224: sha256.New224, dns.HmacSHA256: sha256.New, dns.HmacSHA384: sha512.New384, dns.HmacSHA512: sha512.New,
}

// New checks the parts of a key; the algorithm "" is hmac-sha256.
func New(algorithm, name, secret string) (Key, error) {
	k := Key{Name: dns.CanonicalName(name), Algorithm: dns.HmacSHA256, Secret: secret}
	if algorithm != "" {
		k.Algorithm = dns.CanonicalName(algorithm)
	}
	if hashes[k.Algorithm] == nil {
		return Key{}, fmt.Errorf("algorithm %q is none, known are hmac-sha1, -sha224, -sha256, -sha384 and -sha512", algorithm)
	}
	if octets, err := base64.StdEncoding.DecodeString(secret); err != nil || len(octets) == 0 {
		return Key{}, errors.New("the secret is not base64")
	}
	if _, ok := dns.IsDomainName(k.Name); !ok || name == "" {
		return Key{}, fmt.Errorf("the name %.80q is not a domain name", name)
	}
	return k, nil
}

// statement is a key as named.conf has it and tsig-keygen prints it.
var statement = regexp.MustCompile(`(?s)^\s*key\s+"?([^"\s{]+)"?\s*\{\s*algorithm\s+"?([^"\s;]+)"?\s*;\s*secret\s+"?([^"\s;]+)"?\s*;\s*\}\s*;?\s*$`)

// Parse reads a key from text: one line, NAME:SECRET or ALGORITHM:NAME:SECRET, or a key statement of
// named.conf.
func Parse(text string) (Key, error) {
	if m := statement.FindStringSubmatch(text); m != nil {
		return New(m[2], m[1], m[3])
	}
	switch parts := strings.Split(strings.TrimSpace(text), ":"); len(parts) {
	case 2:
		return New("", parts[0], parts[1])
	case 3:
		return New(parts[0], parts[1], parts[2])
	}
	return Key{}, errors.New("want one line, NAME:SECRET or ALGORITHM:NAME:SECRET, or a key statement of named.conf")
}

// maxFile bounds the file of a key in octets.
const maxFile = 64 << 10

// Read reads the key in the file at path.
func Read(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, err
	}
	if len(text) > maxFile {
		return Key{}, fmt.Errorf("%s: %d octets are too many for a key", path, len(text))
	}
	k, err := Parse(string(text))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k == Key{} }

// Sign has the message signed when it is sent by a dns.Conn, Client or Transfer that knows k.Secrets.
func (k Key) Sign(m *dns.Msg) { m.SetTsig(k.Name, k.Algorithm, Fudge, time.Now().Unix()) }

// Provider signs and verifies with the key alone.
func (k Key) Provider() dns.TsigProvider { return provider(k) }

type provider Key

// Generate implements dns.TsigProvider.
func (p provider) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	secret, err := base64.StdEncoding.DecodeString(p.Secret)
	switch {
	case err != nil:
		return nil, err
	case dns.CanonicalName(t.Hdr.Name) != p.Name:
		return nil, dns.ErrSecret
	case dns.CanonicalName(t.Algorithm) != p.Algorithm:
		return nil, dns.ErrKeyAlg
	}
	h := hmac.New(hashes[p.Algorithm], secret)
	h.Write(msg)
	return h.Sum(nil), nil
}

// Verify implements dns.TsigProvider.
func (p provider) Verify(msg []byte, t *dns.TSIG) error {
	want, err := p.Generate(msg, t)
	if err != nil {
		return err
	}
	if got, err := hex.DecodeString(t.MAC); err != nil || !hmac.Equal(got, want) {
		return dns.ErrSig
	}
	return nil
}

// Secrets is the key in the form in which miekg/dns wants it.
func (k Key) Secrets() map[string]string { return map[string]string{k.Name: k.Secret} }
