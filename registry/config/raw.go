package config

import (
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

type (
	at       = yamlat.At
	decoder  = yamlat.D
	node     = yamlat.Node
	text     = yamlat.Item[string]
	number   = yamlat.Item[int]
	span     = yamlat.Item[time.Duration]
	addrs    = yamlat.List[netip.Addr]
	prefixes = yamlat.List[netip.Prefix]
	texts    = yamlat.List[string]
)

// The raw structs hold the file as it is written: each value is well formed by itself, or not OK.
type rawConfig struct {
	classes   []rawClass
	nat64     prefixes
	clusters  []rawCluster
	zones     []rawZone
	netbios   rawNetBIOS
	socket    text
	bolt      text
	etcd      rawEtcd
	zonesDB   text
	updatesDB text
	pushDB    text
	updates   rawUpdates
	push      rawTargets
	policy    text
	answers   rawAnswers
	logLevel  number
	logForm   number
}

type rawClass struct {
	name     text
	prefixes prefixes
}

type rawCluster struct {
	at       at
	name     text
	defaults rawRole
	nodes    []rawNode
	roles    []rawRole
}

type rawNode struct {
	name    text
	site    text
	host    text
	classes []rawClassAddrs
}

type rawClassAddrs struct {
	name  text
	addrs addrs
}

type rawRole struct {
	at           at
	name         text
	dns          texts
	netbios      yamlat.List[nbName]
	mode         number
	nodes        texts
	ttl          span
	ttlChanging  span
	changing     span
	source       *rawSource
	onConflict   number
	onSourceLost number
}

// nbName is a NetBIOS name as written: without a suffix it stands for three.
type nbName struct {
	netbios.Name
	plain bool
}

type rawZone struct {
	at                               at
	name                             text
	ns                               []rawNS
	mbox                             text
	ttl, neg, refresh, retry, expire span
	notify                           []rawSecondary
	updates                          number
}

type rawNS struct {
	name  text
	addrs addrs
}

var fileShape = yamlat.Shape[rawConfig]{
	What: "the configuration",
	Fields: []yamlat.Field[rawConfig]{
		{Key: "version", Set: func(d *decoder, n *node, r *rawConfig) { d.Choice(n, "1") }},
		{Key: "classes", Set: func(d *decoder, n *node, r *rawConfig) {
			d.Entries(n, "classes", func(key text, n *node) {
				key.OK = checkClassName(d, key)
				r.classes = append(r.classes, rawClass{key, yamlat.ListOf(d, n, (*decoder).Prefix)})
			})
		}},
		{Key: "nat64", Set: func(d *decoder, n *node, r *rawConfig) { r.nat64 = yamlat.ListOf(d, n, nat64) }},
		{Key: "clusters", Required: true, Set: func(d *decoder, n *node, r *rawConfig) {
			written := 0
			list, ok := d.Each(n, func(n *node) {
				written++
				var c rawCluster
				if at, ok := clusterShape.Decode(d, n, &c); ok {
					c.at = at
					r.clusters = append(r.clusters, c)
				}
			})
			if ok && written == 0 {
				d.Badf(list, "the list is empty, write at least one cluster")
			}
		}},
		{Key: "zones", Set: func(d *decoder, n *node, r *rawConfig) {
			d.Each(n, func(n *node) {
				var z rawZone
				z.at, _ = zoneShape.Decode(d, n, &z)
				r.zones = append(r.zones, z)
			})
		}},
		{Key: "updates", Set: func(d *decoder, n *node, r *rawConfig) { updatesShape.Decode(d, n, &r.updates) }},
		{Key: "push", Set: func(d *decoder, n *node, r *rawConfig) { pushShape.Decode(d, n, &r.push) }},
		{Key: "netbios", Set: func(d *decoder, n *node, r *rawConfig) { netbiosShape.Decode(d, n, &r.netbios) }},
		{Key: "policy", Set: func(d *decoder, n *node, r *rawConfig) { r.policy = path(d, n) }},
		{Key: "answers", Set: func(d *decoder, n *node, r *rawConfig) { answersShape.Decode(d, n, &r.answers) }},
		{Key: "control", Set: func(d *decoder, n *node, r *rawConfig) { controlShape.Decode(d, n, r) }},
		{Key: "store", Set: func(d *decoder, n *node, r *rawConfig) { storeShape.Decode(d, n, r) }},
		{Key: "log", Set: func(d *decoder, n *node, r *rawConfig) { logShape.Decode(d, n, r) }},
	},
}

// nat64 reads the prefix of a translator. Its length says where the IPv4 address stands.
func nat64(d *decoder, n *node) yamlat.Item[netip.Prefix] {
	p := d.Prefix(n)
	if p.OK && (p.Value.Addr().Is4() || !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Value.Bits())) {
		d.Badf(p.At, "%s is not a prefix of NAT64, write an IPv6 one of 32, 40, 48, 56, 64 or 96 bits", p.Value)
		p.OK = false
	}
	return p
}

var controlShape = yamlat.Shape[rawConfig]{
	What: "control",
	Fields: []yamlat.Field[rawConfig]{
		{Key: "socket", Set: func(d *decoder, n *node, r *rawConfig) { r.socket = path(d, n) }},
	},
}

var storeShape = yamlat.Shape[rawConfig]{
	What: "store",
	Fields: []yamlat.Field[rawConfig]{
		{Key: "bolt", Set: func(d *decoder, n *node, r *rawConfig) { r.bolt = path(d, n) }},
		{Key: "etcd", Set: func(d *decoder, n *node, r *rawConfig) { r.etcd.at, _ = etcdShape.Decode(d, n, &r.etcd) }},
		{Key: "zones", Set: func(d *decoder, n *node, r *rawConfig) { r.zonesDB = path(d, n) }},
		{Key: "updates", Set: func(d *decoder, n *node, r *rawConfig) { r.updatesDB = path(d, n) }},
		{Key: "push", Set: func(d *decoder, n *node, r *rawConfig) { r.pushDB = path(d, n) }},
	},
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"json", "console"}
)

var logShape = yamlat.Shape[rawConfig]{
	What: "log",
	Fields: []yamlat.Field[rawConfig]{
		{Key: "level", Set: func(d *decoder, n *node, r *rawConfig) { r.logLevel = d.Choice(n, logLevels...) }},
		{Key: "format", Set: func(d *decoder, n *node, r *rawConfig) { r.logForm = d.Choice(n, logFormats...) }},
	},
}

var clusterShape = yamlat.Shape[rawCluster]{
	What: "a cluster",
	Fields: []yamlat.Field[rawCluster]{
		{Key: "name", Required: true, Set: func(d *decoder, n *node, c *rawCluster) { c.name = name(d, n) }},
		{Key: "defaults", Set: func(d *decoder, n *node, c *rawCluster) { defaultsShape.Decode(d, n, &c.defaults) }},
		{Key: "nodes", Required: true, Set: func(d *decoder, n *node, c *rawCluster) {
			nodesAt, ok := d.Entries(n, "nodes", func(key text, n *node) {
				key.OK = checkName(d, key)
				rn := rawNode{name: key}
				nodeShape.Decode(d, n, &rn)
				c.nodes = append(c.nodes, rn)
			})
			if ok && len(c.nodes) == 0 {
				d.Badf(nodesAt, "the cluster is empty, write at least one node")
			}
		}},
		{Key: "roles", Set: func(d *decoder, n *node, c *rawCluster) {
			c.roles = make([]rawRole, 0, len(n.Content))
			d.Each(n, func(n *node) {
				var r rawRole
				var ok bool
				if r.at, ok = roleShape.Decode(d, n, &r); ok {
					c.roles = append(c.roles, r)
				}
			})
		}},
	},
}

var nodeShape = yamlat.Shape[rawNode]{
	What: "a node",
	Fields: []yamlat.Field[rawNode]{
		{Key: "site", Set: func(d *decoder, n *node, r *rawNode) { r.site = name(d, n) }},
		{Key: "host", Set: func(d *decoder, n *node, r *rawNode) { r.host = d.FQDN(n) }},
	},
	Other: func(d *decoder, key text, n *node, r *rawNode) {
		if !yamlat.IsList(n) {
			hint := "want a list of its addresses"
			if near := yamlat.Nearest(key.Value, []string{"site", "host"}); near != "" {
				hint += ", or did you mean " + near
			}
			d.Problemf(key.At, "key %q of a node is an address class, %s", key.Value, hint)
			return
		}
		key.OK = checkClassName(d, key)
		r.classes = append(r.classes, rawClassAddrs{key, yamlat.ListOf(d, n, (*decoder).Addr)})
	},
}

// roleFields are the keys that a role and the defaults of its cluster have in common.
var roleFields = []yamlat.Field[rawRole]{
	{Key: "mode", Set: func(d *decoder, n *node, r *rawRole) { r.mode = d.Choice(n, modes...) }},
	{Key: "nodes", Set: func(d *decoder, n *node, r *rawRole) {
		r.nodes = yamlat.ListOf(d, n, (*decoder).String)
		if r.nodes.Written == 0 {
			d.Badf(r.nodes.At, "the list is empty, write nodes or leave the key out for all of the cluster")
		}
	}},
	{Key: "ttl", Set: func(d *decoder, n *node, r *rawRole) { r.ttl = ttl(d, n) }},
	{Key: "ttl_changing", Set: func(d *decoder, n *node, r *rawRole) { r.ttlChanging = ttl(d, n) }},
	{Key: "changing", Set: func(d *decoder, n *node, r *rawRole) { r.changing = d.Duration(n, time.Second, time.Hour, 0) }},
	{Key: "source", Set: func(d *decoder, n *node, r *rawRole) { r.source = source(d, n) }},
	{Key: "on_conflict", Set: func(d *decoder, n *node, r *rawRole) { r.onConflict = d.Choice(n, choices...) }},
	{Key: "on_source_lost", Set: func(d *decoder, n *node, r *rawRole) { r.onSourceLost = d.Choice(n, choices[:2]...) }},
}

var defaultsShape = yamlat.Shape[rawRole]{What: "defaults", Fields: roleFields}

var roleShape = yamlat.Shape[rawRole]{
	What: "a role",
	Fields: append([]yamlat.Field[rawRole]{
		{Key: "name", Required: true, Set: func(d *decoder, n *node, r *rawRole) { r.name = name(d, n) }},
		{Key: "dns", Set: func(d *decoder, n *node, r *rawRole) { r.dns = yamlat.ListOf(d, n, (*decoder).FQDN) }},
		{Key: "netbios", Set: func(d *decoder, n *node, r *rawRole) { r.netbios = yamlat.ListOf(d, n, netbiosName) }},
	}, roleFields...),
}

// Words of the file, at the index of the value they stand for.
var (
	modes   = []string{registry.Single.String(), registry.All.String()}
	choices = []string{registry.Hold.String(), registry.Withdraw.String(), registry.AnswerAll.String()}
)

const (
	minTTL = time.Second // 0 would make resolvers ask for every packet
	maxTTL = time.Hour   // nothing that may move should be remembered longer
)

func ttl(d *decoder, n *node) span { return d.Duration(n, minTTL, maxTTL, time.Second) }

var zoneShape = yamlat.Shape[rawZone]{
	What: "a zone",
	Fields: []yamlat.Field[rawZone]{
		{Key: "name", Required: true, Set: func(d *decoder, n *node, z *rawZone) { z.name = d.FQDN(n) }},
		{Key: "ns", Required: true, Set: func(d *decoder, n *node, z *rawZone) {
			nsAt, ok := d.Entries(n, "ns", func(key text, n *node) {
				z.ns = append(z.ns, rawNS{d.FQDNKey(key), yamlat.ListOf(d, n, (*decoder).Addr)})
			})
			if ok && len(z.ns) == 0 {
				d.Badf(nsAt, "a zone needs a name server, write at least one")
			}
		}},
		{Key: "mbox", Set: func(d *decoder, n *node, z *rawZone) { z.mbox = d.FQDN(n) }},
		{Key: "ttl", Set: func(d *decoder, n *node, z *rawZone) { z.ttl = d.Duration(n, time.Second, week, time.Second) }},
		{Key: "negative_ttl", Set: func(d *decoder, n *node, z *rawZone) { z.neg = d.Duration(n, time.Second, 3*time.Hour, time.Second) }},
		{Key: "refresh", Set: func(d *decoder, n *node, z *rawZone) { z.refresh = d.Duration(n, time.Second, day, time.Second) }},
		{Key: "retry", Set: func(d *decoder, n *node, z *rawZone) { z.retry = d.Duration(n, time.Second, day, time.Second) }},
		{Key: "expire", Set: func(d *decoder, n *node, z *rawZone) { z.expire = d.Duration(n, time.Minute, 365*day, time.Second) }},
		{Key: "updates", Set: func(d *decoder, n *node, z *rawZone) { z.updates = d.Choice(n, zoneUpdates...) }},
		{Key: "notify", Set: func(d *decoder, n *node, z *rawZone) {
			d.Each(n, func(n *node) { z.notify = append(z.notify, secondary(d, n)) })
		}},
	},
}

// zoneUpdates are what an owned zone does with dynamic updates.
var zoneUpdates = []string{"none", "own"}

const (
	day  = 24 * time.Hour
	week = 7 * day

	dnsPort = 53 // RFC 1035, Section 4.2
)
