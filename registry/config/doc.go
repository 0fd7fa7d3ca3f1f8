// Package config reads nameward.yaml and makes the validated [registry.World] and the settings beside
// it.
//
//	text -> yamlat nodes -> raw structs, every value with its place -> checks -> Config
//
// [Parse] reports every problem at once, as [yamlat.Problems], and gives no Config when there is one:
// nothing sees an unvalidated value. deploy/nameward.reference.yaml documents each key, and [Keys]
// lists them, so that tests hold parser, reference and JSON Schema together.
//
// Paths that are not absolute are relative to the directory of the configuration file.
//
// All functions may be called from any goroutine; a Config is not changed after Parse.
package config
