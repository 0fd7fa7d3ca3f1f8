package policy

import (
	"slices"
	"strings"
)

// Keys lists every key of a policy file as a path: "rules[].id". [] is an element of a list, * a key that
// people choose. Tests compare it with the reference and with the schema.
func Keys() []string {
	all := keysOf("", fileShape.Keys()...)
	all = append(all, keysOf("classes", "*")...)
	all = append(all, keysOf("rules[]", ruleShape.Keys()...)...)
	return slices.Sorted(slices.Values(append(all, caseKeys()...)))
}

// TestKeys lists every key of a file of tests, in the manner of [Keys].
func TestKeys() []string {
	all := keysOf("", testFileShape.Keys()...)
	all = append(all, keysOf("given", "*")...)
	return slices.Sorted(slices.Values(append(all, caseKeys()...)))
}

func caseKeys() []string {
	return slices.Concat(
		keysOf("tests[]", caseShape.Keys()...),
		keysOf("tests[].given", "*"),
		keysOf("tests[].request", requestShape.Keys()...),
		keysOf("tests[].want", wantShape.Keys()...),
	)
}

func keysOf(parent string, keys ...string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = strings.TrimPrefix(parent+"."+k, ".")
	}
	return out
}
