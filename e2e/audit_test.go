//go:build linux

package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// audit runs `nameward audit` in the host, in the world of pair.
func (h *Host) audit(t *testing.T, args ...string) result {
	t.Helper()
	world := h.lab.write("audit.yaml", pair)
	return h.try(t, nil, append([]string{nameward, "audit", "--config", world}, args...)...)
}

// Columns of the CSV of an audit.
const (
	csvID      = 1
	csvName    = 6
	csvAddress = 8
	csvRule    = 11
	csvChannel = 12
)

// found picks the findings about addresses out of what `nameward audit --format csv` printed: channel,
// name and addresses, sorted, each once. Names that nobody should register are another matter: which of
// those Samba has depends on elections.
func found(t *testing.T, text string) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "error,NW40") {
			continue
		}
		cells, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if cells[csvRule] != "builtin-reserved" && cells[csvID] != "NW406" {
			out = append(out, cells[csvChannel]+" "+cells[csvName]+" "+cells[csvAddress])
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}

// audited runs an audit as CSV and compares what it found.
func (h *Host) audited(t *testing.T, what string, code int, want []string, args ...string) string {
	t.Helper()
	r := h.audit(t, append([]string{"--format", "csv"}, args...)...)
	if r.code != code {
		t.Errorf("%s: exit code %d, want %d\n%s", what, r.code, code, r.out)
	}
	same(t, what, found(t, r.out), strings.Join(want, "\n"))
	return r.out
}

// TestAuditNmbd looks through the database of Samba's WINS server for what was registered there.
func TestAuditNmbd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	client := l.host("client", clientAddr)
	wins := startWINS(t, l.host("wins", winsAddr))
	for _, r := range [][2]string{
		{"PRINTER<20>", "192.0.2.77"}, {"LEAK<20>", "10.9.0.77"}, {"MAIL<20>", "10.9.0.11"}, {"MAIL<00>", "192.0.2.11"},
		{"MAIL<03>", "198.51.100.99"}, {"web 1<00>", "10.9.3.3"}, {"WEB2<00>", "192.0.2.80"},
	} {
		client.registers(t, wins, r[0], r[1])
	}
	wins.stop()
	dat := l.path("nmbd-wins", "wins.dat")
	text := client.audited(t, "audit of wins.dat", 1, []string{
		"wins LEAK<20> 10.9.0.77",
		"wins MAIL<03> 198.51.100.99",
		"wins MAIL<20> 10.9.0.11",
		"wins WEB 1<00> 10.9.3.3",
	}, dat)
	holds(t, "audit of wins.dat", text, "stop nmbd, take line ", "expires 20")
	if strings.Contains(text, "NW406") {
		t.Errorf("a line that nmbd wrote is not understood:\n%s", text)
	}
}

// registers registers a name at a WINS server that may still be starting.
func (h *Host) registers(t *testing.T, wins *Process, name, addr string) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for h.register(t, winsAddr, name, addr).Form() != netbios.FormPositiveRegistration {
		if time.Now().After(deadline) {
			t.Fatalf("nmbd does not register %s\n%s", name, wins.output())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

const (
	auditSecret = "c2VjcmV0IG9mIHRoZSBhdWRpdCBpbiBlMmUgdGVzdHM="
	wrongSecret = "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHNhbWUgbGVuZ3Ro"
)

// auditZone has management addresses in several forms beside good ones.
const auditZone = `$TTL 300
@     IN SOA ns h 7 3600 600 86400 300
@     IN NS  ns
ns    IN A   192.0.2.54
good  IN A   192.0.2.80
mixed IN A   192.0.2.81
mixed IN A   10.9.0.81
leak  IN A   10.9.0.12
hint  IN HTTPS 1 . ipv4hint=10.9.0.13
`

const reverseZone = `$TTL 300
@    IN SOA ns.corp.example. h.corp.example. 7 3600 600 86400 300
@    IN NS  ns.corp.example.
11.0 IN PTR mail.corp.example.
12.0 IN PTR leak.corp.example.
`

// auditedNamed starts BIND with zones that only a key may transfer; corp.example may be updated with it, and
// open.example by everybody.
func auditedNamed(t *testing.T, h *Host) *Process {
	t.Helper()
	zones := fmt.Sprintf("key \"audit.\" { algorithm hmac-sha256; secret %q; };\n", auditSecret)
	for name, z := range map[string]struct{ text, update string }{
		"corp.example":      {auditZone, "key audit."},
		"open.example":      {auditZone, "any"},
		"9.10.in-addr.arpa": {reverseZone, "none"},
	} {
		file := h.lab.write("named-"+h.name+"/"+name+".zone", z.text)
		zones += fmt.Sprintf("zone %q { type primary; file %q; allow-transfer { key audit.; }; allow-update { %s; }; };\n", name, file, z.update)
	}
	return h.named(t, bindAddr, zones, "corp.example.")
}

// key writes a file for --tsig-file.
func (l *Lab) key(name, content string) string {
	path := l.write(name, content+"\n")
	if err := os.Chmod(path, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// TestAuditTransfer has BIND hand out its zones to a key.
func TestAuditTransfer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	client := l.host("client", clientAddr)
	auditedNamed(t, l.host("bind", bindAddr))
	key := l.key("audit.key", "audit.:"+auditSecret)
	zone, reverse := "axfr://"+bindAddr+"/corp.example", "axfr://"+bindAddr+":53/9.10.in-addr.arpa"

	text := client.audited(t, "audit of both zones", 1, []string{
		"transfer 11.0.9.10.in-addr.arpa. 10.9.0.11",
		"transfer 12.0.9.10.in-addr.arpa. 10.9.0.12",
		"transfer hint.corp.example. 10.9.0.13",
		"transfer leak.corp.example. 10.9.0.12",
		"transfer mixed.corp.example. 10.9.0.81",
	}, "--tsig-file", key, zone, reverse)
	holds(t, "how to mend it", text, "update delete leak.corp.example. A 10.9.0.12", "update delete 11.0.9.10.in-addr.arpa. PTR")

	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"not signed", []string{zone}, "the server refuses the transfer (REFUSED): allow it there for this address or for a TSIG key, and give the key"},
		{"wrong secret", []string{"--tsig-file", l.key("wrong.key", "audit.:"+wrongSecret), zone}, "the server does not take the TSIG key, or has not the zone corp.example. (NOTAUTH): compare the key's name, algorithm and secret"},
		{"wrong name", []string{"--tsig-file", l.key("name.key", "other.:"+auditSecret), zone}, "the server does not take the TSIG key"},
		{"wrong algorithm", []string{"--tsig-file", l.key("sha1.key", "hmac-sha1:audit.:"+auditSecret), zone}, "the server does not take the TSIG key"},
		{"no zone of the server", []string{"--tsig-file", key, "axfr://" + bindAddr + "/elsewhere.example"}, "the server does not take the TSIG key, or has not the zone elsewhere.example. (NOTAUTH)"},
		{"no secret", []string{"--tsig-file", l.key("empty.key", "audit."), zone}, "want one line, NAME:SECRET or ALGORITHM:NAME:SECRET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			holds(t, "audit", client.audited(t, "findings", 2, nil, test.args...), test.want)
		})
	}
}

// passing is what traffic has that the policy of pair is against.
var passing = []string{
	"answer leak.corp.example. 10.9.0.12",
	"answer mixed.corp.example. 10.9.0.81",
	"update signed.corp.example. 10.9.0.21",
	"update unsigned.open.example. 10.9.0.22",
	"wins LEAK<20> 10.9.0.77",
}

// traffic sends queries over UDP and TCP, updates with and without a key, and registrations.
func traffic(t *testing.T, client *Host, wins *Process) {
	t.Helper()
	client.dig(t, bindAddr, "leak.corp.example", "A", "+notcp")
	client.dig(t, bindAddr, "mixed.corp.example", "A", "+tcp")
	client.dig(t, bindAddr, "good.corp.example", "A")
	client.nsupdate(t, "update add signed.corp.example. 300 A 10.9.0.21", "-y", "hmac-sha256:audit.:"+auditSecret)
	client.nsupdate(t, "update add fine.corp.example. 300 A 192.0.2.83", "-y", "hmac-sha256:audit.:"+auditSecret)
	client.nsupdate(t, "update add unsigned.open.example. 300 A 10.9.0.22")
	client.registers(t, wins, "PRINTER<20>", "192.0.2.77")
	client.registers(t, wins, "LEAK<20>", "10.9.0.77")
}

func (h *Host) nsupdate(t *testing.T, update string, args ...string) {
	t.Helper()
	script := h.lab.write("nsupdate-"+h.name, fmt.Sprintf("server %s\n%s\nsend\n", bindAddr, update))
	h.run(t, append(append([]string{"nsupdate"}, args...), script)...)
}

// TestAuditCapture has tcpdump write down what passes, and audits its file: whole, in gzip and cut off.
func TestAuditCapture(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	client := l.host("client", clientAddr)
	auditedNamed(t, l.host("bind", bindAddr))
	wins := startWINS(t, l.host("wins", winsAddr))
	client.registers(t, wins, "EARLY<20>", "192.0.2.76")

	file := l.path("trace.pcap")
	dump := client.start(t, "tcpdump", "-i", "e0", "-n", "-s", "0", "-U", "-Z", "root", "-w", file)
	soon(t, "tcpdump listens", 10*time.Second, "true", func() string { return fmt.Sprint(strings.Contains(dump.output(), "listening on")) })
	traffic(t, client, wins)
	soon(t, "tcpdump has written the last registration", 10*time.Second, "true", func() string {
		content, _ := os.ReadFile(file)
		return fmt.Sprint(strings.Count(string(content), string(encoded("LEAK<20>"))) >= 2) // request and reply
	})
	dump.stop()

	text := client.audited(t, "audit of the capture", 1, passing, file)
	if strings.Contains(text, "NW406") {
		t.Errorf("a packet is not understood:\n%s", text)
	}
	client.run(t, "gzip", "-k", file)
	same(t, "audit of the capture in gzip", found(t, client.audit(t, "--format", "csv", file+".gz").out), strings.Join(passing, "\n"))

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The end of the last packet is missing, as when the disk was full.
	cut := l.write("cut.pcap", string(whole[:len(whole)-7]))
	text = client.audited(t, "audit of the capture, cut off", 2, passing, cut)
	holds(t, "audit of the capture, cut off", text, "nothing behind it was read", "what stands before it was looked at")
	// Of less, less is found, and it is said all the same.
	cut = l.write("half.pcap", string(whole[:len(whole)/3]))
	r := client.audit(t, "--format", "csv", cut)
	if r.code != 2 || !strings.HasPrefix(found(t, r.out), passing[0]) {
		t.Errorf("audit of a third of the capture: exit code %d, want 2, and %s\n%s", r.code, passing[0], r.out)
	}
}

// encoded is a NetBIOS name as it stands in packets: RFC 1001, Section 14.1.
func encoded(name string) []byte {
	octets := netbios.MustParseName(name).Octets()
	var out []byte
	for _, o := range octets {
		out = append(out, 'A'+o>>4, 'A'+o&15)
	}
	return out
}

// TestAuditFollow looks at an interface while traffic passes.
func TestAuditFollow(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	client := l.host("client", clientAddr)
	auditedNamed(t, l.host("bind", bindAddr))
	wins := startWINS(t, l.host("wins", winsAddr))
	client.registers(t, wins, "EARLY<20>", "192.0.2.76")
	world := l.write("audit.yaml", pair)
	follow := func(args ...string) *Process {
		p := client.start(t, append([]string{nameward, "audit", "--config", world, "--follow", "e0"}, args...)...)
		// A query shows that it looks by now.
		soon(t, "the first finding", 10*time.Second, "true", func() string {
			client.dig(t, bindAddr, "leak.corp.example", "A", "+notcp")
			return fmt.Sprint(strings.Contains(p.output(), "leak.corp.example."))
		})
		return p
	}

	t.Run("interrupted", func(t *testing.T) {
		p := follow("--format", "csv")
		traffic(t, client, wins)
		soon(t, "everything is found while it runs", 10*time.Second, strings.Join(passing, "\n"), func() string { return found(t, p.output()) })
		if !p.running() {
			t.Fatalf("it ended: %s", p.output())
		}
		p.signal(syscall.SIGTERM)
		if !p.wait(5 * time.Second) {
			t.Fatal("it does not end on SIGTERM")
		}
		same(t, "exit code", fmt.Sprint(p.cmd.ProcessState.ExitCode()), "1")
	})
	t.Run("interrupted, with its sums", func(t *testing.T) {
		p := follow()
		p.signal(syscall.SIGINT)
		if !p.wait(5 * time.Second) {
			t.Fatal("it does not end on SIGINT")
		}
		same(t, "exit code", fmt.Sprint(p.cmd.ProcessState.ExitCode()), "1")
		holds(t, "what it wrote", p.output(), "leak.corp.example. has 10.9.0.12 of class management", "\nrecords\n", "\nby class\n", "\nby name\n")
	})
	t.Run("for a while", func(t *testing.T) {
		begin := time.Now()
		p := follow("--for", "4s", "--format", "json")
		traffic(t, client, wins)
		if !p.wait(10 * time.Second) {
			t.Fatal("it does not end by itself")
		}
		if took := time.Since(begin); took < 3900*time.Millisecond {
			t.Errorf("it ended after %s, want 4s", took)
		}
		same(t, "exit code", fmt.Sprint(p.cmd.ProcessState.ExitCode()), "1")
		_, document, _ := strings.Cut(p.output(), "\n") // behind the line for people
		var report struct {
			Findings []struct{ Fields map[string]string }
		}
		if err := json.Unmarshal([]byte(document), &report); err != nil {
			t.Fatalf("%v\n%s", err, p.output())
		}
		var got []string
		for _, f := range report.Findings {
			got = append(got, f.Fields["channel"]+" "+f.Fields["name"]+" "+f.Fields["address"])
		}
		slices.Sort(got)
		same(t, "what was found", strings.Join(slices.Compact(got), "\n"), strings.Join(passing, "\n"))
	})
}
