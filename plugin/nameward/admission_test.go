package nameward

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
)

const publicReverse, managementReverse = "2.0.192.in-addr.arpa.", "9.10.in-addr.arpa."

// Who sends updates. The addresses of ex1 and ex2 are those of the roles' nodes.
var (
	holder   = client{from: "192.0.2.11", key: "node1."}
	passive  = client{from: "192.0.2.12", key: "node2."}
	stranger = client{from: "203.0.113.9", key: "other."}
	unsigned = client{from: "203.0.113.9"}
	printer  = client{from: "192.0.2.100"}
	camera   = client{from: "192.0.2.101"}
)

// admissionTests are updates with what they come to: the rcode, what stands in the zone and in the book afterwards.
var admissionTests = []struct {
	name   string
	zone   string // default corp.example.
	before string // by somebody who may
	who    client
	update string
	want   string // rcode
	zoneIs string
	heldIs string
}{
	{name: "an address of a name that is nobody's", who: stranger, update: "+ a 60 A 192.0.2.77", want: "NOERROR", zoneIs: "a 60 A 192.0.2.77"},
	{name: "a management address", who: stranger, update: "+ a 60 A 10.9.0.11", want: "NOERROR", heldIs: "quarantined add A a.corp.example. 10.9.0.11: rule"},
	{name: "mixed addresses", who: stranger, update: "+ a 60 A 10.9.0.11; + a 60 A 192.0.2.77; + a 60 A 10.9.9.9", want: "NOERROR", zoneIs: "a 60 A 192.0.2.77",
		heldIs: "quarantined add A a.corp.example. 10.9.0.11: rule; quarantined add A a.corp.example. 10.9.9.9: rule"},
	{name: "mixed families", who: stranger, update: "+ a 60 A 10.9.0.11; + a 60 AAAA 2001:db8::7", want: "NOERROR", zoneIs: "a 60 AAAA 2001:db8::7",
		heldIs: "quarantined add A a.corp.example. 10.9.0.11: rule"},
	{name: "a management address inside of IPv6", who: stranger, update: "+ a 60 AAAA ::ffff:10.9.0.11; + b 60 AAAA 64:ff9b::10.9.0.11", want: "NOERROR",
		heldIs: "quarantined add AAAA a.corp.example. ::ffff:10.9.0.11: rule; quarantined add AAAA b.corp.example. 64:ff9b::a09:b: rule"},
	{name: "a gateway in the management network", who: stranger, update: "+ a 60 IPSECKEY 10 1 2 10.9.0.11 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==", want: "NOERROR",
		heldIs: "quarantined add IPSECKEY a.corp.example. 10 1 2 10.9.0.11 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==: rule"},
	{name: "upper case is no way around", who: stranger, update: "+ MAIL.Corp.Example. 60 A 192.0.2.99", want: "NOERROR",
		heldIs: "quarantined add A mail.corp.example. 192.0.2.99: emptied"},

	{name: "hints", who: stranger, update: "+ a 60 HTTPS 1 . alpn=h2 ipv4hint=10.9.0.11,192.0.2.77", want: "NOERROR",
		zoneIs: `a 60 HTTPS 1 . alpn="h2" ipv4hint="192.0.2.77"`,
		heldIs: `quarantined add HTTPS a.corp.example. 1 . alpn="h2" ipv4hint="10.9.0.11,192.0.2.77": rule`},
	{name: "hints of the holder", who: holder, update: "+ mail 60 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.11", want: "NOERROR", zoneIs: `mail 60 HTTPS 1 . alpn="h2"`},
	{name: "hints of a passive node", who: passive, update: "+ mail 60 HTTPS 1 . ipv4hint=192.0.2.12", want: "NOERROR",
		heldIs: `quarantined add HTTPS mail.corp.example. 1 . ipv4hint="192.0.2.12": rule`},
	{name: "a binding that leads a guarded name away", who: stranger, update: "+ mail 60 HTTPS 0 evil.example.", want: "NOERROR",
		heldIs: "quarantined add HTTPS mail.corp.example. 0 evil.example.: rule"},
	{name: "one with the holder's address as cover", who: holder, update: "+ mail 60 SVCB 1 evil.example. ipv4hint=192.0.2.11", want: "NOERROR",
		heldIs: `quarantined add SVCB mail.corp.example. 1 evil.example. ipv4hint="192.0.2.11": rule`},
	{name: "a binding of a guarded name without an address", who: stranger, update: "+ mail 60 HTTPS 1 . port=666", want: "NOERROR",
		heldIs: `quarantined add HTTPS mail.corp.example. 1 . port="666": emptied`},
	{name: "a binding that leads another name away", who: stranger, update: "+ a 60 HTTPS 0 b.example.", want: "NOERROR", zoneIs: "a 60 HTTPS 0 b.example."},

	{name: "the holder's own word", who: holder, update: "- mail A; + mail 60 A 192.0.2.11", want: "NOERROR"},
	{name: "the holder's management address", who: holder, update: "+ mail 60 A 192.0.2.11; + mail 60 A 10.9.0.11", want: "NOERROR",
		heldIs: "quarantined add A mail.corp.example. 10.9.0.11: rule"},
	{name: "a passive node registers the public name", who: passive, update: "- mail A; + mail 60 A 192.0.2.12", want: "NOERROR",
		heldIs: "parked add A mail.corp.example. 192.0.2.12: rule"},
	{name: "a stranger registers it", who: stranger, update: "+ mail 60 A 192.0.2.99; + mail 60 AAAA 2001:db8::99", want: "NOERROR",
		heldIs: "quarantined add A mail.corp.example. 192.0.2.99: emptied; quarantined add AAAA mail.corp.example. 2001:db8::99: emptied"},
	{name: "a stranger makes it an alias", who: stranger, update: "+ mail 60 CNAME evil.example.; + mail 60 DNAME evil.example.", want: "NOERROR",
		heldIs: "quarantined add CNAME mail.corp.example. evil.example.: rule; quarantined add DNAME mail.corp.example. evil.example.: rule"},
	{name: "a stranger delegates it", who: stranger, update: "+ mail 60 NS evil.example.", want: "NOERROR"},
	{name: "a stranger deletes it", who: stranger, update: "- mail; - mail A; - mail 0 A 192.0.2.11; - corp.example.", want: "NOERROR"},
	{name: "a role that nobody holds", who: passive, update: "+ new 60 A 192.0.2.12", want: "NOERROR", heldIs: "quarantined add A new.corp.example. 192.0.2.12: no-holder"},
	{name: "a role of all", who: holder, update: "+ www 60 A 192.0.2.11; + www 60 A 192.0.2.99", want: "NOERROR",
		heldIs: "quarantined add A www.corp.example. 192.0.2.99: rule"},
	{name: "text at a role's name", who: stranger, update: "+ mail 60 TXT v=spf1", want: "NOERROR", zoneIs: `mail 60 TXT "v=spf1"`},
	{name: "it goes with the name", before: "+ mail 60 TXT x", who: stranger, update: "- mail", want: "NOERROR"},
	{name: "mixed with what passes", who: passive, update: "+ mail 60 A 192.0.2.12; + a 60 A 192.0.2.12", want: "NOERROR", zoneIs: "a 60 A 192.0.2.12",
		heldIs: "parked add A mail.corp.example. 192.0.2.12: rule"},

	{name: "a host's own name", who: holder, update: "- ex1 A; + ex1 60 A 192.0.2.11; + ex1 60 A 10.9.0.11", want: "NOERROR",
		heldIs: "quarantined add A ex1.corp.example. 10.9.0.11: rule"},
	{name: "a host's key", who: holder, update: "+ ex1 60 SSHFP 1 1 1234", want: "NOERROR", zoneIs: "ex1 60 SSHFP 1 1 1234"},
	{name: "a name server", who: stranger, update: "- ns1; + ns1 60 A 192.0.2.99", want: "NOERROR", heldIs: "quarantined add A ns1.corp.example. 192.0.2.99: rule; quarantined delete ANY ns1.corp.example.: rule"},
	{name: "a reserved name", who: stranger, update: "+ wpad 60 A 192.0.2.99; + *.w 60 A 192.0.2.99", want: "NOERROR",
		heldIs: "quarantined add A *.w.corp.example. 192.0.2.99: rule; quarantined add A wpad.corp.example. 192.0.2.99: rule"},

	{name: "the PTR of a management address", zone: managementReverse, who: stranger, update: "+ 11.0 60 PTR a.corp.example.", want: "NOERROR",
		heldIs: "quarantined add PTR 11.0.9.10.in-addr.arpa. a.corp.example.: rule"},
	{name: "the PTR of a public address", zone: publicReverse, who: stranger, update: "+ 77 60 PTR a.corp.example.", want: "NOERROR", zoneIs: "77 60 PTR a.corp.example."},
	{name: "the PTR of a holder", zone: publicReverse, who: stranger, update: "- 11; + 11 60 PTR a.corp.example.", want: "NOERROR"},

	{name: "unsigned", who: unsigned, update: "+ a 60 A 192.0.2.77", want: "REFUSED"},
	{name: "unsigned, to delete", before: "+ a 60 A 192.0.2.77", who: unsigned, update: "- a", want: "REFUSED", zoneIs: "a 60 A 192.0.2.77"},
	{name: "unsigned, only to ask", who: unsigned, update: "yes mail A", want: "REFUSED"},
	{name: "unsigned and empty", who: unsigned, want: "REFUSED"},
	{name: "signed, only to ask", who: stranger, update: "yes mail A", want: "NOERROR"},
	{name: "from a source that a rule names", who: printer, update: "+ p.print 60 A 192.0.2.100", want: "NOERROR", zoneIs: "p.print 60 A 192.0.2.100"},
	{name: "from it, with its management address", who: printer, update: "+ p.print 60 A 192.0.2.100; + p.print 60 A 10.9.0.100", want: "NOERROR", zoneIs: "p.print 60 A 192.0.2.100",
		heldIs: "quarantined add A p.print.corp.example. 10.9.0.100: rule"},
	{name: "from it, only to ask", who: printer, update: "yes p.print A 192.0.2.100", want: "NXRRSET"},
	{name: "from it, only to ask about another name", who: printer, update: "yes mail A 192.0.2.11", want: "REFUSED"},
	{name: "from it, another name", who: printer, update: "+ p.print 60 A 192.0.2.100; + a 60 A 192.0.2.100", want: "REFUSED"},
	{name: "from another", who: camera, update: "+ p.print 60 A 192.0.2.101", want: "REFUSED"},
	{name: "from a source, add and delete", before: "+ c.cam 60 A 192.0.2.102", who: camera, update: "- c.cam A; + c.cam 60 A 192.0.2.101", want: "NOERROR", zoneIs: "c.cam 60 A 192.0.2.101"},
	{name: "from a source, its management address alone", who: camera, update: "+ c.cam 60 A 10.9.0.101", want: "NOERROR", heldIs: "quarantined add A c.cam.corp.example. 10.9.0.101: rule"},
	{name: "from elsewhere, a management address alone", who: unsigned, update: "+ c.cam 60 A 10.9.0.101", want: "REFUSED"},
	{name: "from a source, another type", who: camera, update: "+ c.cam 60 TXT x", want: "REFUSED"},
	{name: "from a source, every type", before: "+ c.cam 60 TXT x", who: camera, update: "- c.cam", want: "REFUSED", zoneIs: `c.cam 60 TXT "x"`},

	{name: "refuse", who: stranger, update: "+ a 60 A 192.0.2.77; + frozen 60 A 192.0.2.77", want: "REFUSED", heldIs: "refused add A frozen.corp.example. 192.0.2.77: rule"},
	{name: "refuse to delete", who: stranger, update: "- frozen", want: "REFUSED", heldIs: "refused delete ANY frozen.corp.example.: rule"},
	{name: "quarantine", who: stranger, update: "+ a 60 A 192.0.2.77; + x.trash 60 A 192.0.2.77", want: "NOERROR", zoneIs: "a 60 A 192.0.2.77",
		heldIs: "quarantined add A x.trash.corp.example. 192.0.2.77: rule"},
	{name: "quarantine, unsigned", who: unsigned, update: "+ x.trash 60 A 192.0.2.77", want: "REFUSED"},
	{name: "forward, with nobody to forward to", who: stranger, update: "+ x.elsewhere 60 A 192.0.2.77", want: "NOERROR",
		heldIs: "quarantined add A x.elsewhere.corp.example. 192.0.2.77: no-primary"},
	{name: "the right key", who: client{key: "GOOD."}, update: "+ a.keyed 60 A 192.0.2.77", want: "NOERROR", zoneIs: "a.keyed 60 A 192.0.2.77"},
	{name: "another key", who: stranger, update: "+ a.keyed 60 A 192.0.2.77", want: "REFUSED", heldIs: "refused add A a.keyed.corp.example. 192.0.2.77: rule"},

	{name: "a rule for one type", who: stranger, update: "+ a.typed 60 TXT x", want: "REFUSED", heldIs: "refused add TXT a.typed.corp.example. \"x\": rule"},
	{name: "all types of a name without that one", before: "+ a.typed 60 A 192.0.2.77; + a.typed 60 MX 1 b.example.", who: stranger, update: "- a.typed", want: "NOERROR"},
}

func TestAdmission(t *testing.T) {
	for _, tt := range admissionTests {
		t.Run(tt.name, func(t *testing.T) {
			l := newUpdateLab(t)
			zone := tt.zone
			if zone == "" {
				zone = corp
			}
			l.install(zone, tt.before)
			serial := l.Zones().View(zone).Serial
			before := l.registered(zone)
			reply := l.send(tt.who, parsed(t, zone, tt.update))
			if got := dns.RcodeToString[reply.Rcode]; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := l.registered(zone); got != tt.zoneIs {
				t.Errorf("in the zone:\n got %s\nwant %s", got, tt.zoneIs)
			}
			if got := l.heldBack(); got != tt.heldIs {
				t.Errorf("in the book:\n got %s\nwant %s", got, tt.heldIs)
			}
			if moved := l.Zones().View(zone).Serial != serial; moved != (before != tt.zoneIs) {
				t.Errorf("the serial moved: %v", moved)
			}
		})
	}
}

// TestDeleteByTypes: a name loses the types that may be deleted when all are asked for, and nothing when one of
// them is refused. A policy that comes later finds such records.
func TestDeleteByTypes(t *testing.T) {
	for name, tt := range map[string]struct{ before, want, left, held string }{
		"one is quarantined": {"+ a.typed 60 A 192.0.2.77; + a.typed 60 SSHFP 1 1 12", "NOERROR", "a.typed 60 SSHFP 1 1 12", "quarantined delete SSHFP a.typed.corp.example.: rule"},
		"one is refused":     {"+ a.typed 60 A 192.0.2.77; + a.typed 60 TXT x", "REFUSED", `a.typed 60 A 192.0.2.77; a.typed 60 TXT "x"`, "refused delete TXT a.typed.corp.example.: rule"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newUpdateLab(t)
			l.install(corp, tt.before)
			if got := dns.RcodeToString[l.send(stranger, parsed(t, corp, "- a.typed")).Rcode]; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := l.registered(corp); got != tt.left {
				t.Errorf("left is %s", got)
			}
			if got := l.heldBack(); got != tt.held {
				t.Errorf("held is %s", got)
			}
		})
	}
}

// TestDecisionIsKept: each registered record has the id of the decision that let it in, by which the log and
// the policy's own tools know it.
func TestDecisionIsKept(t *testing.T) {
	l := newUpdateLab(t)
	if got := l.send(stranger, parsed(t, corp, "+ a 60 A 192.0.2.77; + b 60 A 192.0.2.78; + a 60 TXT x")).Rcode; got != 0 {
		t.Fatal(dns.RcodeToString[got])
	}
	want := map[string]uint64{}
	for text, addrs := range map[string]string{"a A": "192.0.2.77", "b A": "192.0.2.78", "a TXT": ""} {
		name, rrtype, _ := strings.Cut(text, " ")
		req := policy.Request{
			Channel: policy.Update, DNS: name + "." + corp, Type: dns.StringToType[rrtype], Source: netip.MustParseAddr(stranger.from), Principal: stranger.key,
		}
		if addrs != "" {
			req.Addrs = []netip.Addr{netip.MustParseAddr(addrs)}
		}
		d := l.Policy().Decide(l.Snapshot(), &req)
		want[text] = uint64(d.ID)
	}
	got := map[string]uint64{}
	for n := range l.Zones().View(corp).All() {
		for _, s := range n.Sets {
			got[n.Owner[:1]+" "+dns.TypeToString[s.Type]] = s.Records[0].By.Decision
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
}
