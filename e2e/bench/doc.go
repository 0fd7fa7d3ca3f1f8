// Command bench measures what nameward promises, with real processes and real peers, and prints it as
// a Markdown table: what, ours, the peer's, the ratio, what is required and whether it is met.
//
//	go run ./e2e/bench [-quick] [-only NAME,...] [-o FILE]
//
// Every server runs on the loopback or in network namespaces of its own (nwbench-<pid>-...), follows
// files in a temporary directory (below TMPDIR, and below /dev/shm where the disk is to be left out)
// and is ended by its pid. What is compared is measured in rounds, one after the other, A B A B, since
// machines are noisy: trust the ratios, not the absolute figures.
//
// The exit code is 0 if every requirement is met, 1 if one is not and 2 if something could not be
// measured. A peer that is missing, or root where namespaces need it, is a row that says so.
package main
