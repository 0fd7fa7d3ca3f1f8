//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
)

const (
	kdcAddr  = "192.0.2.88"
	kdcRealm = "CORP.EXAMPLE"
)

// kdc is a KDC of MIT Kerberos.
type kdc struct {
	t    *testing.T
	host *Host
	env  []string
}

// krb5Conf is for every program that uses MIT Kerberos. RC4 is there to be tested.
const krb5Conf = `[libdefaults]
 default_realm = %[1]s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 allow_weak_crypto = true
 allow_rc4 = true
 permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128 arcfour-hmac
 default_ccache_name = FILE:%[3]s/ccache
[realms]
 %[1]s = {
  kdc = %[2]s:88
 }
[domain_realm]
 corp.example = %[1]s
`

const kdcConf = `[realms]
 CORP.EXAMPLE = {
  database_name = %[1]s/principal
  key_stash_file = %[1]s/stash
  acl_file = %[1]s/acl
  kdc_listen = 192.0.2.88:88
  kdc_tcp_listen = 192.0.2.88:88
 }
`

// kdc starts a KDC on the host.
func (h *Host) kdc(t *testing.T) *kdc {
	t.Helper()
	l := h.lab
	dir := l.path("kdc")
	k := &kdc{t: t, host: h, env: []string{
		"KRB5_CONFIG=" + l.write("kdc/krb5.conf", fmt.Sprintf(krb5Conf, kdcRealm, kdcAddr, dir)),
		"KRB5_KDC_PROFILE=" + l.write("kdc/kdc.conf", fmt.Sprintf(kdcConf, dir)),
	}}
	k.do("kdb5_util", "create", "-s", "-r", kdcRealm, "-P", "master")
	h.start(t, append(append([]string{"env"}, k.env...), "krb5kdc", "-n")...)
	soon(t, "the KDC", 10*time.Second, "listens", func() string {
		conn, err := h.dial("tcp", kdcAddr+":88")
		if err != nil {
			return err.Error()
		}
		conn.Close()
		return "listens"
	})
	return k
}

func (k *kdc) do(args ...string) {
	k.t.Helper()
	if r := k.host.try(k.t, k.env, args...); r.code != 0 {
		k.t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), r.code, r.out)
	}
}

// principal adds a principal with one key, for which session keys are of the same type too, and gives the
// file of a keytab that holds it and what is in it already. Without being told so, the KDC makes session
// keys of AES256 for whomever.
func (k *kdc) principal(name, enctype, keytab string) string {
	k.t.Helper()
	path := k.host.lab.path("kdc", keytab)
	k.do("kadmin.local", "-r", kdcRealm, "-q", fmt.Sprintf("addprinc -randkey -e %s:normal %s", enctype, name))
	k.do("kadmin.local", "-r", kdcRealm, "-q", fmt.Sprintf("setstr %s session_enctypes %s", name, enctype))
	k.do("kadmin.local", "-r", kdcRealm, "-q", fmt.Sprintf("ktadd -norandkey -k %s %s", path, name))
	return path
}

// nsupdate sends an update as the principal that last logged in.
func (k *kdc) nsupdate(t *testing.T, from *Host, script string, flags ...string) result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	writeAtomic(t, path, script)
	return from.try(t, k.env, append(append([]string{"nsupdate"}, flags...), path)...)
}

// signedServer is a name server that takes signed updates of any zone *.example, and forgets them.
type signedServer struct {
	acceptor *gsstsig.Acceptor

	mu      sync.Mutex
	raw     [][]byte // UPDATE messages as they came
	results []string // how TKEY queries and updates ended
}

// signedServer starts one on the host.
func (h *Host) signedServer(t *testing.T, keytab, addr string) *signedServer {
	t.Helper()
	a, err := gsstsig.New(gsstsig.Config{Keytab: keytab})
	if err != nil {
		t.Fatal(err)
	}
	s := &signedServer{acceptor: a}
	var pc net.PacketConn
	if err := h.inside(func() (err error) {
		pc, err = net.ListenPacket("udp4", addr+":53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: pc}, {Listener: h.listen(t, addr+":53")}} {
		server.Handler, server.TsigProvider = s, a
		server.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		server.DecorateReader = func(r dns.Reader) dns.Reader { return recorder{r, s} }
		go func() { _ = server.ActivateAndServe() }()
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return s
}

// recorder keeps updates as they came.
type recorder struct {
	dns.Reader
	s *signedServer
}

func (r recorder) ReadUDP(conn *net.UDPConn, timeout time.Duration) ([]byte, *dns.SessionUDP, error) {
	b, session, err := r.Reader.ReadUDP(conn, timeout)
	r.s.record(b)
	return b, session, err
}

func (r recorder) ReadTCP(conn net.Conn, timeout time.Duration) ([]byte, error) {
	b, err := r.Reader.ReadTCP(conn, timeout)
	r.s.record(b)
	return b, err
}

func (s *signedServer) record(b []byte) {
	if len(b) > 2 && b[2]>>3&0xf == dns.OpcodeUpdate {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.raw = append(s.raw, append([]byte(nil), b...))
	}
}

// lastUpdate is the newest update as it came.
func (s *signedServer) lastUpdate() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw[len(s.raw)-1]
}

func (s *signedServer) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, fmt.Sprintf(format, args...))
}

// told gives what was noted since it was last asked.
func (s *signedServer) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(s.results, "; ")
	s.results = nil
	return text
}

// ServeDNS answers SOA, TKEY and UPDATE. The primary of aes256.example is aes256.corp.example.
func (s *signedServer) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	reply := new(dns.Msg).SetRcode(m, dns.RcodeFormatError)
	if len(m.Question) == 1 {
		switch {
		case m.Question[0].Qtype == dns.TypeTKEY:
			reply = s.tkey(w, m)
		case m.Opcode == dns.OpcodeUpdate:
			reply = s.update(w, m)
		case m.Question[0].Qtype == dns.TypeSOA:
			reply = soaOf(m)
		}
	}
	if reply != nil {
		_ = w.WriteMsg(reply)
	}
}

func (s *signedServer) tkey(w dns.ResponseWriter, m *dns.Msg) *dns.Msg {
	signer := ""
	if t := m.IsTsig(); t != nil && w.TsigStatus() == nil {
		signer = t.Hdr.Name
	}
	from := w.RemoteAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Addr()
	reply, res := s.acceptor.Answer(m, from, signer)
	s.note("%s %s", res.Outcome, strings.TrimSpace(res.Principal+" "+errText(res.Err)))
	return reply
}

func (s *signedServer) update(w dns.ResponseWriter, m *dns.Msg) *dns.Msg {
	t := m.IsTsig()
	if t == nil || w.TsigStatus() != nil {
		s.note("update refused: %s", errText(w.TsigStatus()))
		return new(dns.Msg).SetRcode(m, dns.RcodeRefused)
	}
	who, _ := s.acceptor.Principal(t.Hdr.Name)
	s.note("update by %s", who)
	return new(dns.Msg).SetReply(m).SetTsig(t.Hdr.Name, t.Algorithm, t.Fudge, time.Now().Unix())
}

func soaOf(m *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(m)
	if labels := dns.SplitDomainName(m.Question[0].Name); len(labels) > 1 {
		zone := labels[len(labels)-2:]
		reply.Answer = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: strings.Join(zone, ".") + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  zone[0] + ".corp.example.", Mbox: "hostmaster.corp.example.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60,
		}}
	}
	return reply
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// negotiate agrees on a key from a host. Sockets are made in its namespace.
func (h *Host) negotiate(i *gsstsig.Initiator, server, name string) (c *gsstsig.Context, err error) {
	err = h.inside(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c, err = i.Negotiate(ctx, gsstsig.TCP(server+":53"), name)
		return err
	})
	return c, err
}

// exchange sends a signed message from a host.
func (h *Host) exchange(c *gsstsig.Context, m *dns.Msg, network, server string) (reply *dns.Msg, err error) {
	err = h.inside(func() error {
		client := &dns.Client{Net: network, Timeout: 5 * time.Second, TsigProvider: c}
		reply, _, err = client.Exchange(m, server+":53")
		return err
	})
	return reply, err
}

// verdict says what a signed exchange came to.
func verdict(c *gsstsig.Context, reply *dns.Msg, err error) string {
	if reply == nil {
		return errText(err)
	}
	how := "unsigned"
	switch {
	case err != nil:
		how = err.Error()
	case reply.IsTsig() != nil:
		how = "verified"
	}
	return fmt.Sprintf("%s, %s, negotiation signed %v, legacy %v", dns.RcodeToString[reply.Rcode], how, c.Signed, c.Legacy())
}

// signedUpdate is an update that replaces the addresses of a name.
func signedUpdate(t *testing.T, c *gsstsig.Context, zone, name, addr string) *dns.Msg {
	t.Helper()
	rr, err := dns.NewRR(name + " 30 A " + addr)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg).SetUpdate(zone)
	m.RemoveRRset([]dns.RR{rr})
	m.Insert([]dns.RR{rr})
	return m.SetTsig(c.KeyName, c.Algorithm, 300, time.Now().Unix())
}
