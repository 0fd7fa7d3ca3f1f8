package audit

import (
	"fmt"
	"strings"
)

// Kind is a form in which published records are found.
type Kind uint8

// The kinds. The zero Kind is none: Open tells the kind by itself.
const (
	KindCapture       Kind = iota + 1 // pcap or pcapng, or gzip of these
	KindWinsDat                       // the database of Samba's nmbd as text
	KindNetshDatabase                 // netsh wins server \\S show database servers={...}
	KindNetshDump                     // netsh wins server \\S dump
	KindZone                          // a master file, RFC 1035, Section 5
	KindAXFR                          // a zone transfer, RFC 5936: axfr://server[:port]/zone
	KindDnscmd                        // dnscmd S /zoneprint ZONE, or /enumrecords
	KindDNSCSV                        // Get-DnsServerResourceRecord | Export-Csv
	KindDNSJSON                       // Get-DnsServerResourceRecord | ConvertTo-Json
	KindReg                           // a registry export of a Windows computer, or reg query /s
	KindHosts                         // a hosts file
	KindLMHosts                       // a LMHOSTS file, of Windows or Samba
)

var kindWords = [...]string{"none", "capture", "wins.dat", "netsh-database", "netsh-dump", "zone", "axfr", "dnscmd",
	"dns-csv", "dns-json", "reg", "hosts", "lmhosts"}

// Kinds lists every kind.
var Kinds = []Kind{KindCapture, KindWinsDat, KindNetshDatabase, KindNetshDump, KindZone, KindAXFR, KindDnscmd,
	KindDNSCSV, KindDNSJSON, KindReg, KindHosts, KindLMHosts}

func (k Kind) String() string { return kindWords[k] }

// MarshalText writes the word.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ParseKind reads the word of a kind.
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("kind of source %q is none, known are %s", s, kindList())
}

func kindList() string { return strings.Join(kindWords[1:], ", ") }
