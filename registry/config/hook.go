package config

import (
	"time"

	"github.com/nameward/nameward/registry/yamlat"
)

// Hook is a program that is run for each change, with the state as JSON on its standard input.
type Hook struct {
	Command []string      // the program and its arguments; no shell reads them
	Timeout time.Duration // for one run
	Verify  Verify
}

type rawHook struct {
	command texts
	timeout span
	verify  Verify
}

const defaultHookTimeout = 10 * time.Second

var hookShape = yamlat.Shape[rawHook]{
	What: "hook",
	Fields: []yamlat.Field[rawHook]{
		{Key: "command", Required: true, Set: func(d *decoder, n *node, r *rawHook) {
			r.command = yamlat.ListOf(d, n, (*decoder).String)
			if r.command.Written == 0 {
				d.Badf(r.command.At, "a hook needs a program, write its path and arguments: [/usr/local/bin/moved, --now]")
			}
		}},
		{Key: "timeout", Set: func(d *decoder, n *node, r *rawHook) {
			r.timeout = d.Duration(n, 100*time.Millisecond, 10*time.Minute, time.Millisecond)
		}},
		{Key: "verify", Set: func(d *decoder, n *node, r *rawHook) { r.verify = readVerify(d, n) }},
	},
}

func readHook(d *decoder, n *node) any {
	r := new(rawHook)
	hookShape.Decode(d, n, r)
	return r
}

func (c *checker) hook(raw any, t *Target) {
	r := raw.(*rawHook)
	t.Hook = &Hook{Timeout: r.timeout.Or(defaultHookTimeout), Verify: r.verify}
	for _, a := range r.command.Items {
		t.Hook.Command = append(t.Hook.Command, a.Value)
	}
}
