// Package notice is what programs and web services are told of a change: one JSON object for all roles that moved.
//
//	{"change": 42, "roles": [{"role": "mailbox", "epoch": 7, "holder": ["ex2"], "served": ["ex2"], "state": "fresh",
//	    "dns": ["mail.corp.example."], "netbios": ["MAIL<20>"], "addresses": ["192.0.2.12"], "ttl": 5, "told": ["192.0.2.11"]}]}
//
// Keys may be added later; those that stand here keep their meaning.
package notice
