package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
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
func (p *Plan) reconfigured(st control.Status, targets []TargetState) []string {
	var out []string
	differs := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, r := range p.Roles {
		role, ok := find(st.Roles, r.Role)
		if !ok {
			continue // locate tells it
		}
		now := describe(role, st.Zones)
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
	for _, t := range targets {
		if !slices.Contains(p.Targets, t.Target) {
			differs("target %s (%s) is not in the plan", t.Name, t.Kind)
		}
	}
	for _, t := range p.Targets {
		if !slices.ContainsFunc(targets, func(now TargetState) bool { return now.Target == t }) {
			differs("target %s (%s) is gone", t.Name, t.Kind)
		}
	}
	return out
}

// unfit tells what speaks against changing anything now. At least quorum targets must be well; 0 is for all.
func (p *Plan) unfit(st control.Status, targets []TargetState, quorum int) []string {
	var out []string
	if st.Store.Error != "" {
		out = append(out, "the state cannot be saved: "+st.Store.Error)
	}
	for _, c := range st.Checks {
		if c.Verdict != "up" && slices.Contains(p.newHolders(), c.Node) {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s is %s, says the check for role %s (%s) %s", c.Node, c.Verdict, c.Role, c.Target, c.Error)))
		}
	}
	var troubles []string
	for _, t := range targets {
		if t.Trouble != "" {
			troubles = append(troubles, fmt.Sprintf("target %s (%s): %s", t.Name, t.Kind, t.Trouble))
		}
	}
	if len(targets)-len(troubles) < need(quorum, len(targets)) {
		out = append(out, troubles...)
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
	Moved []string // since it was made
	Unfit []string // would keep it from being carried out
}

// Look compares the plan with the state of now, whoever carried it out already.
func (p *Plan) Look(ctx context.Context, g Guard, quorum int) (Findings, error) {
	st, targets, err := look(ctx, g)
	if err != nil {
		return Findings{}, err
	}
	at, why, err := locate(ctx, g, p.Moves(), st)
	if err != nil {
		return Findings{}, err
	}
	if at == there {
		why = []string{"the roles are where the plan wants them"}
	}
	return Findings{append(why, p.reconfigured(st, targets)...), p.unfit(st, targets, quorum)}, nil
}

func look(ctx context.Context, g Guard) (control.Status, []TargetState, error) {
	st, err := g.Status(ctx)
	if err != nil {
		return st, nil, err
	}
	targets, err := g.Targets(ctx)
	return st, targets, err
}
