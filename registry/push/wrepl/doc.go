// Package wrepl is the target of changes that a partner of WINS replication is: a push.Driver.
//
//	state of the roles -> records of the WINS database, with a version -> notification: sent
//	    -> the partner has asked for our records up to that version: acked -> it answers a name query right: verified
//
// The records and the notifications are the business of packages netbios/wins and netbios/wrepl; the driver waits for
// them. Only names with IPv4 addresses can be told, as in all of NetBIOS.
package wrepl
