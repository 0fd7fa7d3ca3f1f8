package audit

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
)

func dnsRecord(owner, zone string, rrtype uint16, addrs ...string) *Record {
	r := &Record{Zone: zone, Place: finding.Place{File: "f", Line: 7}}
	r.setDNS(owner, rrtype)
	for _, addr := range addrs {
		r.add(netip.MustParseAddr(addr))
	}
	return r
}

func winsRecord(name string, static bool) *Record {
	r := &Record{Static: static, Place: finding.Place{File: "wins.dat", Line: 7}}
	r.Channel = policy.WINS
	r.setName(netbios.MustParseName(name))
	r.add(netip.MustParseAddr("10.9.0.11"))
	return r
}

func TestMend(t *testing.T) {
	mail := dnsRecord("mail.corp.example.", "corp.example.", dns.TypeA, "192.0.2.11", "10.9.0.11")
	card := func(r *Record) *Record {
		r.Detail = "interface {11111111-1111-1111-1111-111111111111}"
		return r
	}
	seen := winsRecord("MAIL<20>", false)
	seen.Source = netip.MustParseAddr("192.0.2.9")
	for _, tt := range []struct {
		test string
		r    *Record
		kind Kind
		bad  string
		want string
	}{
		{"WINS, dynamic", winsRecord("MAIL<20>", false), KindNetshDatabase, "", "netsh wins server delete name Name=MAIL EndChar=20 at the server that owns it, and mend the client, or it comes back"},
		{"WINS, static", winsRecord("MAIL<1c>", true), KindNetshDump, "", "netsh wins server delete name Name=MAIL EndChar=1C; with replication partners tombstone it instead, at the server that owns it"},
		{"WINS, hostile", winsRecord("A&CALC<20>", true), KindNetshDump, "", "netsh wins server delete name Name=NAME EndChar=20; with replication partners tombstone it instead, at the server that owns it (the name has characters that a shell may take for its own: NAME stands for it)"},
		{"WINS, an option for a name", winsRecord("-F<20>", true), KindNetshDump, "", "netsh wins server delete name Name=NAME EndChar=20; with replication partners tombstone it instead, at the server that owns it (the name has characters that a shell may take for its own: NAME stands for it)"},
		{"wins.dat", winsRecord("MAIL<20>", true), KindWinsDat, "", "stop nmbd, take line 7 out of wins.dat and start it again; or mend the client that registers the name, or it comes back"},
		{"zone, one of two", mail, KindZone, "10.9.0.11", "nsupdate: update delete mail.corp.example. A 10.9.0.11; send"},
		{"zone, all", mail, KindAXFR, "", "nsupdate: update delete mail.corp.example. A 192.0.2.11; update delete mail.corp.example. A 10.9.0.11; send"},
		{"zone, PTR", dnsRecord("11.0.9.10.in-addr.arpa.", "0.9.10.in-addr.arpa.", dns.TypePTR, "10.9.0.11"), KindZone, "", "nsupdate: update delete 11.0.9.10.in-addr.arpa. PTR; send"},
		{"zone, hostile", dnsRecord("a\\;rm.corp.example.", "corp.example.", dns.TypeA, "10.9.0.11"), KindZone, "", "nsupdate: update delete NAME A 10.9.0.11; send (the name has characters that a shell may take for its own: NAME stands for it)"},
		{"dnscmd", mail, KindDnscmd, "10.9.0.11", "dnscmd . /RecordDelete corp.example mail A 10.9.0.11 /f"},
		{"dnscmd, apex", dnsRecord("corp.example.", "corp.example.", dns.TypeA, "10.9.0.11"), KindDnscmd, "", "dnscmd . /RecordDelete corp.example @ A 10.9.0.11 /f"},
		{"PowerShell", mail, KindDNSCSV, "10.9.0.11", "Remove-DnsServerResourceRecord -ZoneName corp.example -Name mail -RRType A -RecordData 10.9.0.11 -Force"},
		{"PowerShell, zone not known", dnsRecord("mail.corp.example.", "", dns.TypeA, "10.9.0.11"), KindDNSJSON, "", "Remove-DnsServerResourceRecord -ZoneName ZONE -Name mail.corp.example. -RRType A -RecordData 10.9.0.11 -Force"},
		{"card, NetBIOS", card(winsRecord("EX1<20>", false)), KindReg, "", `Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces\Tcpip_{11111111-1111-1111-1111-111111111111}' NetbiosOptions 2, and restart the computer`},
		{"card, DNS", card(dnsRecord("ex1.corp.example.", "", dns.TypeA, "10.9.0.11")), KindReg, "", "Get-NetAdapter | Where-Object InterfaceGuid -eq '{11111111-1111-1111-1111-111111111111}' | Set-DnsClient -RegisterThisConnectionsAddress $false"},
		{"hosts", dnsRecord("mail.", "", dns.TypeA, "10.9.0.11"), KindHosts, "", "take the name out of line 7 of f"},
		{"capture", seen, KindCapture, "", "turn registration off at the client 192.0.2.9: NetbiosOptions 2 or no WINS server for that network card, Set-DnsClient -RegisterThisConnectionsAddress $false, or disable netbios in smb.conf"},
		{"capture, nobody", winsRecord("MAIL<20>", false), KindCapture, "", "find the client that sends it and turn its registration of that address off"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			var bad []netip.Addr
			if tt.bad != "" {
				bad = append(bad, netip.MustParseAddr(tt.bad))
			}
			if got := Mend(tt.r, tt.kind, bad...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
