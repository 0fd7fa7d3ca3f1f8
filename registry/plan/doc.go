// Package plan prepares a switchover and carries it out: roles that go to other nodes under one change, with their TTLs
// lowered first, the old TTLs waited out, checks before it, proof of every target behind it, and a way back.
//
//	Make: a dry run and the status -> Plan -> file, which people review
//	Apply: nothing has moved? targets and new holders well? -> TTLs lowered, targets have that -> old TTLs waited out
//	    -> still nothing moved? -> one switch that expects what the plan says -> proof of every target -> TTLs raised
//
// The run lives in the process of the operator's command and not in the guard: each of its steps is durable in the guard
// and harmless when it is made twice, and the [Journal] beside the plan says before each which one comes. Whoever goes on
// after a kill looks at the state of the roles first and at the journal second. A run that nobody goes on with leaves
// nothing behind: the lowered TTLs are a lease.
//
// That the state is what the plan was made from is decided twice: here, so that all differences are told at once, and by
// the guard's one writer in the moment of the switch ([registry.SwitchRequest.Expect]).
package plan
