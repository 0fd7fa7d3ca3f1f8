package nbns

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/nameward/nameward/netbios"
)

// ErrSecondWack is the error of a request for which the server sent a second WACK, which could go on for
// ever.
var ErrSecondWack = errors.New("second WACK for one request")

// NegativeError is the answer of a server that refuses a request or does not know the name.
type NegativeError struct {
	Name  netbios.Name
	Rcode netbios.Rcode
	From  netip.AddrPort
}

// Error returns name, server and rcode in words.
func (e *NegativeError) Error() string {
	return fmt.Sprintf("%s answers for %s: %s", e.From, e.Name, e.Rcode)
}

// RedirectError is the answer of a server that names another server to ask, RFC 1002, Section 4.2.15.
// The client does not follow it, for the address is an unproven one.
type RedirectError struct {
	Name   netbios.Name
	Server netip.Addr // not valid if the answer has no address
	From   netip.AddrPort
}

// Error returns name and servers.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s redirects the query for %s to %s", e.From, e.Name, e.Server)
}

// refusal returns the error that a reply amounts to, or nil.
func refusal(r reply) error {
	m := r.msg
	if m.Rcode != netbios.RcodeOK {
		return &NegativeError{Name: m.Answers[0].Name, Rcode: m.Rcode, From: r.from}
	}
	if m.Form() == netbios.FormRedirect {
		e := &RedirectError{Name: m.Authority[0].Name, From: r.from}
		if len(m.Additional) > 0 {
			if a, ok := m.Additional[0].Data.(netbios.A); ok {
				e.Server = a.Addr
			}
		}
		return e
	}
	return nil
}
