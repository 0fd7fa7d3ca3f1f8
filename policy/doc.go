// Package policy decides what may be published: which registration, update, answer, transfer or push may
// carry which address for which name. It is pure: a decision depends on the policy, the snapshot and the
// request, and on nothing else.
//
//	policy.yaml -> yamlat nodes -> rules -> index
//	Request -> sets of rules by name, channel, type, source, principal, state, class -> first in all -> Decision
//
// [Parse] reports every problem of a file at once and gives no policy when there is one. A [Policy] never
// changes and may be used by any goroutine. [Policy.Decide] neither locks nor allocates for what servers
// see most.
//
// Each address of a request is decided by the first rule that it meets. A rule that is about the whole
// request (rewrite, forward, quarantine, refuse) decides all of it, the first of them when addresses meet
// several; strip takes single addresses out, and a request of which nothing is left is quarantined: a
// positive reply, and nothing published, because a refusal would fail a cluster's resource. A rule in
// shadow mode is noted and passed over.
//
// Behind the rules of a file stand the built-in ones ([Builtin]) unless the file says otherwise, and last
// one that meets everything, so that every decision has a rule. [Policy.Explain] reads the rules one by
// one and comes to the same decision; tests hold both together on random policies.
//
// IPv4-mapped and NAT64 forms of an address have the class of the address that they carry: see
// [registry.Snapshot.Plain].
package policy
