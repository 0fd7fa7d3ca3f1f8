package yamlat

import (
	"fmt"
	"net/netip"
	"strings"
)

// Addr reads an IP address of one host.
func (d *D) Addr(n *Node) Item[netip.Addr] {
	w, at, ok := d.word(n, "an IP address such as 192.0.2.11")
	if !ok {
		return Item[netip.Addr]{At: at}
	}
	a, err := netip.ParseAddr(w)
	text := badAddr(w, a, err)
	if text != "" {
		d.Badf(at, "%s", text)
		return Item[netip.Addr]{At: at}
	}
	return Item[netip.Addr]{at, true, a}
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// badAddr tells what is wrong with w, which was parsed to a or err, as the address of a host.
func badAddr(w string, a netip.Addr, err error) string {
	switch {
	case err != nil:
		if p, err := netip.ParsePrefix(w); err == nil {
			return fmt.Sprintf("%s is a prefix, write the address alone: %s", w, p.Addr())
		}
		return fmt.Sprintf("%s is not an IP address, write one such as 192.0.2.11 or \"2001:db8::11\"", quoted(w))
	case a.Zone() != "":
		return fmt.Sprintf("%s has a zone, write the address without it: %s", w, a.WithZone(""))
	case a.Is4In6():
		return fmt.Sprintf("%s is an IPv4-mapped address, write %s", w, a.Unmap())
	case a.IsUnspecified():
		return w + " is the unspecified address, write the address of a host"
	case a.IsMulticast():
		return w + " is a multicast address, write the address of a host"
	case a == broadcast:
		return w + " is the broadcast address, write the address of a host"
	}
	return ""
}

// Prefix reads a CIDR prefix.
func (d *D) Prefix(n *Node) Item[netip.Prefix] {
	w, at, ok := d.word(n, "a prefix such as 10.9.0.0/16")
	if !ok {
		return Item[netip.Prefix]{At: at}
	}
	p, err := netip.ParsePrefix(w)
	switch {
	case err != nil:
		if a, err := netip.ParseAddr(w); err == nil && a.Zone() == "" {
			d.Badf(at, "%s has no prefix length, write %s/%d for this address alone", w, w, a.BitLen())
		} else {
			d.Badf(at, "%s is not a prefix, write one such as 10.9.0.0/16 or \"fd00:9::/32\"", quoted(w))
		}
	case p.Addr().Is4In6():
		d.Badf(at, "%s is an IPv4-mapped prefix, write the IPv4 prefix", w)
	case p != p.Masked():
		d.Codef(at, CodeHostBits, "%s has host bits set, write %s", w, p.Masked())
	default:
		return Item[netip.Prefix]{at, true, p}
	}
	return Item[netip.Prefix]{At: at}
}

// AddrPort reads ADDRESS:PORT, or an address alone, which gets the port def. With anyHost the
// unspecified address is allowed: a listener binds to all.
func (d *D) AddrPort(n *Node, def uint16, anyHost bool) Item[netip.AddrPort] {
	bad := Item[netip.AddrPort]{}
	w, at, ok := d.word(n, fmt.Sprintf("ADDRESS:PORT such as \"192.0.2.53:%d\"", def))
	bad.At = at
	if !ok {
		return bad
	}
	ap, err := netip.ParseAddrPort(w)
	if a, aErr := netip.ParseAddr(w); err != nil && aErr == nil {
		ap, err = netip.AddrPortFrom(a, def), nil
	}
	switch {
	case err != nil:
		d.Badf(at, "%s is not ADDRESS:PORT, write one such as \"192.0.2.53:%d\"", quoted(w), def)
		return bad
	case ap.Port() == 0:
		d.Badf(at, "port 0 in %s is not a port, write 1 to 65535", w)
		return bad
	case anyHost && ap.Addr().IsUnspecified() && !ap.Addr().Is4In6():
		return Item[netip.AddrPort]{at, true, ap}
	}
	if text := badAddr(ap.Addr().String(), ap.Addr(), nil); text != "" {
		d.Badf(at, "%s", text)
		return bad
	}
	return Item[netip.AddrPort]{at, true, ap}
}

// FQDN reads a DNS name and returns it in lower case with its final dot. The dot may be missing from
// a name of two or more labels; a single label needs it. Labels are letters, digits, hyphens and
// underscores (RFC 1035, Section 2.3.1, and RFC 2782 for the underscore).
func (d *D) FQDN(n *Node) Item[string] {
	w, at, ok := d.word(n, "a DNS name such as mail.corp.example.")
	if !ok {
		return Item[string]{At: at}
	}
	name, text := fqdn(w)
	if text != "" {
		d.Badf(at, "%s", text)
		return Item[string]{At: at}
	}
	return Item[string]{at, true, name}
}

// FQDNKey is FQDN for a key.
func (d *D) FQDNKey(key Item[string]) Item[string] {
	name, text := fqdn(key.Value)
	if text != "" {
		d.Problemf(key.At, "%s", text)
		return Item[string]{At: key.At}
	}
	return Item[string]{key.At, true, name}
}

// fqdn normalises a DNS name or tells what is wrong with it.
func fqdn(w string) (name, wrong string) {
	const maxWire = 255 // RFC 1035, Section 2.3.4: with the length octets and the root
	bare := strings.TrimSuffix(w, ".")
	if !strings.Contains(bare, ".") && bare == w {
		if text := badLabel(w, w); text != "" {
			return "", text
		}
		return "", fmt.Sprintf("%q is one label, write the name in full: %s.corp.example.", w, w)
	}
	for label := range strings.SplitSeq(bare, ".") {
		if text := badLabel(w, label); text != "" {
			return "", text
		}
	}
	if wire := len(bare) + 2; wire > maxWire {
		return "", fmt.Sprintf("DNS name %s has %d octets on the wire, %d is the most: shorten it", w, wire, maxWire)
	}
	if bare != w {
		return strings.ToLower(w), ""
	}
	return strings.ToLower(bare) + ".", ""
}

func badLabel(w, label string) string {
	switch {
	case label == "":
		return fmt.Sprintf("DNS name %q has an empty label, write labels with one dot between them", w)
	case len(label) > 63:
		return fmt.Sprintf("label %q of a DNS name has %d octets, 63 is the most: shorten it", label, len(label))
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Sprintf("label %q of DNS name %q begins or ends with a hyphen, take it off", label, w)
	}
	for _, r := range label {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		case r >= 0x80:
			return fmt.Sprintf("DNS name %q is not ASCII, write its A-labels (xn--...)", w)
		case r == '*':
			return fmt.Sprintf("DNS name %q is a wildcard, write each name", w)
		case r == '@':
			return fmt.Sprintf("DNS name %q has an @, write a dot in its place", w)
		default:
			return fmt.Sprintf("%q in DNS name %q is not allowed, use letters, digits, hyphens and underscores", r, w)
		}
	}
	return ""
}
