// Package winsclient tells a WINS server that is not ours where a role's NetBIOS names are, as a client of RFC 1002 over
// UDP port 137, and asks it afterwards.
//
//	query -> release of each address that is there and should not be -> registration of those that should
//	      -> WACK: wait, while others go on -> granted -> query again, where the answer does not settle it
//
// A name is registered as a unique one with one address, or, on request, with several as those of a multihomed node;
// an internet group, <1C>, has a member for each address. A master browser's name, <1D>, is kept by no server and left
// out. What is granted is refreshed by [Driver.Verify], at half of its time at the latest. A name that is no role's any
// more is not refreshed, and ends with its time.
//
// # Who may change what
//
// A server gives a name away when its owner releases it, or does not defend it: it asks each old address, and the
// claimant gets a WACK meanwhile. nameward stands on neither node of a role (a guard of the site), or on one (sidecar),
// and forges nothing: a packet about an address of this host is sent from it, all others from wherever the route
// begins. With that,
//
//	                                    nmbd      Samba AD, Windows
//	the old host is dead                at once   after the challenge: 3 to 6 s
//	it is up, and denies the name       at once   at once
//	nameward answers NetBIOS there      at once   at once: its answer has the new address
//	nameward pushes from there          at once   at once: the release comes from the owner
//	it is up, and says the name is its  at once   never: the server refuses
//	the name is withdrawn               at once   by a nameward on that host; else it ends with its time
//	the entry is static                 never     never
//
// nmbd believes whoever writes the owner's address into a release, and so never comes to its challenge, which takes
// 21 s. What is said of Samba was tried with 4.17; what is said of Windows is from its documents.
//
// A server keeps several addresses of a unique name only if whoever answers at the recorded ones confirms them all:
// where nameward does, or one node that has them all. It refuses them otherwise, or keeps the last.
//
// # Load
//
// A server that writes every change to its disk answers others late while it does. Therefore only so many requests are
// under way as it answers soon, 64 at the most, and what may be written is not sent again early. Owners that are
// challenged do not count: a dead site's names are all waited for at once, 512 of them.
//
// # What it does not do
//
// WINS has no epochs: of two guards that do not share a store and disagree, the last one is believed. The record's real
// fence is its owner: let nameward answer NetBIOS at the nodes, and their own programs not register the role's names.
package winsclient
