// Package nameward is the CoreDNS plugin. It answers guarded names from the live state of their roles,
// owned zones whole, and hands everything else to the next plugin.
//
//	query -> lower-case name -> one load of the snapshot -> index -> pre-built addresses -> reply
//
// The running world behind it (registry, store, sources, NOTIFY, NetBIOS name service, control API) is a
// [Guard]. It outlives reloads of the Corefile: setup hands it over from the old instance to the new.
//
// The man page is README.md beside this file.
package nameward
