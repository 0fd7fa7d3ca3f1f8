// Package deploy holds what people install and start from: sample configurations and policies, the
// references that document every key, the JSON Schema for editors and the systemd unit. Tests parse each
// sample, run the tests of the policies, and hold references, schema and parsers together.
package deploy

import "embed"

// Files has every sample configuration by its path below deploy/: "demo/nameward.yaml".
//
//go:embed nameward.reference.yaml wan-pair dag smtp-relay active-directory demo/nameward.yaml systemd
var Files embed.FS

// Policies has every sample policy with its tests, by its path below deploy/: "policy/dag/policy.yaml". A
// configuration that only a policy is about stands beside it.
//
//go:embed policy
var Policies embed.FS

// Schema is the JSON Schema (draft 2020-12) of nameward.yaml.
//
//go:embed nameward.schema.json
var Schema []byte

// PolicySchema and PolicyTestSchema are the JSON Schemas (draft 2020-12) of policy.yaml and of *_test.yaml
// files. What they have in common stands in both, so that each can be used alone.
//
//go:embed policy/policy.schema.json
var PolicySchema []byte

//go:embed policy/policy_test.schema.json
var PolicyTestSchema []byte

// Demo is the path in Files of the configuration that `nameward demo` starts.
const Demo = "demo/nameward.yaml"
