package lint

import (
	"testing"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
)

// TestBuiltinIsSound: whatever is asked, without a policy file no address of a filtered class is
// published, and a guarded name has public addresses of its members only. All requests that the rules
// can tell apart are looked at.
func TestBuiltinIsSound(t *testing.T) {
	s, err := newSpace(policytest.World(t), now, policy.Default())
	if err != nil {
		t.Fatal(err)
	}
	looked, published := 0, 0
	s.walk(func(c *context, hits []hit) bool {
		for _, h := range hits {
			looked++
			i, _ := s.first(0, h.rules)
			if h.addr == nil || s.rules[i].Action != policy.Publish {
				continue
			}
			published++
			if isFiltered(h.addr.classes[0]) {
				t.Errorf("rule %s publishes %s of class %s: %s", s.rules[i].ID, h.addr.addr, h.addr.classes[0], s.witness(c, h.addr.addr))
			}
			if c.name.subject.guarded && len(h.addr.public) == 0 && c.typ.number != ptr {
				t.Errorf("rule %s publishes %s, which is no member's: %s", s.rules[i].ID, h.addr.addr, s.witness(c, h.addr.addr))
			}
		}
		return !t.Failed()
	})
	if s.unfinished || looked < 1000 || published < 100 {
		t.Errorf("%d looked at, %d published, unfinished %v", looked, published, s.unfinished)
	}
}

const ptr = 12 // a PTR record of a guarded name carries no address of it: the name it stands for is its own
