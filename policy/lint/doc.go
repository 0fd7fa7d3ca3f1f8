// Package lint finds what is wrong with a policy that can be read, and how two policies differ. What it
// says of decisions is proved.
//
//	policies, world -> space: what the rules can tell apart in each dimension, with a concrete value each
//	space -> walk over all contexts -> which rule decides -> findings, each with a witness
//	witness -> the engine: does it say the same?
//
// The dimensions are name, channel, type, principal, source, holder and address. Values that meet the
// same rules are one: that makes the walk finite and short. For names and principals with wildcards the
// combinations are found by following all patterns at once from octet to octet. Where there are too many,
// as with hundreds of rules for "a*" and hundreds for "*b", the walk stops at a bound and says so (NW116);
// nothing is then claimed to be unreachable or redundant.
//
// The pages of the findings are pages/NWxxx.md. Everything here is a pure function.
package lint
