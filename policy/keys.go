package policy

import (
	"slices"
	"strings"
)

// Keys lists every key of a policy file as a path: "rules[].id". [] is an element of a list, * a key that
// people choose. Tests compare it with the reference.
func Keys() []string {
	var all []string
	add := func(prefix string, keys ...string) {
		for _, k := range keys {
			all = append(all, strings.TrimPrefix(prefix+"."+k, "."))
		}
	}
	add("", fileShape.Keys()...)
	add("classes", "*")
	add("rules[]", ruleShape.Keys()...)
	add("tests[]", caseShape.Keys()...)
	add("tests[].given", "*")
	add("tests[].request", requestShape.Keys()...)
	add("tests[].want", wantShape.Keys()...)
	slices.Sort(all)
	return all
}
