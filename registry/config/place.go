package config

import (
	"net/netip"
	"net/url"
	"strconv"
)

// addrPort reads ADDRESS or ADDRESS:PORT.
func addrPort(w string, def uint16) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(w); err == nil {
		return netip.AddrPortFrom(a, def), true
	}
	a, err := netip.ParseAddrPort(w)
	return a, err == nil && a.Port() > 0
}

// httpsURL reads a URL that secrets may be sent to: over TLS, or to this host. It tells what is wrong with others.
func httpsURL(w string) (u *url.URL, wrong string) {
	u, err := url.Parse(w)
	const example = "write one such as https://hooks.corp.example/nameward"
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.Hostname() == "":
		return nil, strconv.Quote(w) + " is not an HTTPS URL, " + example
	case u.User != nil:
		return nil, strconv.Quote(u.Redacted()) + " has a user in it, which is shown in many places: take it out"
	case u.Fragment != "":
		return nil, strconv.Quote(w) + " has a fragment, which is never sent: take it out"
	case u.Port() != "" && !isPort(u.Port()):
		return nil, "the port in " + strconv.Quote(w) + " is not 1 to 65535, " + example
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, strconv.Quote(w) + " goes over the network in the clear, http is for an address of this host such as 127.0.0.1: write https"
	}
	return u, ""
}

// isLoopback is for addresses only: what a name stands for may change.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
