// Package audit reads what is published already, in the forms that administrators have it, and finds
// what breaks a policy.
//
//	source -> Record -> policy.Decide -> finding
//
// A source is streamed: a record is valid until the next one comes, and nothing is kept of it. A registry
// export is the exception, for what a network card registers is told in several of its parts.
//
// Open tells the kind of a source by its content, then by its name. Text may be UTF-8 or UTF-16, with
// line ends of any system. Sources are hostile: lines and elements are bounded, nothing is allocated by a
// number in a file, and no file that a source names is opened. What is wrong is a Problem with its place,
// and reading goes on behind it; only a Problem that is Fatal ends it, behind everything that was read.
// One goroutine reads a Source; Offset and PassedOver may be called from others.
package audit
