package rndc

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

// Kinds of values.
const (
	kindBinary = 1
	kindTable  = 2
	kindList   = 3
)

const (
	version = 1
	// digestRoom is what a digest in base64 is padded to, which is what that of SHA-512 has.
	digestRoom = 88
	maxDepth   = 4
)

// algorithm is a HMAC as messages number it.
type algorithm struct {
	number byte
	hash   func() hash.Hash
}

var algorithms = map[string]algorithm{
	dns.HmacSHA1: {161, sha1.New}, dns.HmacSHA224: {162, sha256.New224}, dns.HmacSHA256: {163, sha256.New},
	dns.HmacSHA384: {164, sha512.New384}, dns.HmacSHA512: {165, sha512.New},
}

// signer signs and verifies with one key.
type signer struct {
	algorithm
	secret []byte
}

func newSigner(key tsig.Key) (signer, error) {
	a, ok := algorithms[key.Algorithm]
	if !ok {
		return signer{}, fmt.Errorf("the control channel knows no algorithm %q", key.Algorithm)
	}
	secret, err := base64.StdEncoding.DecodeString(key.Secret)
	return signer{a, secret}, err
}

// digest is the HMAC of signed as an hsha value has it.
func (s signer) digest(signed []byte) []byte {
	h := hmac.New(s.hash, s.secret)
	h.Write(signed)
	out := make([]byte, 1+digestRoom)
	out[0] = s.number
	base64.StdEncoding.Encode(out[1:], h.Sum(nil))
	return out
}

// field is a key with text.
type field struct{ key, value string }

// pack makes a message whose control table and data table have the fields.
func (s signer) pack(ctrl, data []field) []byte {
	signed := appendTable(nil, "_ctrl", ctrl)
	signed = appendTable(signed, "_data", data)
	auth := appendTable(nil, "_auth", []field{{"hsha", string(s.digest(signed))}})
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(auth)+len(signed)))
	out = binary.BigEndian.AppendUint32(out, version)
	return append(append(out, auth...), signed...)
}

func appendTable(b []byte, key string, fields []field) []byte {
	var body []byte
	for _, f := range fields {
		body = appendValue(body, f.key, kindBinary, []byte(f.value))
	}
	return appendValue(b, key, kindTable, body)
}

func appendValue(b []byte, key string, kind byte, value []byte) []byte {
	b = append(append(b, byte(len(key))), key...)
	b = binary.BigEndian.AppendUint32(append(b, kind), uint32(len(value)))
	return append(b, value...)
}

var (
	errCut       = errors.New("the message ends too early")
	errSignature = errors.New("the signature of the reply is not right: another key?")
)

// table is a parsed table; the key of a value in a table within it has a dot: "_data.result".
type table map[string]string

// unpack verifies and parses a message behind its length.
func (s signer) unpack(b []byte) (table, error) {
	if len(b) < 4 {
		return nil, errCut
	}
	if v := binary.BigEndian.Uint32(b); v != version {
		return nil, fmt.Errorf("the message has version %d, not 1", v)
	}
	key, kind, auth, signed, err := cutValue(b[4:])
	if err != nil {
		return nil, err
	}
	if key != "_auth" || kind != kindTable {
		return nil, errors.New("the reply is not signed")
	}
	t := table{}
	if err := t.fill("", auth, maxDepth); err != nil {
		return nil, err
	}
	if !hmac.Equal([]byte(t["hsha"]), s.digest(signed)) {
		return nil, errSignature
	}
	t = table{}
	return t, t.fill("", signed, maxDepth)
}

// fill adds what the encoded table has; lists, and what is deeper than anything that is sent, are passed over.
func (t table) fill(prefix string, b []byte, depth int) error {
	for len(b) > 0 {
		key, kind, value, rest, err := cutValue(b)
		if err != nil {
			return err
		}
		b, key = rest, prefix+key
		switch {
		case kind == kindBinary:
			t[key] = string(value)
		case kind == kindTable && depth > 1:
			if err := t.fill(key+".", value, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func cutValue(b []byte) (key string, kind byte, value, rest []byte, err error) {
	if len(b) < 1 || len(b) < 1+int(b[0])+5 {
		return "", 0, nil, nil, errCut
	}
	end := 1 + int(b[0])
	key, b = string(b[1:end]), b[end:]
	kind = b[0]
	if kind > kindList {
		return "", 0, nil, nil, fmt.Errorf("%.40q has a value of kind %d, which is none", key, kind)
	}
	n, b := uint64(binary.BigEndian.Uint32(b[1:])), b[5:]
	if n > uint64(len(b)) {
		return "", 0, nil, nil, errCut
	}
	return key, kind, b[:n], b[n:], nil
}
