package audit

import (
	"strings"
	"testing"
)

// TestReaders has what the samples have not: one text for each row, and all that comes of it.
func TestReaders(t *testing.T) {
	for _, tt := range []struct {
		test string
		kind Kind
		text string
		want string
		opts Options
	}{
		{"wins.dat: of another version", KindWinsDat, "VERSION 2 0\n\"A#20\" 0 10.9.0.1 64R\n", `
FATAL f:1: the first line is "VERSION 2 0", "VERSION 1 0" would be right: this is no wins.dat, or of an nmbd that is not known`, Options{}},
		{"wins.dat: bad lines beside good", KindWinsDat, `VERSION 1 0
"A#2g" 0 10.9.0.1 64R
"#20" 0 10.9.0.1 64R
"ABCDEFGHIJKLMNOP#20" 0 10.9.0.1 64R
"A#20" never 10.9.0.1 64R
"A#20" 99999999999999999999 10.9.0.1 64R
"A#20" 0 10.9.0 64R
"A#20" 0 10.9.0.01 64R
"A#20" 0 10.9.0.1 644R
"A#20" 0 10.9.0.1 64
"A#20"
A#20 0 10.9.0.1 64R

"A#20" 0 10.9.0.1 64R`, `
problem f:2: the suffix "2g" is not two hexadecimal digits
problem f:3:1: the NetBIOS name is empty, 1 to 15 octets would be right
problem f:4:1: the NetBIOS name "ABCDEFGHIJKLMNOP" has 16 octets, at most 15 would be right
problem f:5: the expiry "never" is not a Unix time of at most 4294967295
problem f:6: the expiry "99999999999999999999" is not a Unix time of at most 4294967295
problem f:7: the address "10.9.0" is not an IPv4 address
problem f:8: the address "10.9.0.01" is not an IPv4 address
problem f:9: the flags "644R" are not one or two hexadecimal digits and a letter, as in 64R
problem f:10: the flags "64" are not one or two hexadecimal digits and a letter, as in 64R
problem f:11: the line is not "NAME#20" EXPIRY ADDRESS... FLAGS: "\"A#20\""
problem f:12: the line is not "NAME#20" EXPIRY ADDRESS... FLAGS: "A#20 0 10.9.0.1 64R"
14: wins A<20> NB [10.9.0.1] static (static)`, Options{}},
		{"wins.dat: with carriage returns", KindWinsDat, "VERSION 1 0\r\n\"A#20\" 0 10.9.0.1 64R\r\n", `
2: wins A<20> NB [10.9.0.1] static (static)`, Options{}},

		{"netsh database: not English", KindNetshDatabase, "***Sie haben Zugriff***\nNAME -T-S- VERSION-ID\nMAIL [20h]-D-A- 1 -U- 10.9.0.1 - 1.1.2026\n", `
FATAL f:3: the heading NAME ... VERSION ... IP ADDRESS ... EXPIRATION DATE is missing: only the English output of netsh wins server show database is understood; run it where Windows displays English`, Options{}},
		{"netsh database: no records", KindNetshDatabase, "\nName -T-S- Version -G- IP Address - Expiration Date\n----\nCommand completed successfully.\n", "", Options{}},
		{"netsh database: long words, owner in its column", KindNetshDatabase, `NAME | TYPE | STATE | VERSION | GROUP | IP ADDRESS | OWNER | EXPIRATION DATE
MAIL [20h] | STATIC | ACTIVE | 1f | UNIQUE | 10.9.0.1 | 192.0.2.5 | Infinite
OLD [20h] | ACTIVE | DYNAMIC | 1f | MULTIHOMED | 10.9.0.2 | 192.0.2.5 | 6/12/2026
remember the milk
NOIP [20h] | DYNAMIC | ACTIVE | 1f | UNIQUE | 10.900.0.2 | 192.0.2.5 |
`, `
2: wins MAIL<20> NB [10.9.0.1] static (owner 192.0.2.5, version 1f, expires Infinite)
problem f:4: the line is neither a record (NAME [20h] ...) nor an address of one: "remember the milk"
3: wins OLD<20> NB [10.9.0.2] (owner 192.0.2.5, version 1f, expires 6/12/2026)
problem f:5: "10.900.0.2" is not an IPv4 address
5: wins NOIP<20> NB [] (owner 192.0.2.5, version 1f)`, Options{}},

		{"netsh dump: bad values", KindNetshDump, `add name Name="A" EndChar=20 RecType=2 IP={10.9.0.1}
add name Name="A" EndChar=20 Group=9 IP={10.9.0.1}
add name Name="A" EndChar=20
add name EndChar=20 IP={10.9.0.1}
add name Name="A EndChar=20 IP={10.9.0.1}
netsh wins server \\wins1 add name Name=A EndChar=1b Scope=x..y IP={10.9.0.1}
netsh wins server \\wins1 add name Name=A EndChar=1b IP={10.9.0.1}
`, `
problem f:1: rectype "2" is not one of the numbers 0 to 1
problem f:2: group "9" is not one of the numbers 0 to 4
problem f:3: the tag IP={ADDRESS,...} is missing or empty
problem f:4: the tag Name is missing
problem f:5: Name: "\"A EndChar=20 IP={10.9.0.1}" is not closed by "
problem f:6: scope "x..y": label "" has 0 octets, want 1 to 63
7: wins A<1b> NB [10.9.0.1] static`, Options{}},

		{"zone: origin from the caller", KindZone, "mail A 10.9.0.1\n@ A 10.9.0.2\n", `
1: transfer mail.corp.example. A [10.9.0.1] zone corp.example.
2: transfer corp.example. A [10.9.0.2] zone corp.example.`, Options{Origin: "Corp.Example"}},
		{"zone: no origin", KindZone, "abs.corp.example. A 10.9.0.1\nmail A 10.9.0.1\nmore A 10.9.0.2\n", `
1: transfer abs.corp.example. A [10.9.0.1]
problem f:2: mail is relative and the zone is not known
FATAL f:2: which zone this is cannot be told: say it with --origin ZONE, or write $ORIGIN`, Options{}},
		{"zone: first record without an owner", KindZone, "$ORIGIN corp.example.\n  A 10.9.0.1\nmail A 10.9.0.2", `
problem f:2: the record has no owner name, and none stands before it
3: transfer mail.corp.example. A [10.9.0.2] zone corp.example.`, Options{}},
		{"zone: owner goes on behind a bad record", KindZone, "$ORIGIN corp.example.\nmail A 10.9.0\n A 10.9.0.2\n", `
problem f:2: this is no record: bad A A: "10.9.0"
3: transfer mail.corp.example. A [10.9.0.2] zone corp.example.`, Options{}},
		{"zone: line of a fault in many lines", KindZone, "$ORIGIN corp.example.\n@ SOA a. b. (\n1 ; serial\n2\nx\n3 4 )\nmail A 10.9.0.2\n", `
problem f:5: this is no record: bad SOA zone parameter: "x"
7: transfer mail.corp.example. A [10.9.0.2] zone corp.example.`, Options{}},
		{"zone: forgotten quotation mark", KindZone, "$ORIGIN corp.example.\nnote TXT \"open\nmail A 10.9.0.2\n", `
problem f:2: a quotation mark is not closed on its line
3: transfer mail.corp.example. A [10.9.0.2] zone corp.example.`, Options{}},
		{"zone: directives", KindZone, "$ORIGIN corp.example.\n$ORIGIN\n$ORIGIN a..b\n$TTL soon\n$INCLUDE x\nmail A 10.9.0.2 ; a comment (\nother CH A 10.9.0.3\n", `
problem f:2: $ORIGIN has no name behind it
problem f:3: $ORIGIN a..b: a domain name with a dot at its end would be right
problem f:4: this is no record: expecting $TTL value, not this...: "soon"
problem f:5: $INCLUDE is not followed: audit that file as a source of its own
6: transfer mail.corp.example. A [10.9.0.2] zone corp.example.`, Options{}},

		{"dnscmd: it failed", KindDnscmd, "Command failed:  ERROR_ACCESS_DENIED     5    0x5\n", `
FATAL f:1: dnscmd failed: Command failed:  ERROR_ACCESS_DENIED     5    0x5`, Options{}},
		{"dnscmd: zone not known", KindDnscmd, "Returned records:\nmail 600 A 10.9.0.1\nmore 600 A 10.9.0.1\n", `
FATAL f:2: the name "mail" is relative and the zone is not known: say it with --origin ZONE`, Options{}},
		{"dnscmd: bad lines", KindDnscmd, "Enumerated zone: corp.example\n 600 A 10.9.0.1\na [Aging:x] 600 A 10.9.0.1\na [Aging:5 600 A 10.9.0.1\na 600\na..b 600 A 10.9.0.1\na 600 AAAA 10.9.0.1\na 600 A 10.9.0.1\n", `
problem f:2: the record has no owner name, and none stands before it
problem f:3: the line is not NAME [Aging:HOURS] TTL TYPE DATA: "a [Aging:x] 600 A 10.9.0.1"
problem f:4: the line is not NAME [Aging:HOURS] TTL TYPE DATA: "a [Aging:5 600 A 10.9.0.1"
problem f:5: the line is not NAME [Aging:HOURS] TTL TYPE DATA: "a 600"
problem f:6: "a..b" is not a domain name
problem f:7: "10.9.0.1" is not an IPv6 address, as an AAAA record has it
8: transfer a.corp.example. A [10.9.0.1] static zone corp.example.`, Options{}},

		{"CSV: semicolons, zone from the name in the directory", KindDNSCSV, "HostName;Type;DistinguishedName;IPAddress\nmail;1;\"DC=mail,DC=corp.example,cn=MicrosoftDNS,DC=x\";10.9.0.1\nmail;99999;;10.9.0.1\n", `
2: transfer mail.corp.example. A [10.9.0.1] static zone corp.example.
problem f:3: the record type "99999" of "mail" is not known`, Options{}},
		{"CSV: no zone", KindDNSCSV, "HostName,RecordType,Data\nmail,A,10.9.0.1\n", `
FATAL f:2: the name "mail" is relative and the zone is not known: say it with --origin ZONE`, Options{}},
		{"CSV: zone from the caller", KindDNSCSV, "HostName\tRecordType\tData\nmail\tA\t10.9.0.1\n\tA\t10.9.0.1\nma\"il\tA\t10.9.0.1\n", `
2: transfer mail.corp.example. A [10.9.0.1] static zone corp.example.
problem f:3: the row has no HostName
FATAL f:4: the file is cut off: a quotation mark of line 4 is not closed`, Options{Origin: "corp.example"}},
		{"CSV: forgotten quotation mark", KindDNSCSV, "HostName,RecordType,Data\nma\"il,A,10.9.0.1\n" + strings.Repeat("a,A,10.9.0.1\n", maxJoined) + "b,A,10.9.0.2\n", `
problem f:2: a quotation mark is not closed: lines 2 to 101 were passed over
102: transfer a.corp.example. A [10.9.0.1] static zone corp.example.
103: transfer b.corp.example. A [10.9.0.2] static zone corp.example.`, Options{Origin: "corp.example"}},
		{"CSV: another table", KindDNSCSV, "Name,Size\nx,1\n", `
FATAL f:1: the heading has no columns HostName and RecordType; export with: ` + exportCommand + ` | Export-Csv -NoTypeInformation corp.csv`, Options{}},
		{"CSV: empty", KindDNSCSV, "", `
FATAL f: the heading is missing, HostName,RecordType,... would be right`, Options{}},

		{"JSON: one object", KindDNSJSON, `{"HostName":"mail","RecordType":"A","Data":"10.9.0.1"}`, `
1: transfer mail.corp.example. A [10.9.0.1] static zone corp.example.`, Options{Origin: "corp.example"}},
		{"JSON: not records", KindDNSJSON, "[1,\n\"x\",\n{}]", `
problem f:1: the element is no record of Get-DnsServerResourceRecord: it is a JSON number, an object would be right
problem f:2: the element is no record of Get-DnsServerResourceRecord: it is a JSON string, an object would be right
problem f:3: the record type "" of "" is not known`, Options{}},
		{"JSON: useless RecordData", KindDNSJSON, `[{"HostName":"mail","RecordType":"A","RecordData":"DnsServerResourceRecordA"}]`, `
FATAL f:1: no column has the records' addresses (RecordData is only "DnsServerResourceRecordA"); export with: ` + exportCommand + ` | Export-Csv -NoTypeInformation corp.csv`, Options{Origin: "corp.example"}},
		{"JSON: more behind the end", KindDNSJSON, "[]\n[]", `
FATAL f:2: something stands behind the end of the JSON`, Options{}},
		{"JSON: broken", KindDNSJSON, "[{\"HostName\":\"ns\",\"RecordType\":\"NS\"},\n{bad}]", `
FATAL f:2: this is no JSON, nothing behind it can be read: invalid character 'b' looking for beginning of object key string`, Options{}},
		{"JSON: empty", KindDNSJSON, " \n", `
FATAL f: the file is empty, the JSON of Get-DnsServerResourceRecord would be right`, Options{}},

		{"reg: no computer name", KindReg, "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces\\{1}]\n\"DhcpIPAddress\"=\"10.9.0.1\"\n", `
FATAL f:4: the computer's name is not in the file: export HKLM\SYSTEM\CurrentControlSet\Control\ComputerName and ...\Services\Tcpip and ...\Services\NetBT into it, or HKLM\SYSTEM as a whole`, Options{}},
		{"reg: the numbered set and octets of version 4", KindReg, `REGEDIT4

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip\Parameters]
"Hostname"="a-very-long-host-name"
[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip\Parameters\Interfaces\{1}]
"IPAddress"=hex(7):31,30,2e,39,2e,30,2e,31,00,00
`, `
6: nbns-broadcast A-VERY-LONG-HOS<00> NB [10.9.0.1] from 10.9.0.1 (interface {1})
6: nbns-broadcast A-VERY-LONG-HOS<20> NB [10.9.0.1] from 10.9.0.1 (interface {1})`, Options{}},
		{"reg: the current set counts, policy turns DNS off", KindReg, `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient]
"RegistrationEnabled"=dword:00000000
[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Tcpip\Parameters]
"Hostname"="old"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters]
"Hostname"="ex1"
"Domain"="corp.example"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\{1}]
"DhcpIPAddress"="10.9.0.1"
"EnableDHCP"=dword:00000001
`, `
11: nbns-broadcast EX1<00> NB [10.9.0.1] from 10.9.0.1 (interface {1})
11: nbns-broadcast EX1<20> NB [10.9.0.1] from 10.9.0.1 (interface {1})`, Options{}},
		{"reg: bad values", KindReg, `Windows Registry Editor Version 5.00

milk
[HKEY_LOCAL_MACHINE\SYSTEM
"Orphan"="x"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters]
"Hostname"="ex1
"Hostname"=dword:zz
"Hostname"=bin:1
"Hostname"=hex(7):3,x
Hostname
"Hostname"="ex1"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\{1}]
"DhcpIPAddress"="10.9.0"
"IPAddress"="10.9.0.1"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces\Tcpip_{1}]
"NetbiosOptions"=dword:00000007
[-HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters]
"Hostname"="gone"
`, `
problem f:3:1: the line is neither a key in brackets nor "NAME"=VALUE: "milk"
problem f:4:1: the key "[HKEY_LOCAL_MACHINE\\SYSTEM" is not closed by a bracket
problem f:7: the text is not closed by a quotation mark
problem f:8: "dword:zz" is not dword: and eight hexadecimal digits
problem f:9: "bin:1" is neither a text nor dword: or hex: with digits
problem f:10: "hex(7):3,x" is not hex: and octets with commas between them
problem f:11:1: the line is neither a key in brackets nor "NAME"=VALUE: "Hostname"
problem f:17: NetbiosOptions is 7, 0, 1 or 2 would be right; it is taken for 0
15: nbns-broadcast EX1<00> NB [10.9.0.1] from 10.9.0.1 (interface {1})
15: nbns-broadcast EX1<20> NB [10.9.0.1] from 10.9.0.1 (interface {1})`, Options{}},
		{"hosts: bad names", KindHosts, "10.9.0.1 a..b good # c\n#10.9.0.1 x\n\n::1 six", `
problem f:1:10: "a..b" is not a host name
1: answer good. A [10.9.0.1] static
4: answer six. AAAA [::1] static`, Options{}},
		{"LMHOSTS: tags and escapes", KindLMHosts, "10.9.0.1 A#PRE #DOM:\n10.9.0.2 \"B\\0zz\"\n10.9.0.3 #PRE\n10.9.0.4 \"ABCDEFGHIJKLMNO\\0x1C\\0x1C\"\n10.9.0.5 C\t#DOM:corp #PRE\n", `
1: answer A<00> NB [10.9.0.1] static
1: answer A<20> NB [10.9.0.1] static
problem f:1:16: #DOM: the NetBIOS name is empty, 1 to 15 octets would be right
problem f:2:10: the escape "\\0zz" is not \0xNN
problem f:3:10: no name stands behind the address
problem f:4:10: the name in quotation marks has 17 octets, at most 16 would be right
5: answer C<00> NB [10.9.0.5] static
5: answer C<20> NB [10.9.0.5] static
5: answer CORP<1c> NB [10.9.0.5] static group`, Options{}},
	} {
		t.Run(tt.test, func(t *testing.T) {
			got := list(read(t, tt.kind, "f", []byte(tt.text), tt.opts))
			wantText(t, strings.TrimSuffix(got, "\n"), strings.TrimPrefix(tt.want, "\n"))
			for _, wide := range []bool{false, true} {
				if asWide := list(read(t, tt.kind, "f", []byte(wideText(tt.text, wide)), tt.opts)); asWide != got {
					t.Errorf("as UTF-16 (big endian %v) it reads\n%s", wide, asWide)
				}
			}
		})
	}
}
