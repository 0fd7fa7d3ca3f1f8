// Package finding writes what the audit tools found, in the formats that people and their tools read:
// text, JSON, SARIF, GitHub annotations, JUnit, CSV and HTML.
//
//	Finding -> Writer.Add -> bytes; at the end Writer.Close with the summary
//
// Output is deterministic: the same findings give the same bytes. Nothing is kept of a finding once it
// is written, except where a format cannot be written in one go, so that a million are no trouble.
//
// A Writer is for one goroutine.
package finding
