package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Assume makes a snapshot for tools that look at a world without its sources. held says which nodes
// have a role; an empty list: nobody does. A role that held does not name may be anybody's, so that
// every member is taken for a holder.
func Assume(w *World, held map[string][]string) (*Snapshot, error) {
	for name, nodes := range held {
		i := slices.IndexFunc(w.Roles, func(r *Role) bool { return r.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no role %s", name)
		}
		if err := mayHold(w.Roles[i], nodes); err != nil {
			return nil, err
		}
	}
	saved := Saved{Overrides: make(map[string]Override, len(w.Roles)), Records: map[string]Record{}}
	now := time.Unix(0, 0)
	for _, r := range w.Roles {
		nodes, told := held[r.Name]
		if !told {
			nodes = namesOf(r.Nodes)
		}
		if len(nodes) > 0 {
			saved.Overrides[r.Name] = Override{Nodes: nodes, Since: now, Reason: "assumed"}
		} else if r.Source.Initial != "" { // that somebody decided something keeps the initial holder away
			saved.Records[r.Name] = Record{Epoch: 1, Since: now, Origin: "assumed"}
		}
	}
	reg, err := Open(w, &Memory{Saved: saved}, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	return reg.Snapshot(), nil
}

func mayHold(r *Role, nodes []string) error {
	for _, n := range nodes {
		if r.Node(n) == nil {
			return fmt.Errorf("%s is not a node of role %s, its nodes are %s", n, r.Name, strings.Join(namesOf(r.Nodes), ", "))
		}
	}
	if r.Mode == Single && len(nodes) > 1 {
		return fmt.Errorf("role %s has one holder and %d are named", r.Name, len(nodes))
	}
	return nil
}
