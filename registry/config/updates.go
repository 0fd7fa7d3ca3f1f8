package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry/yamlat"
)

// Updates is how dynamic updates (RFC 2136) are treated, beside what the zones themselves say.
type Updates struct {
	Gates    []Gate
	Kerberos Acceptor
	Explain  []netip.Prefix // who is told why an update was not taken, or not all of it
	Limits   UpdateLimits
}

// Gate is a zone of another server whose updates are checked here and passed on.
type Gate struct {
	Zone    string           // lower case and fully qualified
	Primary []netip.AddrPort // in the order in which they are tried
	MName   string           // what the SOA that clients see names; "": as the primary has it
	Signed  string           // GatePass or GateCheck
	Key     string           // path of the TSIG key of ours; "": none
	// Identity is the Kerberos identity of ours, the zero value for none.
	Identity Identity
}

// What a gate does with updates that are signed by a key that is not known here.
const (
	GateCheck = "check" // they are refused
	GatePass  = "pass"  // they are passed on whole, or not at all
)

// Acceptor is the service that clients present Kerberos tickets for (GSS-TSIG, RFC 3645).
type Acceptor struct {
	Keytab     string   // path; "": no GSS-TSIG
	Principals []string // DNS/host@REALM; empty: those of the keytab
}

// Identity is who nameward is when it signs an update itself by GSS-TSIG.
type Identity struct {
	Principal string // nameward@REALM; "": none
	Keytab    string // path; or else
	Password  string // path of the file with the password in its first line
	KDC       []netip.AddrPort
	Services  []string // the host of each primary in its principal, DNS/host
}

// UpdateLimits bound what others can put into the zones.
type UpdateLimits struct {
	Records int // registered ones of one owned zone
	Queue   int // updates that wait for the disk
	Gated   int // updates that wait for a primary
}

type rawUpdates struct {
	gates      []rawGate
	keytab     text
	principals texts
	explain    prefixes
	limits     rawUpdateLimits
}

type rawUpdateLimits struct{ records, queue, gated number }

type rawGate struct {
	at       at
	zone     text
	primary  yamlat.List[netip.AddrPort]
	mname    text
	signed   number
	key      text
	identity rawIdentity
}

type rawIdentity struct {
	at                at
	principal, keytab text
	password          text
	service           texts
	kdc               yamlat.List[netip.AddrPort]
}

var signedChoices = []string{GateCheck, GatePass}

// kerberosPort: RFC 4120, Section 7.2.3.
const kerberosPort = 88

// Defaults of the limits.
const (
	defaultZoneRecords = 1_000_000
	defaultUpdateQueue = 8192
	defaultGated       = 1024
)

var updatesShape = yamlat.Shape[rawUpdates]{
	What: "updates",
	Fields: []yamlat.Field[rawUpdates]{
		{Key: "gates", Set: func(d *decoder, n *node, r *rawUpdates) {
			d.Each(n, func(n *node) {
				var g rawGate
				g.at, _ = gateShape.Decode(d, n, &g)
				r.gates = append(r.gates, g)
			})
		}},
		{Key: "kerberos", Set: func(d *decoder, n *node, r *rawUpdates) { acceptorShape.Decode(d, n, r) }},
		{Key: "explain", Set: func(d *decoder, n *node, r *rawUpdates) { r.explain = yamlat.ListOf(d, n, (*decoder).Prefix) }},
		{Key: "limits", Set: func(d *decoder, n *node, r *rawUpdates) { updateLimitsShape.Decode(d, n, &r.limits) }},
	},
}

var acceptorShape = yamlat.Shape[rawUpdates]{
	What: "kerberos",
	Fields: []yamlat.Field[rawUpdates]{
		{Key: "keytab", Required: true, Set: func(d *decoder, n *node, r *rawUpdates) { r.keytab = path(d, n) }},
		{Key: "principals", Set: func(d *decoder, n *node, r *rawUpdates) { r.principals = yamlat.ListOf(d, n, servicePrincipal) }},
	},
}

var updateLimitsShape = yamlat.Shape[rawUpdateLimits]{
	What: "limits",
	Fields: []yamlat.Field[rawUpdateLimits]{
		{Key: "records", Set: func(d *decoder, n *node, l *rawUpdateLimits) { l.records = d.Int(n, 1, mostRecords) }},
		{Key: "queue", Set: func(d *decoder, n *node, l *rawUpdateLimits) { l.queue = d.Int(n, 1, mostQueue) }},
		{Key: "gated", Set: func(d *decoder, n *node, l *rawUpdateLimits) { l.gated = d.Int(n, 1, mostQueue) }},
	},
}

var gateShape = yamlat.Shape[rawGate]{
	What: "a gate",
	Fields: []yamlat.Field[rawGate]{
		{Key: "zone", Required: true, Set: func(d *decoder, n *node, g *rawGate) { g.zone = d.FQDN(n) }},
		{Key: "primary", Required: true, Set: func(d *decoder, n *node, g *rawGate) {
			g.primary = yamlat.ListOf(d, n, func(d *decoder, n *node) yamlat.Item[netip.AddrPort] { return d.AddrPort(n, dnsPort, false) })
			if g.primary.Written == 0 {
				d.Badf(g.primary.At, "a gate needs the primary that it passes updates to, write its address: [192.0.2.53]")
			}
		}},
		{Key: "mname", Set: func(d *decoder, n *node, g *rawGate) { g.mname = d.FQDN(n) }},
		{Key: "signed", Set: func(d *decoder, n *node, g *rawGate) { g.signed = d.Choice(n, signedChoices...) }},
		{Key: "key", Set: func(d *decoder, n *node, g *rawGate) { g.key = path(d, n) }},
		{Key: "identity", Set: func(d *decoder, n *node, g *rawGate) { g.identity.at, _ = identityShape.Decode(d, n, &g.identity) }},
	},
}

var identityShape = yamlat.Shape[rawIdentity]{
	What: "identity",
	Fields: []yamlat.Field[rawIdentity]{
		{Key: "principal", Required: true, Set: func(d *decoder, n *node, i *rawIdentity) { i.principal = principal(d, n) }},
		{Key: "keytab", Set: func(d *decoder, n *node, i *rawIdentity) { i.keytab = path(d, n) }},
		{Key: "password_file", Set: func(d *decoder, n *node, i *rawIdentity) { i.password = path(d, n) }},
		{Key: "kdc", Required: true, Set: func(d *decoder, n *node, i *rawIdentity) {
			i.kdc = yamlat.ListOf(d, n, func(d *decoder, n *node) yamlat.Item[netip.AddrPort] { return d.AddrPort(n, kerberosPort, false) })
			if i.kdc.Written == 0 {
				d.Badf(i.kdc.At, "an identity needs a Kerberos server, write its address: [192.0.2.53]")
			}
		}},
		{Key: "service", Required: true, Set: func(d *decoder, n *node, i *rawIdentity) { i.service = yamlat.ListOf(d, n, (*decoder).FQDN) }},
	},
}

// principal reads NAME@REALM.
func principal(d *decoder, n *node) text {
	t := d.String(n)
	if name, realm, ok := strings.Cut(t.Value, "@"); t.OK && (!ok || name == "" || realm == "" || strings.ContainsAny(t.Value, " \t\x00")) {
		d.Badf(t.At, "%q is no Kerberos principal, write one such as nameward@CORP.EXAMPLE", t.Value)
		t.OK = false
	}
	return t
}

// servicePrincipal reads DNS/host@REALM.
func servicePrincipal(d *decoder, n *node) text {
	t := principal(d, n)
	if t.OK && !strings.HasPrefix(t.Value, "DNS/") {
		d.Badf(t.At, "%q is not the principal of a DNS server, write one such as DNS/gate.corp.example@CORP.EXAMPLE", t.Value)
		t.OK = false
	}
	return t
}

// updates checks how updates are treated. The zones stand in out already.
func (c *checker) updates(r *rawConfig, out *Config) Updates {
	raw := &r.updates
	u := Updates{
		Explain: distinct(c.d, raw.explain, ""),
		Limits: UpdateLimits{
			Records: raw.limits.records.Or(defaultZoneRecords), Queue: raw.limits.queue.Or(defaultUpdateQueue), Gated: raw.limits.gated.Or(defaultGated),
		},
	}
	if raw.keytab.OK {
		u.Kerberos = Acceptor{Keytab: relativeTo(c.file, raw.keytab.Value), Principals: distinct(c.d, raw.principals, "principal ")}
	}
	owned := map[string]at{}
	for _, z := range r.zones {
		owned[z.name.Value] = z.name.At
	}
	seen := map[string]at{}
	for i := range raw.gates {
		g := &raw.gates[i]
		if !g.zone.OK {
			continue
		}
		if first, ok := seen[g.zone.Value]; ok {
			c.d.Problemf(g.zone.At, "zone %s has a gate at %s already: take one out", g.zone.Value, first)
			continue
		}
		if first, ok := owned[g.zone.Value]; ok {
			c.d.Problemf(g.zone.At, "zone %s is owned, at %s: its updates are taken with updates: own there, and a gate is for another server's zone", g.zone.Value, first)
		}
		seen[g.zone.Value] = g.zone.At
		u.Gates = append(u.Gates, c.gate(g))
	}
	slices.SortFunc(u.Gates, func(a, b Gate) int { return strings.Compare(a.Zone, b.Zone) })
	return u
}

func (c *checker) gate(r *rawGate) Gate {
	g := Gate{
		Zone: r.zone.Value, Primary: distinct(c.d, r.primary, "primary "), MName: r.mname.Value, Signed: signedChoices[r.signed.Value],
	}
	g.Key, g.Identity = c.signer(r.key, &r.identity, r.primary.Written)
	return g
}

// signer checks who signs updates to primaries: a key, an identity, or nobody.
func (c *checker) signer(key text, id *rawIdentity, primaries int) (path string, _ Identity) {
	if key.OK {
		path = relativeTo(c.file, key.Value)
	}
	if !id.at.IsSet() {
		return path, Identity{}
	}
	if key.At.IsSet() {
		c.d.Problemf(key.At, "key beside identity at %s, updates are signed by one of them: take one out", id.at)
	}
	return path, c.identity(id, primaries)
}

func (c *checker) identity(id *rawIdentity, primaries int) Identity {
	out := Identity{Principal: id.principal.Value, KDC: distinct(c.d, id.kdc, "Kerberos server ")}
	if id.keytab.OK {
		out.Keytab = relativeTo(c.file, id.keytab.Value)
	}
	if id.password.OK {
		out.Password = relativeTo(c.file, id.password.Value)
	}
	switch {
	case id.keytab.At.IsSet() && id.password.At.IsSet():
		c.d.Problemf(id.password.At, "password_file beside keytab at %s, an identity is proved by one of them: take one out", id.keytab.At)
	case !id.keytab.At.IsSet() && !id.password.At.IsSet():
		c.d.Problemf(id.at, "identity needs the key \"keytab\" or \"password_file\", add one")
	}
	for _, host := range id.service.Items {
		out.Services = append(out.Services, host.Value)
	}
	if a := id.service.Written; a != primaries {
		c.d.Problemf(id.service.At, "%d services of %d primaries: write the own name of each primary, in their order", a, primaries)
	}
	return out
}

// stores checks the paths of the files that state is kept in.
func (c *checker) stores(r *rawConfig) Store {
	s := Store{Bolt: relativeTo(c.file, r.bolt.Or(defaultBolt)), Etcd: c.etcd(&r.etcd)}
	files := []struct {
		key     string
		written text
		def     string
		path    *string
	}{
		{"bolt", r.bolt, s.Bolt, &s.Bolt}, {"zones", r.zonesDB, zonesFile, &s.Zones},
		{"updates", r.updatesDB, updatesFile, &s.Updates}, {"push", r.pushDB, pushFile, &s.Push},
	}
	dir := filepath.Dir(s.Bolt)
	for i, f := range files {
		*f.path = relativeTo(c.file, f.written.Or(filepath.Join(dir, filepath.Base(f.def))))
		for _, g := range files[:i] {
			if *g.path == *f.path {
				c.d.Problemf(firstSet(f.written.At, g.written.At, r.bolt.At), "%s is the file of %s and of %s, write another path for one of them", *f.path, f.key, g.key)
			}
		}
	}
	return s
}
