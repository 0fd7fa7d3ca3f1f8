// Package nbns speaks the NetBIOS name service of RFC 1001 and RFC 1002 over a net.PacketConn.
//
// A Client asks:
//
//	Query, QueryBroadcast, NodeStatus -> exchange: send, wait, send again -> result or typed error
//
// An answer counts only if transaction id, name and, unless the request was broadcast, the server's
// address and port are right; all else is counted by its fault and ignored, as anybody can send to the
// socket. A WACK stops the resending and sets a new time to wait.
//
// A Client may be used by any number of goroutines. On a connection of the caller's its requests are
// made one after the other; without one each has a socket, and so a random port, of its own.
//
// A Server answers for guarded names from the live state of their roles:
//
//	batch of packets -> one load of the snapshot -> handle each: reply or none, and one Outcome -> batch of replies
//
// Broadcasts are answered on the interfaces that are named, and only for guarded names; a reply comes
// from the address that was asked. On unicast, other names are answered from the WINS database, from other
// WINS servers, or not, without the addresses that must never be published.
//
// A registration, refresh or release goes to the database (package wins), which asks the registration
// policy, and its answer comes when it is on stable storage:
//
//	claim -> wins.Database.Submit ... lateSink.Answer -> batch of replies
//	claim -> front: the server behind -> Submit with its word
//	what the server behind was not told -> ServeOutbox
//
// Without a database whoever registers a guarded name is quietly accepted, so that no cluster resource
// fails, and nothing that he says is published; other registrations are not served.
//
// Nobody is answered who sends a response, and a stranger's request is never worth forging: he gets the
// node status of the own name alone, or none. The largest answer to anybody is a list of 25 addresses,
// of a role in mode all or an internet group.
//
// Serve runs once for each [Socket], several at the same time if need be; they share settings, counters
// and limits. Configure may be called at any time. Memory is allocated neither for a name's answer nor
// for a refusal, but for the sender's address in the receive path.
package nbns
