// Package registry keeps the live state of roles: who holds each of them, under which epoch, on whose
// word, and which addresses are therefore published.
//
// The data path is
//
//	source -> Claim -> writer: fenced? -> Store -> new Snapshot, stored once -> OK to the caller
//
// There is one writer, the goroutine in [Registry.Run]. It takes all that is waiting, applies it to
// copies, commits once (group commit), publishes one [Snapshot] and then acknowledges. Readers call
// [Registry.Snapshot] from any goroutine, load one atomic pointer and never lock; nothing that is
// reachable from a snapshot changes afterwards.
//
// A change costs what changed: role states and PTR states stand in persistent vectors, so that a
// switch copies a few kilobytes whatever the number of names is.
//
// A change is announced by level: [Snapshot.Superseded] is closed when a newer snapshot stands, and a
// follower reads the latest. Bursts coalesce and nothing overflows.
package registry
