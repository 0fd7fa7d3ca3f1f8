package lint

import (
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
)

// rulePlace is where a rule of a policy stands.
func rulePlace(p *policy.Policy, r *policy.Rule) finding.Place {
	return placeIn(p, r.File, r.At.Line, r.At.Col)
}

// placeIn is a place in a file of a policy. What stands in the built-in rules has the policy's file alone.
func placeIn(p *policy.Policy, file string, line, col int32) finding.Place {
	if file == policy.BuiltinFile {
		return finding.Place{File: p.File}
	}
	return finding.Place{File: file, Line: int(line), Col: int(col)}
}
