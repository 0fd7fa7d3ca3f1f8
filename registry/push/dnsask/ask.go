package dnsask

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push"
)

// errNoNames is why an item cannot be asked about.
var errNoNames = errors.New("the role has no DNS name that this server can be asked for")

// Ask asks a server once for the addresses, IPv4 and IPv6, of every DNS name of the items' roles, and has each item Right,
// Stale, Foreign or Failed. A role's worst name is what counts. When ctx has no end, the package's own stands for it.
func Ask(ctx context.Context, server netip.AddrPort, items []*push.Item, opts Options) {
	var questions []dns.Question
	for _, it := range items {
		for _, name := range opts.names(it) {
			questions = append(questions, question(name, dns.TypeA), question(name, dns.TypeAAAA))
		}
	}
	replies := Query(ctx, server, questions, opts)
	for _, it := range items {
		n := 2 * len(opts.names(it))
		judge(it, replies[:n])
		replies = replies[n:]
	}
}

func question(name string, qtype uint16) dns.Question {
	return dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
}

// names are those of a role that the server is asked for.
func (o Options) names(it *push.Item) []string {
	if o.Names != nil {
		return o.Names(it)
	}
	if o.Zone == "" {
		return it.Role.Role.DNS
	}
	var in []string
	for _, name := range it.Role.Role.DNS {
		if dns.IsSubDomain(o.Zone, name) {
			in = append(in, name)
		}
	}
	return in
}

// severity orders what is found of a role's names: that of the worst is told.
var severity = []push.Stage{push.Verified, push.Stale, push.Foreign}

// judge tells the item what was found, two replies for each name.
func judge(it *push.Item, replies []Reply) {
	if len(replies) == 0 {
		it.Fail(errNoNames)
		return
	}
	worst, found := push.Verified, it.Addrs()
	for ; len(replies) > 0; replies = replies[2:] {
		addrs, err := both(replies[0], replies[1])
		if err != nil {
			it.Fail(err)
			return
		}
		if s := it.Verdict(addrs, it.Addrs()); slices.Index(severity, s) > slices.Index(severity, worst) {
			worst, found = s, addrs
		}
	}
	it.Answers(worst, found)
}

func both(a, aaaa Reply) ([]netip.Addr, error) {
	v4, err := a.Addrs()
	if err != nil {
		return nil, err
	}
	v6, err := aaaa.Addrs()
	return append(v4, v6...), err
}

// maxChain is how many aliases in a row are followed.
const maxChain = 16

// Records gives the records of the type and the name that were asked for, without following aliases: none when there
// is no such name or it has none of the type. A response that says neither is an error.
func (r Reply) Records() ([]dns.RR, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var found []dns.RR
	for _, rr := range r.Msg.Answer {
		if h := rr.Header(); h.Rrtype == r.Question.Qtype && h.Class == r.Question.Qclass && strings.EqualFold(h.Name, r.Question.Name) {
			found = append(found, rr)
		}
	}
	return found, nil
}

// Addrs gives the addresses that the reply has for the name that was asked for, at the end of its aliases if there
// are any; none for a name that does not exist or has none. A response that says neither is an error.
func (r Reply) Addrs() ([]netip.Addr, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	name, end := r.Question.Name, r.endOfAliases()
	addrs := r.addrsOf(end)
	if len(addrs) == 0 && !r.recursed && r.Msg.Rcode == dns.RcodeSuccess && len(r.Msg.Ns) == 0 && !strings.EqualFold(end, name) {
		// That the name at the end of an alias has no addresses would come with an SOA: RFC 2308, Section 2.2.
		return nil, fmt.Errorf("%s is an alias of %s, of which the server says nothing", name, end)
	}
	return addrs, nil
}

// check says why a reply is none that counts.
func (r Reply) check() error {
	if r.Err != nil {
		return r.Err
	}
	name := r.Question.Name
	if rcode := r.Msg.Rcode; rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
		return fmt.Errorf("%s %s: the server says %s", name, dns.TypeToString[r.Question.Qtype], dns.RcodeToString[rcode])
	}
	if !r.recursed && !r.Msg.Authoritative {
		return fmt.Errorf("%s: the server is not authoritative for it", name)
	}
	return nil
}

func (r Reply) endOfAliases() string {
	name := r.Question.Name
	for range maxChain {
		i := slices.IndexFunc(r.Msg.Answer, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeCNAME && strings.EqualFold(rr.Header().Name, name)
		})
		if i < 0 {
			break
		}
		name = r.Msg.Answer[i].(*dns.CNAME).Target
	}
	return name
}

func (r Reply) addrsOf(name string) (addrs []netip.Addr) {
	for _, rr := range r.Msg.Answer {
		if rr.Header().Rrtype != r.Question.Qtype || !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		var a netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			a, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			a, _ = netip.AddrFromSlice(rr.AAAA.To16())
		}
		if a.IsValid() && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
