package gsstsig

import "fmt"

// Outcome is how a TKEY query ended: a word for metrics and logs.
type Outcome string

// The outcomes of [Acceptor.Answer].
const (
	Accepted     Outcome = "accepted"      // a key was agreed on
	Deleted      Outcome = "deleted"       // a key was given up by its owner
	Ignored      Outcome = "ignored"       // not a query: there is no reply
	Malformed    Outcome = "malformed"     // not a TKEY query as RFC 2930 has it
	BadMode      Outcome = "bad-mode"      // a mode of TKEY that is not served
	BadAlgorithm Outcome = "bad-algorithm" // not GSS-TSIG
	BadName      Outcome = "bad-name"      // a name that is taken, or the root
	BadToken     Outcome = "bad-token"     // not Kerberos, or what Kerberos does not allow
	BadTicket    Outcome = "bad-ticket"    // a ticket that is not for us
	BadTime      Outcome = "bad-time"      // a ticket or clock that is off
	Replayed     Outcome = "replayed"      // seen before
	Unsigned     Outcome = "unsigned"      // a deletion that its owner did not sign
)

// Outcomes are all of them.
var Outcomes = []Outcome{
	Accepted, Deleted, Ignored, Malformed, BadMode, BadAlgorithm, BadName, BadToken, BadTicket, BadTime, Replayed, Unsigned,
}

// refusal is an error with its outcome.
type refusal struct {
	outcome Outcome
	err     error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(o Outcome, format string, args ...any) error {
	return &refusal{o, fmt.Errorf(format, args...)}
}
