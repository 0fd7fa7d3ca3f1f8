package policy

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/yamlat"
)

// Case is a test of a policy: a request, and what is to be decided.
type Case struct {
	Name    string
	File    string
	At      yamlat.At
	Given   map[string][]string // role: the nodes that hold it; a role that is not named may be anybody's
	Request Request
	Want    Want
}

// Want is what a case expects. Parts that are not written are not compared.
type Want struct {
	At        yamlat.At
	Verdict   Action
	Rule      string
	Shadow    string
	Published []netip.Addr
	// Says tells which lists are written, for an empty one is a wish too.
	SaysPublished bool
}

var caseShape = yamlat.Shape[Case]{
	What: "a test",
	Fields: []yamlat.Field[Case]{
		{Key: "name", Required: true, Set: func(d *decoder, n *node, c *Case) { c.Name = d.String(n).Value }},
		{Key: "given", Set: func(d *decoder, n *node, c *Case) { c.Given = given(d, n) }},
		{Key: "request", Required: true, Set: func(d *decoder, n *node, c *Case) { c.Request = decodeRequest(d, n) }},
		{Key: "want", Required: true, Set: func(d *decoder, n *node, c *Case) {
			c.Want.At, _ = wantShape.Decode(d, n, &c.Want)
		}},
	},
}

var wantShape = yamlat.Shape[Want]{
	What: "want",
	Fields: []yamlat.Field[Want]{
		{Key: "verdict", Required: true, Set: func(d *decoder, n *node, w *Want) { w.Verdict = choice(d, n, Actions) }},
		{Key: "rule", Set: func(d *decoder, n *node, w *Want) { w.Rule = d.String(n).Value }},
		{Key: "shadow", Set: func(d *decoder, n *node, w *Want) { w.Shadow = d.String(n).Value }},
		{Key: "published", Set: func(d *decoder, n *node, w *Want) {
			w.Published, w.SaysPublished = values(yamlat.ListOf(d, n, anyAddr)), true
		}},
	},
}

// rawRequest is a request as it is written.
type rawRequest struct {
	Request
	name yamlat.Item[string]
	typ  yamlat.Item[Type]
}

var requestShape = yamlat.Shape[rawRequest]{
	What: "a request",
	Fields: []yamlat.Field[rawRequest]{
		{Key: "channel", Required: true, Set: func(d *decoder, n *node, r *rawRequest) { r.Channel = choice(d, n, Channels) }},
		{Key: "name", Required: true, Set: func(d *decoder, n *node, r *rawRequest) { r.name = d.String(n) }},
		{Key: "type", Set: func(d *decoder, n *node, r *rawRequest) { r.typ = recordType(d, n) }},
		{Key: "addresses", Set: func(d *decoder, n *node, r *rawRequest) { r.Addrs = values(yamlat.ListOf(d, n, anyAddr)) }},
		{Key: "from", Set: func(d *decoder, n *node, r *rawRequest) { r.Source = anyAddr(d, n).Value }},
		{Key: "principal", Set: func(d *decoder, n *node, r *rawRequest) { r.Principal = d.String(n).Value }},
		{Key: "time", Set: func(d *decoder, n *node, r *rawRequest) { r.Time = timeOf(d, n) }},
	},
}

func decodeCase(d *decoder, n *node, file string) Case {
	c := Case{File: file}
	c.At, _ = caseShape.Decode(d, n, &c)
	return c
}

func decodeRequest(d *decoder, n *node) Request {
	var r rawRequest
	if _, ok := requestShape.Decode(d, n, &r); !ok || !r.name.OK {
		return Request{}
	}
	if err := r.SetName(r.name.Value); err != nil {
		d.Problemf(r.name.At, "name: %v", err)
		return Request{}
	}
	if err := r.setType(r.typ); err != nil {
		at := r.typ.At
		if !at.IsSet() {
			at = r.name.At
		}
		d.Problemf(at, "%v", err)
	}
	if err := r.Check(); err != nil {
		d.Problemf(r.name.At, "%v", err)
	}
	return r.Request
}

// SetName sets the name of a request from its text: with a dot it is a DNS name, without one a NetBIOS
// name.
func (r *Request) SetName(s string) error {
	if strings.HasSuffix(s, ">") || !strings.Contains(s, ".") || strings.Contains(s, ">.") {
		n, err := netbios.ParseName(s)
		if err != nil {
			return err
		}
		r.NetBIOS, r.DNS = n.Fold(), ""
		return nil
	}
	name := dns.CanonicalName(s)
	if _, ok := dns.IsDomainName(name); !ok {
		return fmt.Errorf("%q is no DNS name", s)
	}
	r.DNS, r.NetBIOS = name, netbios.Name{}
	return nil
}

func (r *rawRequest) setType(t yamlat.Item[Type]) error {
	if t.At.IsSet() {
		r.Type = t.Value.Number
		if t.OK && t.Value.NB != r.NetBIOS.IsValid() {
			return fmt.Errorf("type %s does not go with the name %s: NB is the type of NetBIOS names", t.Value.Text, r.Name())
		}
		return nil
	}
	r.GuessType()
	if r.Type == 0 {
		return fmt.Errorf("the type cannot be told from the addresses, write it: type: TXT")
	}
	return nil
}

// GuessType sets the type that the name and the addresses speak for: NB, A or AAAA, or none.
func (r *Request) GuessType() {
	switch {
	case r.NetBIOS.IsValid():
		r.Type = TypeNB
	case len(r.Addrs) == 0:
		r.Type = dns.TypeNone
	case r.Addrs[0].Is4():
		r.Type = dns.TypeA
	default:
		r.Type = dns.TypeAAAA
	}
}

// Check reports a request that cannot be: a NetBIOS name in a channel of DNS, a signature where there is
// none, an address that does not go with the type.
func (r *Request) Check() error {
	nb := r.NetBIOS.IsValid()
	switch {
	case nb && (r.Channel == Update || r.Channel == Transfer):
		return fmt.Errorf("channel %s carries DNS names, and %s is a NetBIOS name", r.Channel, r.Name())
	case !nb && (r.Channel == WINS || r.Channel == Broadcast):
		return fmt.Errorf("channel %s carries NetBIOS names, and %s is a DNS name", r.Channel, r.Name())
	case nb && r.Source.IsValid() && !r.Source.Unmap().Is4():
		return fmt.Errorf("%s cannot be where a NetBIOS name comes from, which is an IPv4 address", r.Source)
	}
	switch ours := r.Channel == Transfer || r.Channel == Push; {
	case ours && r.Source.IsValid():
		return fmt.Errorf("channel %s is what we hand out ourselves: leave out from", r.Channel)
	case r.Principal != "" && r.Channel != Update && r.Channel != Transfer:
		return fmt.Errorf("nobody signs on channel %s: leave out principal", r.Channel)
	}
	for _, a := range r.Addrs {
		switch {
		case !nb && !CarriesAddrs(r.Type):
			return fmt.Errorf("a record of type %s carries no addresses: leave them out", r.TypeName())
		case (nb || r.Type == dns.TypeA) && !a.Is4():
			return fmt.Errorf("%s cannot be in a record of type %s, which has IPv4 addresses", a, r.TypeName())
		case !nb && r.Type == dns.TypeAAAA && !a.Is6():
			return fmt.Errorf("%s cannot be in a record of type AAAA, which has IPv6 addresses", a)
		}
	}
	return nil
}

// CarriesAddrs reports whether records of a type carry addresses, as Request.Addrs has them.
func CarriesAddrs(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeHTTPS, dns.TypeSVCB:
		return true
	}
	return false
}

// given reads which nodes hold which role: a node, a list of nodes, or an empty list for nobody.
func given(d *decoder, n *node) map[string][]string {
	out := map[string][]string{}
	d.Entries(n, "given", func(key yamlat.Item[string], n *node) {
		if yamlat.IsList(n) {
			out[key.Value] = values(yamlat.ListOf(d, n, (*decoder).String))
			return
		}
		if s := d.String(n); s.OK {
			out[key.Value] = []string{s.Value}
		}
	})
	return out
}

// anyAddr reads an address of any form. Requests carry what came from the network.
func anyAddr(d *decoder, n *node) yamlat.Item[netip.Addr] {
	return parsed(d, n, func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return a, fmt.Errorf("%q is no address, write one such as 192.0.2.11 or \"2001:db8::11\"", s)
		}
		return a, nil
	})
}
