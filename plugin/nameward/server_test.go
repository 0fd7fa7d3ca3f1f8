package nameward

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/servetest"
)

// certificate makes a certificate for 127.0.0.1 and returns the paths of it and its key.
func certificate(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// running is CoreDNS with the plugin on loopback.
type running struct {
	plain, tls string // addresses
	guard      *Guard
}

func runServer(t testing.TB) running {
	t.Helper()
	cert, key := certificate(t)
	r := running{plain: fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t)), tls: fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))}
	_, plainPort, _ := net.SplitHostPort(r.plain)
	_, tlsPort, _ := net.SplitHostPort(r.tls)
	path := writeConfig(t, "")
	start(t, fmt.Sprintf(`
.:%[1]s {
    bind 127.0.0.1
    transfer {
        to *
    }
    nameward %[3]s
    cache
}
tls://.:%[2]s {
    bind 127.0.0.1
    tls %[4]s %[5]s
    nameward %[3]s
}`, plainPort, tlsPort, path, cert, key))
	r.guard = guards.first()
	var webs []string
	for i := range 60 {
		webs = append(webs, fmt.Sprint("web", i))
	}
	claim(t, r.guard.reg, "www", webs...)
	inStep(t, r.guard)
	return r
}

func (r running) ask(t testing.TB, network string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c, at := dns.Client{Net: network, Timeout: 5 * time.Second, TLSConfig: &tls.Config{InsecureSkipVerify: true}}, r.plain
	if network == "tcp-tls" {
		at = r.tls
	}
	reply, _, err := c.Exchange(m, at)
	if err != nil {
		t.Fatalf("%s over %s: %v", m.Question[0].Name, network, err)
	}
	return reply
}

func TestServerTransports(t *testing.T) {
	r := runServer(t)
	for _, network := range []string{"udp", "tcp", "tcp-tls"} {
		m := r.ask(t, network, question("mAIl.cORp.eXAMPLe.", dns.TypeA))
		if !m.Authoritative || m.Rcode != 0 || text(m.Answer) != "mAIl.cORp.eXAMPLe. 5 A 192.0.2.11" || m.Question[0].Name != "mAIl.cORp.eXAMPLe." {
			t.Errorf("%s: %v", network, m)
		}
		if m := r.ask(t, network, question("x.corp.example.", dns.TypeA)); m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
			t.Errorf("%s: %v", network, m)
		}
	}
	// The next answer after an acknowledged move is the new one, cache or not.
	for _, node := range []string{"ex2", "ex1", "ex2"} {
		claim(t, r.guard.reg, "mailbox", node)
		want := map[string]string{"ex1": "mail.other.example. 5 A 192.0.2.11", "ex2": "mail.other.example. 5 A 198.51.100.12"}[node]
		if m := r.ask(t, "udp", question("mail.other.example.", dns.TypeA)); text(m.Answer) != want {
			t.Errorf("moved to %s: %v", node, m)
		}
	}
}

// TestServerSizes: 60 addresses do not fit everywhere; then TC is set and TCP has all.
func TestServerSizes(t *testing.T) {
	r := runServer(t)
	for _, tt := range []struct {
		network string
		size    uint16 // of the EDNS option, 0 for none
		whole   bool
	}{
		{"udp", 0, false}, {"udp", 512, false}, {"udp", 900, false}, {"udp", 1232, true}, {"udp", 4096, true}, {"tcp", 0, true}, {"tcp", 512, true}, {"tcp-tls", 0, true},
	} {
		q := question("www.corp.example.", dns.TypeA)
		if tt.size > 0 {
			q.SetEdns0(tt.size, false)
		}
		m := r.ask(t, tt.network, q)
		m.Compress = true
		limit := max(int(tt.size), 512)
		switch {
		case m.Truncated == tt.whole || tt.whole != (len(m.Answer) == 60):
			t.Errorf("%s, %d: TC %v, %d records", tt.network, tt.size, m.Truncated, len(m.Answer))
		case tt.network == "udp" && m.Len() > limit:
			t.Errorf("%s, %d: %d octets", tt.network, tt.size, m.Len())
		case (m.IsEdns0() != nil) != (tt.size > 0):
			t.Errorf("%s, %d: OPT %v", tt.network, tt.size, m.IsEdns0())
		}
	}
}

func TestServerEDNS(t *testing.T) {
	r := runServer(t)
	version := question("mail.corp.example.", dns.TypeA)
	version.SetEdns0(1232, false)
	version.IsEdns0().SetVersion(1)
	if m := r.ask(t, "udp", version); m.Rcode != dns.RcodeBadVers || len(m.Answer) > 0 {
		t.Errorf("EDNS version 1: %v", m)
	}
	do := question("mail.corp.example.", dns.TypeA)
	do.SetEdns0(1232, true)
	if m := r.ask(t, "udp", do); m.IsEdns0() == nil || !m.IsEdns0().Do() || len(m.Answer) != 1 {
		t.Errorf("DO: %v", m)
	}
}

func TestServerTransfer(t *testing.T) {
	r := runServer(t)
	envelopes, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr("corp.example."), r.plain)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			got = append(got, rr.String())
		}
	}
	var want []string
	for _, rr := range transferred(t, &Handler{State: r.guard}, "corp.example.", 0) {
		want = append(want, rr.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServerReady(t *testing.T) {
	r := runServer(t)
	h := &Handler{State: r.guard}
	if !h.Ready() {
		t.Error("not ready with all roles known")
	}
	if (&Handler{}).Ready() {
		t.Error("ready before the start")
	}
	if got := r.guard.listen().DNS; !slices.Equal(got, []string{r.plain}) {
		t.Errorf("status shows %v, want %s", got, r.plain)
	}
}

func TestCacheBypass(t *testing.T) {
	want := []string{"corp.example.", "sub.corp.example.", "2.0.192.in-addr.arpa."}
	if got := (&Handler{State: newRegistry(t)}).CacheBypassZones(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// A cache that stands before nameward asks before OnStartup.
	if got := (&Handler{zones: want}).CacheBypassZones(); !slices.Equal(got, want) {
		t.Errorf("before the start: got %v, want %v", got, want)
	}
}

func TestMetadata(t *testing.T) {
	h := &Handler{State: newRegistry(t)}
	for name, want := range map[string]map[string]string{
		"Mail.corp.example.": {"role": "mailbox", "holder": "ex1", "epoch": "1", "state": "fresh"},
		"www.corp.example.":  {"role": "www", "holder": "web1,web2,web3", "epoch": "1", "state": "fresh"},
		"ex1.corp.example.":  {},
		"other.example.":     {},
	} {
		ctx := metadata.ContextWithMetadata(context.Background())
		state := request.Request{W: dnstest.NewRecorder(&test.ResponseWriter{}), Req: question(name, dns.TypeA)}
		h.Metadata(ctx, state)
		got := map[string]string{}
		for _, label := range metadata.Labels(ctx) {
			got[label[len("nameward/"):]] = metadata.ValueFunc(ctx, label)()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestServerNotifies: a secondary is told at the start and of every change, and finds the new serial.
func TestServerNotifies(t *testing.T) {
	f, port := newFake(t), servetest.FreePort(t)
	path := notifying(t, fmt.Sprintf("%q", f.addr))
	start(t, fmt.Sprintf(".:%d {\n bind 127.0.0.1\n transfer {\n to *\n }\n nameward %s\n}\n", port, path))
	r := running{plain: fmt.Sprintf("127.0.0.1:%d", port), guard: guards.first()}
	for _, move := range []string{"", "ex2", "ex1"} {
		if move != "" {
			claim(t, r.guard.reg, "mailbox", move)
		}
		told := f.next(t)
		soa := r.ask(t, "udp", question("corp.example.", dns.TypeSOA)).Answer[0].(*dns.SOA)
		if want := fmt.Sprint("corp.example. ", soa.Serial); told != want {
			t.Errorf("move to %q: told of %s, answered is %s", move, told, want)
		}
	}
}
