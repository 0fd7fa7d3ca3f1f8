package policy

import (
	_ "embed"
	"sync"
)

// Builtin is the text of the built-in rules. They stand behind those of every file that does not say
// otherwise, and are all there is without a file.
//
//go:embed builtin.yaml
var Builtin []byte

// builtinRules parses the built-in rules once.
var builtinRules = sync.OnceValue(func() []*Rule {
	f := &file{name: BuiltinFile}
	d, root := parseRoot(BuiltinFile, Builtin)
	f.decode(d, root)
	if err := d.Err(); err != nil {
		panic("built-in policy: " + err.Error())
	}
	return f.rules
})

// Default is the policy without any file.
var Default = sync.OnceValue(func() *Policy {
	return compile(&file{name: BuiltinFile, fallback: fallbackBuiltin}, nil)
})
