// Package updatesctl is the part of the control API that is about dynamic updates (RFC 2136): the records that
// they have registered in owned zones, what is held of them, and what an operator does to both. registry/control
// knows nothing of it; the handlers are mounted there, and the client is one over the same socket.
//
//	GET  /v1/updates?zone=&name=&source=&fate=   a stream of Held, one JSON object a line
//	POST /v1/updates/forget                      Filter        -> ForgetReply
//	GET  /v1/records?zone=&name=&of=             a stream of Record, one JSON object a line
//	POST /v1/records/remove                      RemoveRequest -> RemoveReply
//
// [Server.Registered] and [Server.HeldOf] are its part of GET /v1/explain.
//
// All of it may be called at any time and from any goroutine. Records are streamed from views of the zones and
// never held in memory.
package updatesctl
