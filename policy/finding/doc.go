// Package finding writes what the audit tools found, in the formats that people and their tools read:
// text, JSON, SARIF 2.1.0, GitHub annotations, JUnit XML, CSV and HTML.
//
//	Finding -> Writer.Add -> bytes; at the end Writer.Close with the summary
//
// Output is deterministic: the same findings give the same bytes. Nothing is kept of a finding once it
// is written, so that a million are no trouble. JUnit and HTML have a head that depends on all of
// them: these two keep what they rendered, up to 10,000 findings or 16 MiB, and say how many more
// there were.
//
// Names come from the network. Whatever they hold, a document is valid UTF-8, is whole for its
// readers, starts no formula and no script, and has no control character in it: see visible.go.
//
// A Writer is for one goroutine.
package finding
