package front

import (
	"errors"
	"slices"

	"github.com/miekg/dns"
)

// signer verifies and signs with the provider of the front, and with the secrets of CoreDNS where the
// provider does not know the key or there is none.
type signer struct {
	provider dns.TsigProvider // may be nil
	secrets  map[string]string
}

// verify checks the TSIG record of raw, which stays as it is: the library works in the octets it gets.
func (s signer) verify(raw []byte, key string) error {
	if s.provider != nil {
		err := dns.TsigVerifyWithProvider(slices.Clone(raw), s.provider, "", false)
		if !errors.Is(err, dns.ErrSecret) {
			return err
		}
	}
	secret, ok := s.secrets[dns.CanonicalName(key)]
	if !ok {
		return dns.ErrSecret
	}
	return dns.TsigVerify(slices.Clone(raw), secret, "", false)
}

// sign packs m and fills in the stub of a TSIG record that ends it. It returns the MAC too, which the
// next message of a transfer is signed over.
func (s signer) sign(m *dns.Msg, mac string, timersOnly bool) ([]byte, string, error) {
	key, extra := m.Extra[len(m.Extra)-1].Header().Name, m.Extra
	if s.provider != nil {
		data, next, err := dns.TsigGenerateWithProvider(m, s.provider, mac, timersOnly)
		if !errors.Is(err, dns.ErrSecret) {
			return data, next, err
		}
		m.Extra = extra // the library took the stub away
	}
	secret, ok := s.secrets[dns.CanonicalName(key)]
	if !ok && !unsigned(m) {
		return nil, "", dns.ErrSecret
	}
	return dns.TsigGenerate(m, secret, mac, timersOnly)
}

// unsigned reports whether the reply says that the key or the signature was bad: RFC 8945, Section
// 5.3.2 has it go out without a signature.
func unsigned(m *dns.Msg) bool {
	t := m.IsTsig()
	return t.Error == dns.RcodeBadKey || t.Error == dns.RcodeBadSig
}
