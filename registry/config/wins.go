package config

import (
	"path/filepath"
	"time"

	"github.com/nameward/nameward/registry/yamlat"
)

// Modes of the WINS server.
const (
	ModeOwn     = "own"     // it has a database of its own
	ModeForward = "forward" // it is a guard in front of the servers in [NetBIOS.Forward]
	ModeBoth    = "both"
)

// WINS is the WINS server; off when Mode is "".
type WINS struct {
	Mode               string        // ModeOwn, ModeForward or ModeBoth
	Database           string        // path of its file
	MinTTL, MaxTTL     time.Duration // what a registration is granted at least and at the most
	ExtinctionInterval time.Duration // from released to tombstone
	ExtinctionTimeout  time.Duration // from tombstone to gone
	DNSSuffix          string        // fully qualified, lower case; "" for none
	Limits             WINSLimits
}

// WINSLimits bound what others can make the WINS server hold.
type WINSLimits struct {
	Records    int // all of them
	PerAddress int // those of one address
	Challenges int // under way
	Queue      int // requests that wait for the disk
}

type rawWINS struct {
	at               at // not set without the key
	mode             number
	database         text
	minTTL, maxTTL   span
	interval, expiry span
	suffix           text
	limits           rawLimits
}

type rawLimits struct{ records, perAddress, challenges, queue number }

var winsModes = []string{ModeOwn, ModeForward, ModeBoth}

// Defaults of the timers are those of Microsoft's server: 6 days from refresh to refresh, 4 from released
// to tombstone, 6 until that is deleted. It takes no renewal interval below 40 minutes.
const (
	defaultMinTTL      = 40 * time.Minute
	defaultMaxTTL      = 6 * day
	defaultExtInterval = 4 * day
	defaultExtTimeout  = 6 * day

	leastTimer = time.Minute
	mostTimer  = 365 * day
)

// Defaults and bounds of the limits. A challenge has a transaction ID of 16 bits, half of which are left
// to other questions.
const (
	defaultRecords    = 1_000_000
	defaultPerAddress = 2000
	defaultChallenges = 1024
	defaultQueue      = 8192

	mostRecords    = 10_000_000
	mostChallenges = 1 << 15
	mostQueue      = 1_000_000
)

const winsFile = "wins.db"

func timer(d *decoder, n *node) span { return d.Duration(n, leastTimer, mostTimer, time.Second) }

var winsShape = yamlat.Shape[rawWINS]{
	What: "wins",
	Fields: []yamlat.Field[rawWINS]{
		{Key: "mode", Required: true, Set: func(d *decoder, n *node, w *rawWINS) { w.mode = d.Choice(n, winsModes...) }},
		{Key: "database", Set: func(d *decoder, n *node, w *rawWINS) { w.database = path(d, n) }},
		{Key: "min_ttl", Set: func(d *decoder, n *node, w *rawWINS) { w.minTTL = timer(d, n) }},
		{Key: "max_ttl", Set: func(d *decoder, n *node, w *rawWINS) { w.maxTTL = timer(d, n) }},
		{Key: "extinction_interval", Set: func(d *decoder, n *node, w *rawWINS) { w.interval = timer(d, n) }},
		{Key: "extinction_timeout", Set: func(d *decoder, n *node, w *rawWINS) { w.expiry = timer(d, n) }},
		{Key: "dns_suffix", Set: func(d *decoder, n *node, w *rawWINS) { w.suffix = d.FQDN(n) }},
		{Key: "limits", Set: func(d *decoder, n *node, w *rawWINS) { limitsShape.Decode(d, n, &w.limits) }},
	},
}

var limitsShape = yamlat.Shape[rawLimits]{
	What: "limits",
	Fields: []yamlat.Field[rawLimits]{
		{Key: "records", Set: func(d *decoder, n *node, l *rawLimits) { l.records = d.Int(n, 1, mostRecords) }},
		{Key: "per_address", Set: func(d *decoder, n *node, l *rawLimits) { l.perAddress = d.Int(n, 1, mostRecords) }},
		{Key: "challenges", Set: func(d *decoder, n *node, l *rawLimits) { l.challenges = d.Int(n, 1, mostChallenges) }},
		{Key: "queue", Set: func(d *decoder, n *node, l *rawLimits) { l.queue = d.Int(n, 1, mostQueue) }},
	},
}

// wins checks the WINS server. The rest of the configuration but the log stands in out already.
func (c *checker) wins(r *rawConfig, out *Config) WINS {
	raw := &r.netbios.wins
	if !raw.at.IsSet() {
		return WINS{}
	}
	w := WINS{
		Mode: winsModes[raw.mode.Value], DNSSuffix: raw.suffix.Value, Limits: c.limits(&raw.limits),
		ExtinctionInterval: raw.interval.Or(defaultExtInterval), ExtinctionTimeout: raw.expiry.Or(defaultExtTimeout),
	}
	if len(r.netbios.listen) == 0 && !r.netbios.listenBad {
		c.d.Problemf(raw.at, "a WINS server needs a place to listen at, write one beside wins: listen: [{address: \"0.0.0.0:137\"}]")
	}
	if raw.mode.OK && w.Mode != ModeOwn && r.netbios.forward.Written == 0 {
		c.d.Problemf(raw.mode.At, "mode: %s needs the WINS servers behind this one, write them beside wins: forward: [ADDRESS], or write mode: %s", w.Mode, ModeOwn)
	}
	w.MinTTL, w.MaxTTL = c.ttls(raw)
	w.Database = c.winsDatabase(r, out)
	return w
}

// ttls are the bounds of what is granted. A default gives way to a value that is written.
func (c *checker) ttls(raw *rawWINS) (least, most time.Duration) {
	least, most = raw.minTTL.Or(defaultMinTTL), raw.maxTTL.Or(defaultMaxTTL)
	switch {
	case least <= most:
	case !raw.minTTL.At.IsSet():
		least = most
	case !raw.maxTTL.At.IsSet():
		most = least
	case raw.minTTL.OK && raw.maxTTL.OK:
		c.d.Problemf(raw.minTTL.At, "min_ttl: %s is longer than max_ttl %s at %s, write at most that", yamlat.Span(least), yamlat.Span(most), raw.maxTTL.At)
	}
	return least, most
}

func (c *checker) winsDatabase(r *rawConfig, out *Config) string {
	raw := r.netbios.wins.database
	database := filepath.Join(filepath.Dir(out.Store.Bolt), winsFile)
	if raw.OK {
		database = relativeTo(c.file, raw.Value)
	}
	place := firstSet(raw.At, r.bolt.At, r.netbios.wins.at)
	switch database {
	case out.Store.Zones:
		c.d.Problemf(place, "the WINS database %s is the file of the zones as well, write another path for one of them", database)
	case out.Store.Updates:
		c.d.Problemf(place, "the WINS database %s is the file of the updates as well, write another path for one of them", database)
	case out.Store.Bolt:
		c.d.Problemf(place, "the WINS database %s is the file of the store as well, write another path for one of them", database)
	case out.Control.Socket:
		c.d.Problemf(place, "the WINS database %s is the control socket as well, write another path for one of them", database)
	}
	return database
}

func (c *checker) limits(raw *rawLimits) WINSLimits {
	l := WINSLimits{
		Records: raw.records.Or(defaultRecords), Challenges: raw.challenges.Or(defaultChallenges), Queue: raw.queue.Or(defaultQueue),
	}
	l.PerAddress = raw.perAddress.Or(min(defaultPerAddress, l.Records))
	if raw.perAddress.OK && l.PerAddress > l.Records {
		c.d.Problemf(raw.perAddress.At, "per_address: %d is more than the %d records there may be at all, write at most that", l.PerAddress, l.Records)
	}
	return l
}
