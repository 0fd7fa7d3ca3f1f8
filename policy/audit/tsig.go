package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// tsigFudge is how far clocks may be apart in seconds, RFC 8945, Section 10.
const tsigFudge = 300

// transferKey is a TSIG that was checked.
type transferKey struct {
	name, algorithm string // lower case and fully qualified
	secret          string
}

var tsigAlgorithms = map[string]bool{dns.HmacSHA1: true, dns.HmacSHA224: true, dns.HmacSHA256: true, dns.HmacSHA384: true, dns.HmacSHA512: true}

func newTransferKey(key TSIG) (*transferKey, error) {
	algorithm := dns.HmacSHA256
	if key.Algorithm != "" {
		algorithm = dns.CanonicalName(key.Algorithm)
	}
	if !tsigAlgorithms[algorithm] {
		return nil, fmt.Errorf("algorithm %q is none, known are hmac-sha1, -sha224, -sha256, -sha384 and -sha512", key.Algorithm)
	}
	if secret, err := base64.StdEncoding.DecodeString(key.Secret); err != nil || len(secret) == 0 {
		return nil, errors.New("the secret is not base64")
	}
	if _, ok := dns.IsDomainName(key.Name); !ok || key.Name == "" {
		return nil, fmt.Errorf("the name %q is not a domain name", clip(key.Name))
	}
	return &transferKey{name: dns.CanonicalName(key.Name), algorithm: algorithm, secret: key.Secret}, nil
}

func (k *transferKey) sign(m *dns.Msg) { m.SetTsig(k.name, k.algorithm, tsigFudge, time.Now().Unix()) }
