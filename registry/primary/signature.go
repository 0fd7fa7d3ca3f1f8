package primary

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

// signature is how a message to a primary is signed.
type signature struct {
	sign     func(*dns.Msg)
	provider dns.TsigProvider // nil: not at all
	forget   func()           // the primary does not know the key any more
}

// signature returns how messages to a primary are signed: by the key, or by what was agreed on with the
// primary, which is agreed on now if need be.
func (s *Servers) signature(ctx context.Context, addr netip.AddrPort) (signature, error) {
	switch {
	case !s.key.IsZero():
		return signature{s.key.Sign, s.key.Provider(), func() {}}, nil
	case s.agreed == nil:
		return signature{func(*dns.Msg) {}, nil, func() {}}, nil
	}
	k, err := s.agreed.with(ctx, addr)
	if err != nil {
		return signature{}, fmt.Errorf("GSS-TSIG: %w", err)
	}
	sign := func(m *dns.Msg) { m.SetTsig(k.name, k.algorithm, tsig.Fudge, time.Now().Unix()) }
	return signature{sign, k.provider, func() { s.agreed.forget(addr, k) }}, nil
}

// judge says why a response is not one that counts; err is that of reading it.
func (s *signature) judge(m, response *dns.Msg, err error) error {
	switch {
	case response == nil:
		return err
	case response.Id != m.Id || !response.Response || response.Opcode != m.Opcode:
		return errors.New("it answers something else")
	case keyIsGone(response):
		s.forget()
		return errKeyGone
	case err != nil:
		return &untrusted{fmt.Errorf("its response, %s, is not to be trusted: %w", dns.RcodeToString[response.Rcode], err)}
	case s.provider != nil && response.IsTsig() == nil:
		return &untrusted{fmt.Errorf("its response, %s, is not signed", dns.RcodeToString[response.Rcode])}
	}
	return nil
}

// keyIsGone reports the response of a server that does not know the key: RFC 8945, Section 5.2.1.
func keyIsGone(response *dns.Msg) bool {
	t := response.IsTsig()
	return response.Rcode == dns.RcodeNotAuth && t != nil && t.Error == dns.RcodeBadKey
}

// ErrUntrusted is what came back when it is a response that is not signed as it has to be: what it says counts for
// nothing, and whether the update was carried out is to be found out. Samba before 4.19.8 signs errors so (its bug 13019).
var ErrUntrusted = errors.New("the response is not to be trusted")

type untrusted struct{ error }

func (u *untrusted) Is(err error) bool { return err == ErrUntrusted }

func (u *untrusted) Unwrap() error { return u.error }
