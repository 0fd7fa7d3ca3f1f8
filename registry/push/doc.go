// Package push carries each change of a role to the targets that have to know of it: secondaries, primaries, WINS
// servers, caches, hooks. It keeps a durable ledger of how far each target is.
//
//	snapshot superseded -> one worker for each target: what differs from the ledger -> Driver.Push: sent, acked
//	    -> Driver.Verify: asked afterwards, until it answers right -> verified -> ledger -> journal
//
// A target is told the latest state, never an older one late: a worker follows the registry by level, and what
// was not carried out when something newer stands is superseded. A failed delivery is tried again, with a wait that
// grows and has jitter, until it is verified or superseded; each target has its own worker, so that one that is
// dead delays nobody.
//
// The ledger is written behind what is done and not before: after a kill the workers compare the registry's state with
// the last word of the ledger and go on from there. To tell a target twice what it knows already does no harm.
//
// What a target is and how it is told is the business of a [Driver]; the packages below this one are the drivers.
// Clients that subscribe by themselves are no targets and have no place in the ledger: package stream serves them.
package push
