// Package wrepl is WINS replication (MS-WINSRA) on TCP port 42: a codec of its messages, and a [Replicator], which is
// at once the server that partners ask and the client that asks them.
//
//	own change -> Store.Changed -> update notification to each push partner -> it asks for our table and records
//	partner's notification, timer, start -> its table -> who knows most of each owner -> its records -> Store.Apply
//
// The codec ([Parse], [Message.Append]) sees octets only. What it does not know it keeps, so that each message comes
// out as it came in.
//
// Partners are listed by address; everybody else is turned away when he connects, before anything is read. What a
// partner sends is bounded in length, time and number of connections all the same. What becomes of his records is the
// business of the [Store], which has the rules by which one record wins over another, and the policy.
//
// The methods of Replicator may be called from any goroutine.
package wrepl
