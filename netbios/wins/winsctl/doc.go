// Package winsctl is the part of the control API that is about the WINS server: its registrations, what
// an operator does to them, and the report on who still uses NetBIOS names. registry/control knows
// nothing of it; the handlers are mounted there, and the client is one over the same socket.
//
//	GET  /v1/wins/registrations?name=&...   a stream of Registration, one JSON object a line
//	POST /v1/wins/registrations/add     AddRequest    -> AddReply
//	POST /v1/wins/registrations/remove  RemoveRequest -> RemoveReply
//	POST /v1/wins/registrations/forget  RemoveRequest -> RemoveReply
//	POST /v1/wins/registrations/import  ImportRequest -> ImportReply
//	GET  /v1/wins/report?name=&client=&since=         -> Report
//	GET  /v1/wins/partners                            -> Partners
//
// [Server.Explain] is its part of GET /v1/explain.
//
// All of it may be called at any time and from any goroutine. A stream is made from one snapshot and is
// never held in memory; it is sorted by name as far as that costs little.
package winsctl
