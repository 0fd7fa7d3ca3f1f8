// Package e2e starts the real binary and real peers (dig, BIND, tcpdump, Samba's nmbd, domain controller,
// tools and torture suites, the KDC of MIT Kerberos, nbtscan, nmap, dnsperf) in network namespaces of its
// own and looks at what they see of each other.
//
// A [Lab] is a switch without an uplink; each [Host] is a namespace with one interface at that switch.
// Tests need root and the peers of peers.txt. What is missing fails the run when CI=true and is a skip
// with its reason elsewhere. NAMEWARD_BIN names a binary to test instead of a fresh build.
//
// Everything that is made here is named nwe2e-PID-..., and what a run that was killed left behind is
// swept up by the next one.
package e2e
