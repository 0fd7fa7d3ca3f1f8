package config

import (
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// Push is how changes are carried to others.
type Push struct {
	Targets     []Target    // in written order; names are unique
	Secondaries []Secondary // of the zones' notify, each once; their names are not those of targets
	Drill       string      // the role that drills move; "" for none
	Stream      *Stream     // nil: no server of DNS Push
}

// Target is one place that is told of changes. Exactly one of the kinds is set.
type Target struct {
	Name   string
	Roles  []string      // those that it is told of; empty for all that it can be told of
	Check  time.Duration // how often it is asked whether it still answers right; 0: never
	Repair bool          // what somebody else wrote there is written over

	Hook    *Hook
	Update  *Update
	WINS    *WINSTarget
	Webhook *Webhook
	ARP     *ARP
	Cache   *Cache
}

// Kind is the key that says what the target is.
func (t *Target) Kind() string {
	for _, k := range targetKinds {
		if k.isSet(t) {
			return k.key
		}
	}
	return ""
}

type rawTargets struct {
	drill  text
	list   []rawTarget
	stream rawStream
}

type rawTarget struct {
	at     at
	name   text
	roles  texts
	check  span
	repair yamlat.Item[bool]
	kind   text // the key that is written
	raw    any  // what stands behind it
}

// targetKind is one thing that a target can be.
type targetKind struct {
	key   string
	isSet func(*Target) bool
	read  func(*decoder, *node) any
	check func(*checker, any, *Target) // makes the real value of what read returned
}

// targetKinds lists the kinds in the order in which people are told of them.
var targetKinds = []targetKind{
	{"hook", func(t *Target) bool { return t.Hook != nil }, readHook, (*checker).hook},
	{"update", func(t *Target) bool { return t.Update != nil }, readUpdate, (*checker).updateTarget},
	{"wins", func(t *Target) bool { return t.WINS != nil }, readWINSTarget, (*checker).winsTarget},
	{"webhook", func(t *Target) bool { return t.Webhook != nil }, readWebhook, (*checker).webhook},
	{"arp", func(t *Target) bool { return t.ARP != nil }, readARP, (*checker).arp},
	{"cache", func(t *Target) bool { return t.Cache != nil }, readCache, (*checker).cache},
}

const (
	// DefaultCheck is how often a target is asked that says nothing of it, and a secondary.
	DefaultCheck = time.Minute

	leastCheck = time.Second
	mostCheck  = day
)

var pushShape = yamlat.Shape[rawTargets]{
	What: "push",
	Fields: []yamlat.Field[rawTargets]{
		{Key: "drill", Set: func(d *decoder, n *node, r *rawTargets) { r.drill = name(d, n) }},
		{Key: "stream", Set: func(d *decoder, n *node, r *rawTargets) { r.stream.at, _ = streamShape.Decode(d, n, &r.stream) }},
		{Key: "targets", Set: func(d *decoder, n *node, r *rawTargets) {
			d.Each(n, func(n *node) {
				var t rawTarget
				var ok bool
				if t.at, ok = targetShape.Decode(d, n, &t); ok && !t.kind.At.IsSet() {
					d.Badf(t.at, "the target says not how it is told, write one of %s", strings.Join(kindKeys(), ", "))
				}
				r.list = append(r.list, t)
			})
		}},
	},
}

func kindKeys() []string {
	var keys []string
	for _, k := range targetKinds {
		keys = append(keys, k.key)
	}
	return keys
}

var targetShape = shapeOfTargets()

func shapeOfTargets() yamlat.Shape[rawTarget] {
	shape := yamlat.Shape[rawTarget]{
		What: "a target",
		Fields: []yamlat.Field[rawTarget]{
			{Key: "name", Required: true, Set: func(d *decoder, n *node, t *rawTarget) { t.name = name(d, n) }},
			{Key: "roles", Set: func(d *decoder, n *node, t *rawTarget) { t.roles = yamlat.ListOf(d, n, name) }},
			{Key: "check", Set: func(d *decoder, n *node, t *rawTarget) {
				t.check = d.Duration(n, leastCheck, mostCheck, time.Millisecond)
			}},
			{Key: "repair", Set: func(d *decoder, n *node, t *rawTarget) { t.repair = d.Bool(n) }},
		},
	}
	for _, k := range targetKinds {
		shape.Fields = append(shape.Fields, yamlat.Field[rawTarget]{Key: k.key, Set: func(d *decoder, n *node, t *rawTarget) {
			only(d, n, &t.kind, k.key, "target")
			t.raw = k.read(d, n)
		}})
	}
	return shape
}

// push checks the targets. The roles stand in out already.
func (c *checker) push(r *rawTargets, secondaries []Secondary, out *Config) Push {
	c.world = out.World
	p := Push{Drill: r.drill.Value, Secondaries: secondaries, Stream: c.stream(&r.stream, out)}
	c.knownRoles([]text{r.drill}, out)
	seen := map[string]at{}
	for i := range r.list {
		t := &r.list[i]
		if !t.name.OK || !t.kind.OK {
			continue
		}
		if first, ok := seen[t.name.Value]; ok {
			c.d.Problemf(t.name.At, "target %s is listed twice, first at %s: give one another name", t.name.Value, first)
			continue
		}
		seen[t.name.Value] = t.name.At
		if slices.ContainsFunc(p.Secondaries, func(s Secondary) bool { return s.Name == t.name.Value }) {
			c.d.Problemf(t.name.At, "target %s is a secondary in zones.notify already: give one another name", t.name.Value)
		}
		p.Targets = append(p.Targets, c.target(t, out))
	}
	return p
}

func (c *checker) target(r *rawTarget, out *Config) Target {
	t := Target{Name: r.name.Value, Roles: distinct(c.d, r.roles, "role "), Check: r.check.Or(DefaultCheck), Repair: r.repair.Value}
	c.knownRoles(r.roles.Items, out)
	i := slices.IndexFunc(targetKinds, func(k targetKind) bool { return k.key == r.kind.Value })
	targetKinds[i].check(c, r.raw, &t)
	return t
}

func (c *checker) knownRoles(roles []text, out *Config) {
	for _, role := range roles {
		if role.OK && !slices.ContainsFunc(out.World.Roles, func(r *registry.Role) bool { return r.Name == role.Value }) {
			c.d.Problemf(role.At, "unknown role %q, write one of those in clusters", role.Value)
		}
	}
}
