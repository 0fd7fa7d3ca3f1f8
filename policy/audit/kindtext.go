package audit

var kindTexts = [...]string{
	KindCapture:       "capture, pcap or pcapng, also in gzip: DNS answers, updates and transfers, NetBIOS registrations",
	KindWinsDat:       "database of Samba's nmbd",
	KindNetshDatabase: "output of: netsh wins server \\\\S show database servers={...}",
	KindNetshDump:     "output of: netsh wins server \\\\S dump",
	KindZone:          "zone file, RFC 1035",
	KindAXFR:          "zone transfer: axfr://server[:port]/zone, see --tsig-file",
	KindDnscmd:        "output of: dnscmd S /zoneprint ZONE",
	KindDNSCSV:        "Get-DnsServerResourceRecord ... | Export-Csv",
	KindDNSJSON:       "Get-DnsServerResourceRecord ... | ConvertTo-Json",
	KindReg:           "registry export of a Windows computer: which network card registers what",
	KindHosts:         "hosts file",
	KindLMHosts:       "LMHOSTS file",
}

// Describe says in a few words what the kind is.
func (k Kind) Describe() string { return kindTexts[k] }
