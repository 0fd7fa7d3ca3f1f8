// Package deploy holds what people install and start from: sample configurations, the reference that
// documents every key, the JSON Schema for editors and the systemd unit. Tests parse each sample, and
// hold reference, schema and parser together.
package deploy

import "embed"

// Files has every sample by its path below deploy/: "demo/nameward.yaml".
//
//go:embed nameward.reference.yaml wan-pair dag smtp-relay demo/nameward.yaml systemd
var Files embed.FS

// Schema is the JSON Schema (draft 2020-12) of nameward.yaml.
//
//go:embed nameward.schema.json
var Schema []byte

// Demo is the path in Files of the configuration that `nameward demo` starts.
const Demo = "demo/nameward.yaml"
