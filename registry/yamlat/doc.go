// Package yamlat decodes YAML strictly, and every problem it finds has its place:
//
//	nameward.yaml:12:9: unknown key "tll" in a role, did you mean "ttl"
//
// The text is read into nodes once ([Parse]) and walked by the caller with a [Shape] for each mapping
// and a method of [D] for each value. All problems are collected; [D.Err] returns them sorted. A value
// comes back as an [Item], which keeps its place for checks that look at several values.
//
// What is not YAML as people write it in configuration files is refused: a second document, a merge
// key (<<), a tag such as !!binary, a key that is written twice. An alias (*name) is followed; what is
// read through it has the place of the alias, and the walk stops when aliases multiply the text.
//
// A [D] belongs to one goroutine.
package yamlat
