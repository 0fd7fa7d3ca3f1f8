// Package probe takes claims from health checks: a role goes to the nodes that answer.
//
// The data path is
//
//	check of an address -> rise or fall counted -> verdict on a node -> registry.Claim | registry.Trouble
//
// Roles that ask the same address the same thing share one checker. A node is judged by its first
// address of the asked class, in written order: whoever wants both families watched writes two roles.
//
// A role makes no claim before every one of its nodes has a first verdict, so that the first answer
// after a start is the last known state and never a guess. The first check that succeeds is a verdict
// at once; unhealthy takes as many checks as ever. In mode all the healthy nodes are the members; in
// mode single the role goes to the first of them, in written order, that is not drained.
//
// Nothing that a checked node sends reaches anything but a comparison: answers are read up to 64 KiB
// and never shown. [Source.Configure] and [Source.Statuses] may be called from any goroutine.
package probe
