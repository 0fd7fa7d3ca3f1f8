package policy

import (
	"fmt"
	"strings"
)

// Action is what a rule asks for, and the verdict of a decision.
type Action uint8

// The actions, from the one that changes least. Publish and Strip are about single addresses, the
// others about the whole request.
const (
	Publish    Action = iota + 1 // as it was asked for
	Strip                        // without some of the addresses
	Rewrite                      // the holder's public addresses instead
	Forward                      // handed on to the server that is responsible
	Quarantine                   // quiet accept: a positive reply, nothing is published
	Refuse                       // a negative reply
)

// Actions lists every action.
var Actions = []Action{Publish, Strip, Rewrite, Forward, Quarantine, Refuse}

var actionWords = [...]string{"none", "publish", "strip", "rewrite", "forward", "quarantine", "refuse"}

func (a Action) String() string { return actionWords[a] }

// MarshalText writes the word.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// ParseAction reads the word of an action.
func ParseAction(s string) (Action, error) {
	for _, a := range Actions {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, fmt.Errorf("action %q is none, known are %s", s, words(Actions))
}

// ofWhole reports whether the action is about the whole request.
func (a Action) ofWhole() bool { return a >= Rewrite }

func words[T fmt.Stringer](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return strings.Join(out, ", ")
}
