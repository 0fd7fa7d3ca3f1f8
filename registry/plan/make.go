package plan

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
)

// Request asks for a plan: which roles are to go where, as for a switch, and their TTL meanwhile.
type Request struct {
	registry.SwitchRequest
	TTL time.Duration // whole seconds
}

// Make makes a plan from the state of now. A *Refused says what stands against it.
func Make(ctx context.Context, g Guard, req Request) (*Plan, error) {
	req.DryRun = true
	moves, err := g.Switch(ctx, req.SwitchRequest)
	if text := refusal(err); text != "" {
		return nil, refuse(strings.Split(text, "\n")...)
	} else if err != nil {
		return nil, err
	}
	st, err := look(ctx, g)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	p := &Plan{ID: newID(now), Made: now, By: req.By, Change: st.Change, TTL: uint32(req.TTL / time.Second)}
	p.Targets = st.targets()
	for _, m := range moves.Moves {
		if !m.Moved() {
			p.Notes = append(p.Notes, fmt.Sprintf("role %s is at %s already and left out", m.Role, strings.Join(m.To, ", ")))
			continue
		}
		if err := p.add(m, st.Status); err != nil {
			return nil, err
		}
	}
	if len(p.Roles) == 0 {
		return nil, refuse(append(p.Notes, "there is nothing to plan: no role would move")...)
	}
	p.explain(st.Status)
	return p, nil
}

func (v *view) targets() []Target {
	out := make([]Target, len(v.push.Targets))
	for i, t := range v.push.Targets {
		out[i] = Target{t.Name, t.Kind}
	}
	return out
}

func newID(now time.Time) string {
	raw := make([]byte, 3)
	_, _ = rand.Read(raw) // never fails
	return now.Format("20060102-150405-") + hex.EncodeToString(raw)
}

// add plans one move.
func (p *Plan) add(m registry.Move, st control.Status) error {
	now, ok := find(st.Roles, m.Role)
	if !ok || !slices.Equal(now.Served, m.From) || now.Epoch >= m.Epoch {
		return refuse(fmt.Sprintf("role %s moves while it is being planned: try again", m.Role))
	}
	r := describe(now, st.Zones)
	r.Move = m
	v4, v6 := families(m.Before)
	if new4, new6 := families(m.After); new4 == v4 && new6 == v6 {
		r.Negative = 0
	}
	p.Roles = append(p.Roles, r)
	return nil
}

// describe is what a plan says of a role beside its move.
func describe(now control.Role, zones []control.Zone) Role {
	r := Role{Names: slices.Concat(now.DNS, now.NetBIOS), Source: now.Source, TTL: now.OwnTTL}
	for _, name := range now.DNS {
		r.Negative = max(r.Negative, negativeOf(name, zones))
	}
	return r
}

// negativeOf is the negative TTL of the owned zone that holds a name, 0 for none: the SOA of an overlaid name has the
// role's own TTL.
func negativeOf(name string, zones []control.Zone) uint32 {
	longest, negative := -1, uint32(0)
	for _, z := range zones {
		if len(z.Zone) > longest && (name == z.Zone || strings.HasSuffix(name, "."+z.Zone)) {
			longest, negative = len(z.Zone), z.Negative
		}
	}
	return negative
}

func find(roles []control.Role, name string) (control.Role, bool) {
	i := slices.IndexFunc(roles, func(r control.Role) bool { return r.Role == name })
	if i < 0 {
		return control.Role{}, false
	}
	return roles[i], true
}

// explain writes down what will be checked, and what people should know.
func (p *Plan) explain(st control.Status) {
	p.Checks = []string{"nothing that stands in this plan has moved", "the state can be saved"}
	if len(p.Targets) > 0 {
		p.Checks = append(p.Checks, "every target has the latest state")
	} else {
		p.Notes = append(p.Notes, "there are no targets: nobody but this nameward is told, and there is nothing to prove")
	}
	for _, node := range newHolders(p.Moves()) {
		var by []string
		for _, c := range st.Checks {
			if c.Node == node {
				by = append(by, fmt.Sprintf("%s (role %s)", c.Target, c.Role))
			}
		}
		if len(by) == 0 {
			p.Notes = append(p.Notes, "no health check knows how "+node+" is")
			continue
		}
		p.Checks = append(p.Checks, node+" is healthy: "+strings.Join(by, ", "))
	}
	for _, r := range p.Roles {
		p.Notes = append(p.Notes, r.notes()...)
	}
	if slices.ContainsFunc(p.Roles, func(r Role) bool { return slices.ContainsFunc(r.Names, isNetBIOS) }) {
		p.Notes = append(p.Notes, "Windows keeps NetBIOS names for ten minutes, whatever their TTL is")
	}
}

// isNetBIOS tells NetBIOS names, which end with a suffix or have one before their scope, from DNS names.
func isNetBIOS(name string) bool { return strings.Contains(name, "<") }

// newHolders are the nodes that roles go to, each once.
func newHolders(moves []registry.Move) []string {
	var out []string
	for _, m := range moves {
		for _, n := range m.To {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

func (r *Role) notes() []string {
	var out []string
	if len(r.From) != 1 {
		out = append(out, fmt.Sprintf("role %s is served by no one node now: this cannot be reverted", r.Role))
	}
	v4, v6 := families(r.Before)
	new4, new6 := families(r.After)
	if v4 && !new4 || v6 && !new6 {
		out = append(out, fmt.Sprintf("role %s has no %s address any more after it", r.Role, map[bool]string{true: "IPv4", false: "IPv6"}[v4 && !new4]))
	}
	return out
}
