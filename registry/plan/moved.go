package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
)

// place is where roles are, seen from moves.
type place int

const (
	elsewhere place = iota
	here            // all are where the moves begin
	there           // all are where the moves end, under their epochs
)

// locate finds out where the roles are; of elsewhere it tells why.
func locate(ctx context.Context, g Guard, moves []registry.Move, st control.Status) (place, []string, error) {
	if isThere(moves, st) {
		return there, nil, nil
	}
	_, err := g.Switch(ctx, registry.SwitchRequest{Expect: moves, DryRun: true})
	if text := refusal(err); text != "" {
		return elsewhere, strings.Split(text, "\n"), nil
	} else if err != nil {
		return elsewhere, nil, err
	}
	return here, nil, nil
}

func isThere(moves []registry.Move, st control.Status) bool {
	return !slices.ContainsFunc(moves, func(m registry.Move) bool {
		now, ok := find(st.Roles, m.Role)
		return !ok || now.Epoch != m.Epoch || !slices.Equal(now.Holder, m.To)
	})
}

// reconfigured tells what of the roles' configuration and of the targets differs from the plan.
func (p *Plan) reconfigured(v view) []string {
	var out []string
	differs := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, r := range p.Roles {
		role, ok := find(v.Roles, r.Role)
		if !ok {
			continue // locate tells it
		}
		now := describe(role, v.Zones)
		if now.TTL != r.TTL {
			differs("the TTL of role %s was %d s and is %d s", r.Role, r.TTL, now.TTL)
		}
		if now.Source != r.Source {
			differs("the source of role %s was %s and is %s", r.Role, r.Source, now.Source)
		}
		if !slices.Equal(now.Names, r.Names) {
			differs("the names of role %s were %s and are %s", r.Role, strings.Join(r.Names, ", "), strings.Join(now.Names, ", "))
		}
		if r.Negative != 0 && now.Negative != r.Negative {
			differs("the negative TTL of role %s was %d s and is %d s", r.Role, r.Negative, now.Negative)
		}
	}
	targets := v.targets()
	for _, t := range targets {
		if !slices.Contains(p.Targets, t) {
			differs("target %s (%s) is not in the plan", t.Name, t.Kind)
		}
	}
	for _, t := range p.Targets {
		if !slices.Contains(targets, t) {
			differs("target %s (%s) is gone", t.Name, t.Kind)
		}
	}
	return out
}

// unfit tells what speaks against changing anything now. At least quorum targets must have what they were told; 0 is
// for all.
func (p *Plan) unfit(v view, moves []registry.Move, quorum int) []string {
	var out []string
	finds := func(format string, args ...any) { out = append(out, strings.TrimSpace(fmt.Sprintf(format, args...))) }
	if v.Store.Error != "" {
		finds("the state cannot be saved: %s", v.Store.Error)
	}
	for _, c := range v.Checks {
		if c.Verdict != "up" && slices.Contains(newHolders(moves), c.Node) {
			finds("%s is %s, says the check for role %s (%s) %s", c.Node, c.Verdict, c.Role, c.Target, c.Error)
		}
	}
	if v.push.Standby {
		finds("another guard tells the targets: carry the plan out there")
	}
	if v.push.Error != "" {
		finds("the ledger of deliveries cannot be saved: %s", v.push.Error)
	}
	if quorum > len(v.push.Targets) {
		finds("a quorum of %d is more than the %s that there are", quorum, count(len(v.push.Targets), "target"))
	}
	if !v.inStep(quorum) {
		out = append(out, v.lacking()...)
	}
	return out
}

// inStep reports whether so many targets have what they were told.
func (v *view) inStep(quorum int) bool {
	n := len(v.push.Targets)
	return n-len(v.lacking()) >= need(quorum, n)
}

// lacking describes the targets that do not have the latest state, one each.
func (v *view) lacking() []string {
	var out []string
	for _, t := range v.push.Targets {
		n, first := 0, push.Delivery{}
		for _, d := range v.push.Deliveries {
			if d.Target != t.Name {
				continue
			}
			if n++; n == 1 || first.Why == "" {
				first = d
			}
		}
		if n > 0 {
			out = append(out, strings.TrimSuffix(fmt.Sprintf("target %s (%s) lacks %d, among them role %s: %s, %s", t.Name, t.Kind, n, first.Role, first.Stage, first.Why), ", "))
		}
	}
	return out
}

// need is how many of n targets a quorum asks for.
func need(quorum, n int) int {
	if quorum <= 0 || quorum > n {
		return n
	}
	return quorum
}

// Findings is what is wrong with a plan now.
type Findings struct {
	There bool     // the roles are where the plan wants them, under its epochs
	Moved []string // what else has moved since it was made
	Unfit []string // what would keep it from being carried out
}

// Look compares the plan with the state of now.
func (p *Plan) Look(ctx context.Context, g Guard, quorum int) (Findings, error) {
	v, err := look(ctx, g)
	if err != nil {
		return Findings{}, err
	}
	at, why, err := locate(ctx, g, p.Moves(), v.Status)
	if err != nil {
		return Findings{}, err
	}
	return Findings{at == there, append(why, p.reconfigured(v)...), p.unfit(v, p.Moves(), quorum)}, nil
}
