package audit

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/miekg/dns"
)

// Mend says in one line how a record that must not be published is taken away at its source. Bad are the
// addresses that are wrong; without any, all of them are. Names stand in commands only if they consist
// of letters, digits, '-', '_' and '.': who pastes the line into a shell runs nothing else.
func Mend(r *Record, kind Kind, bad ...netip.Addr) string {
	if len(bad) == 0 {
		bad = r.Addrs
	}
	text, named := mendText(r, kind, bad)
	if named && !isPlain(r.plainName()) {
		text += " (the name has characters that a shell may take for its own: NAME stands for it)"
	}
	return text
}

// mendText also reports whether the name was to be in the text.
func mendText(r *Record, kind Kind, bad []netip.Addr) (text string, named bool) {
	switch kind {
	case KindNetshDatabase, KindNetshDump:
		return mendNetsh(r), true
	case KindWinsDat:
		what := fmt.Sprintf("line %d out", r.Place.Line)
		if len(bad) < len(r.Addrs) { // the others are right
			what = fmt.Sprintf("%s out of line %d", joined(bad), r.Place.Line)
		}
		return fmt.Sprintf("stop nmbd, take %s of %s and start it again; or mend the client that registers the name, or it comes back",
			what, r.Place.File), false
	case KindZone, KindAXFR:
		return "nsupdate: " + eachAddr(r, bad, "update delete %[1]s %[2]s%[3]s", "; ") + "; send", true
	case KindDnscmd:
		return eachAddr(r, bad, "dnscmd . /RecordDelete %[4]s %[5]s %[2]s%[3]s /f", " & "), true
	case KindDNSCSV, KindDNSJSON:
		return eachAddr(r, bad, "Remove-DnsServerResourceRecord -ZoneName %[4]s -Name %[5]s -RRType %[2]s%[6]s -Force", "; "), true
	case KindReg:
		return mendCard(r), false
	case KindHosts, KindLMHosts:
		return fmt.Sprintf("take the name out of line %d of %s", r.Place.Line, r.Place.File), false
	case KindCapture:
		return mendClient(r), false
	}
	return "mend it where it is registered", false
}

// mendNetsh deletes the record; a server that has it from a partner needs a tombstone, which replicates.
func mendNetsh(r *Record) string {
	command := fmt.Sprintf("netsh wins server delete name Name=%s EndChar=%02X", plainOr(r.NetBIOS.Base(), "NAME"), r.NetBIOS.Suffix())
	if scope := r.NetBIOS.Scope(); scope != "" {
		command += " Scope=" + plainOr(scope, "SCOPE")
	}
	if r.Static {
		return command + "; with replication partners tombstone it instead, at the server that owns it"
	}
	return command + " at the server that owns it, and mend the client, or it comes back"
}

// mendCard turns registration off for the card. The GUID comes from a pattern and is safe.
func mendCard(r *Record) string {
	guid := strings.TrimPrefix(r.Detail, "interface ")
	if r.NetBIOS.IsValid() {
		return fmt.Sprintf(`Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces\Tcpip_%s' NetbiosOptions 2, and restart the computer`, guid)
	}
	return fmt.Sprintf("Get-NetAdapter | Where-Object InterfaceGuid -eq '%s' | Set-DnsClient -RegisterThisConnectionsAddress $false", guid)
}

func mendClient(r *Record) string {
	if !r.Source.IsValid() {
		return "find the client that sends it and turn its registration of that address off"
	}
	return fmt.Sprintf("turn registration off at the client %s: NetbiosOptions 2 or no WINS server for that network card, Set-DnsClient -RegisterThisConnectionsAddress $false, or disable netbios in smb.conf", r.Source)
}

// eachAddr writes a command for every bad address. The verbs are the owner, the type, " ADDRESS", the
// zone, the name in the zone and " -RecordData ADDRESS"; what deletes by data cannot do so for PTR,
// HTTPS and SVCB, whose owner names but one thing.
func eachAddr(r *Record, bad []netip.Addr, format, joint string) string {
	if r.Type != dns.TypeA && r.Type != dns.TypeAAAA || len(bad) == 0 {
		bad = []netip.Addr{{}}
	}
	commands := make([]string, len(bad))
	for i, addr := range bad {
		data, parameter := "", ""
		if addr.IsValid() && (r.Type == dns.TypeA || r.Type == dns.TypeAAAA) {
			data, parameter = " "+addr.String(), " -RecordData "+addr.String()
		}
		args := []any{plainOr(r.DNS, "NAME"), r.TypeName(), data, plainOr(strings.TrimSuffix(r.Zone, "."), "ZONE"), r.inZone(), parameter}
		commands[i] = formatSome(format, args)
	}
	return strings.Join(commands, joint)
}

var verb = regexp.MustCompile(`%\[(\d)\]s`)

// formatSome is fmt.Sprintf for formats that leave some of the arguments out.
func formatSome(format string, args []any) string {
	return verb.ReplaceAllStringFunc(format, func(match string) string {
		return fmt.Sprint(args[match[2]-'1'])
	})
}

// inZone is the name as it is written within its zone.
func (r *Record) inZone() string {
	if r.Zone == "" {
		return plainOr(r.DNS, "NAME")
	}
	if r.DNS == r.Zone {
		return "@"
	}
	return plainOr(strings.TrimSuffix(r.DNS, "."+r.Zone), "NAME")
}

func (r *Record) plainName() string {
	if r.NetBIOS.IsValid() {
		return r.NetBIOS.Base()
	}
	return r.DNS
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.-]*$`)

// isPlain reports whether no shell sees more in the text than a word.
func isPlain(s string) bool { return plainWord.MatchString(s) }

func plainOr(s, placeholder string) string {
	if isPlain(s) {
		return s
	}
	return placeholder
}
