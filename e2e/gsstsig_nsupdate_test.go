//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/plugin/gsstsig"
)

// gssEnctypes are all that tickets may be of, by a name that can stand in a zone's.
var gssEnctypes = []struct{ name, enctype string }{
	{"aes256", "aes256-cts-hmac-sha1-96"},
	{"aes128", "aes128-cts-hmac-sha1-96"},
	{"sha384", "aes256-cts-hmac-sha384-192"},
	{"sha256", "aes128-cts-hmac-sha256-128"},
	{"rc4", "arcfour-hmac"},
}

// signedLab is a KDC with a service for every enctype, and a server of ours that has their keys.
type signedLab struct {
	*kdc
	client *Host
	server *signedServer
}

func newSignedLab(t *testing.T) *signedLab {
	t.Helper()
	l := newLab(t)
	center, guard, client := l.host("kdc", kdcAddr), l.host("guard", guardAddr), l.host("client", clientAddr)
	k := center.kdc(t)
	var services string
	for _, e := range gssEnctypes {
		services = k.principal("DNS/"+e.name+".corp.example", e.enctype, "services.keytab")
	}
	k.principal("DNS/other.corp.example", gssEnctypes[0].enctype, "other.keytab")
	k.principal("EX1$", gssEnctypes[0].enctype, "user.keytab")
	s := &signedLab{kdc: k, client: client, server: guard.signedServer(t, services, guardAddr)}
	s.login(t)
	return s
}

// login gets new tickets for EX1$.
func (s *signedLab) login(t *testing.T) {
	t.Helper()
	if r := s.client.try(t, s.env, "kinit", "-kt", s.host.lab.path("kdc", "user.keytab"), "EX1$"); r.code != 0 {
		t.Fatal(r.out)
	}
}

// update has nsupdate change a name in a zone, whose primary is the service of the same name.
func (s *signedLab) update(t *testing.T, zone string, flags ...string) result {
	t.Helper()
	script := fmt.Sprintf("server %s\nzone %[2]s.example\nupdate add a.%[2]s.example 60 A 192.0.2.7\nsend\n", guardAddr, zone)
	return s.nsupdate(t, s.client, script, flags...)
}

// TestGSSNsupdate has nsupdate negotiate with our acceptor, send an update and verify the reply.
func TestGSSNsupdate(t *testing.T) {
	t.Parallel()
	s := newSignedLab(t)
	for _, e := range gssEnctypes {
		for _, flags := range []string{"-g", "-g -v", "-o"} {
			r := s.update(t, e.name, strings.Fields(flags)...)
			same(t, e.name+" "+flags, fmt.Sprintf("%d %s", r.code, s.server.told()), "0 accepted EX1$@CORP.EXAMPLE; update by EX1$@CORP.EXAMPLE")
			same(t, e.name+" "+flags+": what it prints", r.out, "")
		}
	}

	r := s.update(t, "other", "-g")
	holds(t, "a service that is not in the keytab", fmt.Sprint(r.code, " ", s.server.told()), "1 bad-ticket", "the ticket is for DNS/other.corp.example@CORP.EXAMPLE; keytab ")

	services := s.host.lab.path("kdc", "services.keytab")
	s.do("kadmin.local", "-r", kdcRealm, "-q", "cpw -randkey -e aes256-cts-hmac-sha1-96:normal DNS/aes256.corp.example")
	s.login(t)
	r = s.update(t, "aes256", "-g")
	holds(t, "a key that is newer than the keytab", fmt.Sprint(r.code, " ", s.server.told()), "1 bad-ticket", "key version 2, enctype 18; keytab "+services+" has 1/18: export it again")
	s.do("kadmin.local", "-r", kdcRealm, "-q", "ktadd -norandkey -k "+services+" DNS/aes256.corp.example")
	if err := s.server.acceptor.Reload(); err != nil {
		t.Fatal(err)
	}
	r = s.update(t, "aes256", "-g")
	same(t, "after the keytab was read again", fmt.Sprintf("%d %s", r.code, s.server.told()), "0 accepted EX1$@CORP.EXAMPLE; update by EX1$@CORP.EXAMPLE")
}

// TestGSSReplay sends what nsupdate sent once more.
func TestGSSReplay(t *testing.T) {
	t.Parallel()
	s := newSignedLab(t)
	for _, e := range gssEnctypes {
		r := s.update(t, e.name, "-g")
		same(t, e.name, fmt.Sprintf("%d %s", r.code, s.server.told()), "0 accepted EX1$@CORP.EXAMPLE; update by EX1$@CORP.EXAMPLE")
		conn, err := s.client.dial("udp", guardAddr+":53")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(s.server.lastUpdate()); err != nil {
			t.Fatal(err)
		}
		soon(t, e.name+": the same packet again", 5*time.Second, "update refused: the message was received before: dns: bad signature", s.server.told)
	}
}

// TestGSSInitiator has our client and our server agree, with tickets of a real KDC.
func TestGSSInitiator(t *testing.T) {
	t.Parallel()
	s := newSignedLab(t)
	s.do("kadmin.local", "-r", kdcRealm, "-q", "addprinc -pw Gu4rd.Pass guard")
	l := s.host.lab
	login := gsstsig.Login{Principal: "guard@CORP.EXAMPLE", Password: l.secret("password", "Gu4rd.Pass\n"), KDCs: []string{kdcAddr}}
	i, err := gsstsig.NewInitiator(login)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range gssEnctypes {
		c, err := s.client.negotiate(i, guardAddr, e.name+".corp.example.")
		if err != nil {
			t.Fatal(err)
		}
		for _, network := range []string{"udp", "tcp"} {
			reply, err := s.client.exchange(c, signedUpdate(t, c, "a.example.", "vip.a.example.", "192.0.2.9"), network, guardAddr)
			same(t, e.name+" "+network, verdict(c, reply, err), "NOERROR, verified, negotiation signed true, legacy false")
		}
		reply, err := s.client.exchange(c, c.Delete(), "tcp", guardAddr)
		same(t, e.name+": delete", verdict(c, reply, err), "NOERROR, verified, negotiation signed true, legacy false")
		reply, err = s.client.exchange(c, signedUpdate(t, c, "a.example.", "vip.a.example.", "192.0.2.9"), "udp", guardAddr)
		same(t, e.name+": after it", verdict(c, reply, err), "REFUSED, unsigned, negotiation signed true, legacy false")
		same(t, e.name, s.server.told(), "accepted guard@CORP.EXAMPLE; update by guard@CORP.EXAMPLE; update by guard@CORP.EXAMPLE; deleted guard@CORP.EXAMPLE; update refused: dns: no secrets defined")
	}

	_, err = s.client.negotiate(i, guardAddr, "nobody.corp.example")
	holds(t, "a service that the KDC does not know", errText(err), "ticket of guard@CORP.EXAMPLE for DNS/nobody.corp.example", "KDC_ERR_S_PRINCIPAL_UNKNOWN")
	login.Password = l.write("wrong", "wrong\n")
	if err := os.Chmod(login.Password, 0o600); err != nil {
		t.Fatal(err)
	}
	if i, err = gsstsig.NewInitiator(login); err != nil {
		t.Fatal(err)
	}
	_, err = s.client.negotiate(i, guardAddr, "aes256.corp.example")
	holds(t, "a wrong password", errText(err), "login of guard@CORP.EXAMPLE", "password/keytab incorrect")
}
