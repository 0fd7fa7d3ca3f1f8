package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
)

// Witness is a request that shows something, and who holds which role when it comes.
type Witness struct {
	Request policy.Request
	Held    map[string][]string
}

// String is the witness as arguments of "nameward policy explain".
func (w Witness) String() string {
	r := &w.Request
	args := []string{"--channel", r.Channel.String(), "--name", quote(r.Name())}
	guess := *r
	if guess.GuessType(); guess.Type != r.Type {
		args = append(args, "--type", r.TypeName())
	}
	for _, a := range r.Addrs {
		args = append(args, "--address", a.String())
	}
	if r.Source.IsValid() {
		args = append(args, "--from", r.Source.String())
	}
	if r.Principal != "" {
		args = append(args, "--principal", quote(r.Principal))
	}
	for _, role := range slices.Sorted(maps.Keys(w.Held)) {
		args = append(args, "--held", quote(role+"="+strings.Join(w.Held[role], ",")))
	}
	return strings.Join(args, " ")
}

// quote writes a word so that a shell reads it as one.
func quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !(r == '-' || r == '.' || r == '_' || r == '=' || r == ',' || r == ':' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// decide asks the engine about a witness. A proof is not believed without it.
func (s *space) decide(p *policy.Policy, w Witness) (policy.Decision, error) {
	snap, err := s.held(w.Held)
	if err != nil {
		return policy.Decision{}, err
	}
	return p.Decide(snap, &w.Request), nil
}

// held is the state in which roles are held so. The roles alone are enough of the world, and a large one
// takes a second to build; witnesses of one role come together, so that few states are kept.
func (s *space) held(held map[string][]string) (*registry.Snapshot, error) {
	if len(held) == 0 {
		return s.snap, nil
	}
	key := fmt.Sprint(held)
	if snap, ok := s.byHeld[key]; ok {
		return snap, nil
	}
	small := *s.world
	small.Roles = slices.DeleteFunc(slices.Clone(s.world.Roles), func(r *registry.Role) bool {
		_, ok := held[r.Name]
		return !ok
	})
	snap, err := registry.Assume(&small, held)
	if err != nil {
		return nil, err
	}
	if len(s.byHeld) >= maxStates {
		clear(s.byHeld)
	}
	s.byHeld[key] = snap
	return snap, nil
}

// maxStates is how many states are kept for witnesses.
const maxStates = 64

func isFiltered(class string) bool { return class != "" && class != registry.PublicClass }
