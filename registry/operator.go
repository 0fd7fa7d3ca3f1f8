package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Move is what an operator's command did, or would do, to one role.
type Move struct {
	Role   string       `json:"role"`
	From   []string     `json:"from"` // nodes served before
	To     []string     `json:"to"`   // nodes served after
	Epoch  uint64       `json:"epoch"`
	Before []netip.Addr `json:"before"` // addresses served before
	After  []netip.Addr `json:"after"`  // addresses served after
}

// Moved reports whether the role publishes something else than before.
func (m Move) Moved() bool { return !slices.Equal(m.Before, m.After) || !slices.Equal(m.From, m.To) }

func (m Move) equal(o Move) bool {
	return m.Role == o.Role && m.Epoch == o.Epoch && slices.Equal(m.From, o.From) && slices.Equal(m.To, o.To) &&
		slices.Equal(m.Before, o.Before) && slices.Equal(m.After, o.After)
}

func (m Move) String() string {
	return fmt.Sprintf("%s from %s (%s) to %s (%s), epoch %d", m.Role, strings.Join(m.From, ", "), JoinAddrs(m.Before),
		strings.Join(m.To, ", "), JoinAddrs(m.After), m.Epoch)
}

// JoinAddrs writes addresses for people.
func JoinAddrs(addrs []netip.Addr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

// Moves is the result of an operator's command. All its moves are one change.
type Moves struct {
	Change uint64 `json:"change"` // the moves are part of this and every later change; 0 for a dry run
	DryRun bool   `json:"dry_run,omitempty"`
	Moves  []Move `json:"moves"`
}

// SwitchRequest asks to hand roles over. Either To or Site is set, or Expect says all.
type SwitchRequest struct {
	Roles  []string `json:"roles,omitempty"`
	All    bool     `json:"all,omitempty"`  // every role with source operator
	To     string   `json:"to,omitempty"`   // a node
	Site   string   `json:"site,omitempty"` // each role goes to its first node there, in written order
	By     string   `json:"by,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"`
	// Expect are moves as a dry run has told them: these are made, and none of them if one would be another by now.
	Expect []Move `json:"expect,omitempty"`
}

// Switch hands roles with source operator over to other nodes: all of them under one change, or none
// of them and an error that names every obstacle. It returns when the change is on stable storage and
// every later snapshot answers with the new holders.
func (r *Registry) Switch(ctx context.Context, req SwitchRequest) (Moves, error) {
	return r.operate(ctx, req.DryRun, func(ch *change) ([]int32, error) { return ch.switchRoles(req) })
}

// operate runs an operator's command and reports its moves. The command stages cells and returns the
// roles to report on.
func (r *Registry) operate(ctx context.Context, dryRun bool, do func(*change) ([]int32, error)) (Moves, error) {
	moves := Moves{DryRun: dryRun}
	err := r.ask(ctx, true, func(ch *change) error {
		target := ch
		if dryRun {
			target = r.newChange(ch.now)
		}
		ids, err := do(target)
		if err != nil {
			return err
		}
		moves.Moves = target.moves(ids)
		return nil
	})
	if err != nil {
		return Moves{}, err
	}
	if !dryRun {
		moves.Change = r.Snapshot().Change
	}
	return moves, nil
}

// moves tells what is staged for the roles against what is served now.
func (ch *change) moves(ids []int32) []Move {
	out := make([]Move, 0, len(ids))
	for _, id := range ids {
		out = append(out, ch.move(id, ch.cell(id)))
	}
	return out
}

// move tells what would become of a role with a cell.
func (ch *change) move(id int32, c *cell) Move {
	before, after := ch.before.roles.at(int(id)), ch.viewOf(id, c)
	return Move{
		Role: before.Role.Name, From: namesOf(before.Served), To: namesOf(after.Served), Epoch: after.Epoch,
		Before: before.Addrs(), After: after.Addrs(),
	}
}

// Addrs returns all addresses served, IPv4 first.
func (s *RoleState) Addrs() []netip.Addr { return slices.Concat(s.addrs.v4, s.addrs.v6) }

func (ch *change) switchRoles(req SwitchRequest) ([]int32, error) {
	ids, err := ch.chosen(req)
	if err != nil {
		return nil, err
	}
	staged := make([]*cell, len(ids))
	var problems []error
	for i, id := range ids {
		node, err := ch.target(id, req.at(i))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		role := ch.before.World.Roles[id]
		cl := Claim{Role: role.Name, Origin: by("switch", req.By), Nodes: []string{node}}
		staged[i], _ = ch.cell(id).take(role, cl, ch.drained, ch.now)
		if would := ch.move(id, staged[i]); len(req.Expect) > 0 && !would.equal(req.Expect[i]) {
			problems = append(problems, fmt.Errorf("the state has moved: expected %s; it would be %s", req.Expect[i], would))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	for i, id := range ids {
		ch.put(id, staged[i])
	}
	return ids, nil
}

func (ch *change) chosen(req SwitchRequest) ([]int32, error) {
	if len(req.Expect) > 0 {
		return ch.expected(req)
	}
	switch {
	case (req.To == "") == (req.Site == ""):
		return nil, errors.New("say where to: either a node or a site")
	case req.All == (len(req.Roles) > 0):
		return nil, errors.New("say which roles: their names, or all of them")
	}
	var ids []int32
	if req.All {
		for i, role := range ch.before.World.Roles {
			if role.Source.Kind == SourceOperator && role.Mode == Single {
				ids = append(ids, int32(i))
			}
		}
		return ids, nil
	}
	return ch.named(req.Roles)
}

// expected finds the roles of the expected moves, in their order.
func (ch *change) expected(req SwitchRequest) ([]int32, error) {
	if len(req.Roles) > 0 || req.All || req.To != "" || req.Site != "" {
		return nil, errors.New("say either what is expected, or which roles go where to")
	}
	names := make([]string, len(req.Expect))
	for i, m := range req.Expect {
		if len(m.To) != 1 {
			return nil, fmt.Errorf("role %s is expected to go to %d nodes, want one", m.Role, len(m.To))
		}
		names[i] = m.Role
	}
	ids, err := ch.named(names)
	if err == nil && len(ids) < len(names) {
		err = errors.New("a role is expected twice")
	}
	return ids, err
}

// named finds roles, each once, or says which ones there are not.
func (ch *change) named(names []string) ([]int32, error) {
	var ids []int32
	var problems []error
	seen := make(map[int32]bool, len(names))
	for _, name := range names {
		id, _, err := ch.role(name)
		if err != nil {
			problems = append(problems, fmt.Errorf("%w; %s", err, ch.before.suggestRole(name)))
		} else if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, errors.Join(problems...)
}

// at is the request with what it says of the i-th role alone.
func (req SwitchRequest) at(i int) SwitchRequest {
	if len(req.Expect) > 0 {
		req.To = req.Expect[i].To[0]
	}
	return req
}

// target finds the node that a role is to go to, or says what stands against it.
func (ch *change) target(id int32, req SwitchRequest) (string, error) {
	role := ch.before.World.Roles[id]
	node := role.Node(req.To)
	if req.Site != "" {
		node = role.AtSite(req.Site)
	}
	switch {
	case node == nil && req.Site != "":
		return "", fmt.Errorf("role %s has no node at site %q; its nodes are %s", role.Name, req.Site, describeNodes(role))
	case node == nil:
		return "", fmt.Errorf("role %s has no node %q; its nodes are %s", role.Name, req.To, describeNodes(role))
	case role.Mode == All:
		return "", fmt.Errorf("role %s is served by all its healthy nodes and has no holder to switch; take a node out with: nameward drain NODE", role.Name)
	case role.Source.Kind != SourceOperator:
		return "", fmt.Errorf("role %s follows its source (%s); move it there, or force it with: nameward override set %s --to %s",
			role.Name, role.Source, role.Name, node.Name)
	case ch.cell(id).override != nil:
		return "", fmt.Errorf("role %s is %s; clear that first with: nameward override clear %s", role.Name, forcedWhy(ch.cell(id).override), role.Name)
	}
	if d, is := ch.drained[node.Name]; is {
		return "", fmt.Errorf("role %s cannot go to %s, which is drained since %s; nameward undrain %s", role.Name, node.Name, d.Since.UTC().Format(time.RFC3339), node.Name)
	}
	return node.Name, nil
}

func describeNodes(role *Role) string {
	out := make([]string, len(role.Nodes))
	for i, n := range role.Nodes {
		out[i] = n.Name
		if n.Site != "" {
			out[i] += " (" + n.Site + ")"
		}
	}
	return strings.Join(out, ", ")
}

func by(what, who string) string {
	if who == "" {
		return what
	}
	return what + " by " + who
}

// SetOverride forces a role to nodes, whatever its source says, until ClearOverride. Several nodes are
// for roles in mode all.
func (r *Registry) SetOverride(ctx context.Context, role string, o Override) (Moves, error) {
	return r.operate(ctx, false, func(ch *change) ([]int32, error) {
		id, world, err := ch.role(role)
		if err != nil {
			return nil, fmt.Errorf("%w; %s", err, ch.before.suggestRole(role))
		}
		if len(o.Nodes) == 0 || world.Mode == Single && len(o.Nodes) > 1 {
			return nil, fmt.Errorf("role %s is in mode %s: name one node to force it to", role, world.Mode)
		}
		for _, n := range o.Nodes {
			if world.Node(n) == nil {
				return nil, fmt.Errorf("role %s has no node %q; its nodes are %s", role, n, describeNodes(world))
			}
		}
		c := ch.cell(id)
		o.Since, o.Nodes = ch.now, slices.Clone(o.Nodes)
		ch.put(id, c.order(orders{override: &o, lowered: c.lowered}))
		return []int32{id}, nil
	})
}

// ClearOverride hands a role back to its source.
func (r *Registry) ClearOverride(ctx context.Context, role string) (Moves, error) {
	return r.operate(ctx, false, func(ch *change) ([]int32, error) {
		id, _, err := ch.role(role)
		if err != nil {
			return nil, fmt.Errorf("%w; %s", err, ch.before.suggestRole(role))
		}
		if ch.cell(id).override == nil {
			return nil, fmt.Errorf("role %s is not forced", role)
		}
		c := ch.cell(id)
		ch.put(id, c.order(orders{lowered: c.lowered}))
		return []int32{id}, nil
	})
}

// Drain takes a node out of every role in mode all and out of the choice of probed roles. It does not
// move roles that somebody else decides on. It is refused where the node is the last one served,
// unless force is set; even then that role goes on being answered with it.
func (r *Registry) Drain(ctx context.Context, node string, d Drain, force bool) (Moves, error) {
	return r.operate(ctx, false, func(ch *change) ([]int32, error) {
		n, ok := ch.before.Node(node)
		if !ok {
			return nil, fmt.Errorf("no node is named %q", node)
		}
		if last := ch.lastOf(n); len(last) > 0 && !force {
			return nil, fmt.Errorf("%s is the last node that serves %s; drain it all the same with --force (it will go on being answered until another node is healthy)",
				node, strings.Join(last, ", "))
		}
		d.Since = ch.now
		ch.drain(node, &d)
		return ch.before.ix.rolesOf[n], nil
	})
}

// lastOf lists the roles in mode all that nobody but n serves.
func (ch *change) lastOf(n *Node) []string {
	var out []string
	for _, id := range ch.before.ix.rolesOf[n] {
		s := ch.view(id)
		if s.Role.Mode == All && len(s.Served) == 1 && s.Served[0] == n {
			out = append(out, s.Role.Name)
		}
	}
	return out
}

// Undrain ends a drain.
func (r *Registry) Undrain(ctx context.Context, node string) (Moves, error) {
	return r.operate(ctx, false, func(ch *change) ([]int32, error) {
		n, ok := ch.before.Node(node)
		if !ok {
			return nil, fmt.Errorf("no node is named %q", node)
		}
		if _, is := ch.drained[node]; !is {
			return nil, fmt.Errorf("%s is not drained", node)
		}
		ch.drain(node, nil)
		return ch.before.ix.rolesOf[n], nil
	})
}

func (s *Snapshot) suggestRole(name string) string {
	var near []string
	for _, r := range s.World.Roles {
		if strings.Contains(r.Name, name) || strings.Contains(name, r.Name) {
			near = append(near, r.Name)
		}
		if len(near) == 3 {
			break
		}
	}
	if len(near) == 0 {
		return "nameward status lists the roles"
	}
	return "did you mean " + strings.Join(near, " or ") + "?"
}
