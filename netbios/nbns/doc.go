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
package nbns
