package gsstsig

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"github.com/miekg/dns"
)

const (
	aes256 = etypeID.AES256_CTS_HMAC_SHA1_96
	aes128 = etypeID.AES128_CTS_HMAC_SHA1_96
	sha384 = etypeID.AES256_CTS_HMAC_SHA384_192
	sha128 = etypeID.AES128_CTS_HMAC_SHA256_128
	rc4md5 = etypeID.RC4_HMAC
)

const (
	testRealm = "CORP.EXAMPLE"
	testHost  = "ns1.corp.example"
)

var testClient = netip.MustParseAddr("192.0.2.7")

// realm is a KDC without the network: it makes tickets for the services of a keytab.
type realm struct {
	file   string // a keytab of the services
	keytab *keytab.Keytab
}

// newRealm has keys of every enctype for the services, at version 3.
func newRealm(t testing.TB, services ...string) *realm {
	t.Helper()
	r := &realm{file: filepath.Join(t.TempDir(), "services.keytab"), keytab: keytab.New()}
	for _, s := range services {
		for _, enctype := range enctypes {
			if err := r.keytab.AddEntry(s, testRealm, "secret of "+s, time.Unix(1, 0), 3, enctype); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.write(t)
	return r
}

func (r *realm) write(t testing.TB) {
	t.Helper()
	b, err := r.keytab.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// order says how a ticket is to be; its zero values stand for what is usual.
type order struct {
	client, service, realm, crealm string
	enctype, session               int32
	starts, ends                   time.Duration // from now
	flags                          []int
}

func (o order) withDefaults() order {
	if o.client == "" {
		o.client = "EX1$"
	}
	if o.service == "" {
		o.service = "DNS/" + testHost
	}
	if o.realm == "" {
		o.realm = testRealm
	}
	if o.crealm == "" {
		o.crealm = testRealm
	}
	if o.enctype == 0 {
		o.enctype = aes256
	}
	if o.session == 0 {
		o.session = o.enctype
	}
	if o.ends == 0 {
		o.ends = 10 * time.Hour
	}
	return o
}

// ticket makes a ticket. The library makes none whose session key is of a type of its own, or of 32 octets
// for sha384: such a ticket is made with a key of the same length, and the type is put right in it.
func (r *realm) ticket(t testing.TB, o order) *ticket {
	t.Helper()
	o = o.withDefaults()
	template := int32(aes256)
	if keySize[o.session] == 16 {
		template = aes128
	}
	now := time.Now().UTC().Truncate(time.Second)
	flags := types.NewKrbFlags()
	for _, f := range o.flags {
		types.SetFlag(&flags, f)
	}
	name, _ := types.ParseSPNString(o.client)
	service, _ := types.ParseSPNString(o.service)
	tkt, session, err := messages.NewTicket(name, o.crealm, service, o.realm, flags, r.keytab, template, 3, now.Add(o.starts), now.Add(o.starts), now.Add(o.ends), now.Add(o.ends))
	if err != nil {
		t.Fatal(err)
	}
	oldKey, newKey := r.key(t, service, o.realm, template), r.key(t, service, o.realm, o.enctype)
	text, err := decrypt(tkt.EncPart, oldKey, keyusage.KDC_REP_TICKET)
	if err != nil {
		t.Fatal(err)
	}
	from, to := keyHeader(session.KeyType, keySize[template]), keyHeader(o.session, keySize[template])
	if bytes.Count(text, from) != 1 {
		t.Fatalf("the session key is not to be found in %x", text)
	}
	if tkt.EncPart, err = crypto.GetEncryptedData(bytes.Replace(text, from, to, 1), newKey, keyusage.KDC_REP_TICKET, 3); err != nil {
		t.Fatal(err)
	}
	return &ticket{tkt, types.EncryptionKey{KeyType: o.session, KeyValue: session.KeyValue}, now.Add(o.ends), o.crealm, name}
}

// keyHeader is how an EncryptionKey begins.
func keyHeader(enctype int32, size int) []byte {
	return []byte{0xa0, 3, 2, 1, byte(enctype), 0xa1, byte(size + 2), 4, byte(size)}
}

func (r *realm) key(t testing.TB, name types.PrincipalName, realm string, enctype int32) types.EncryptionKey {
	t.Helper()
	key, _, err := r.keytab.GetEncryptionKey(name, realm, 3, enctype)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// acceptor makes an Acceptor of the realm's keytab.
func (r *realm) acceptor(t testing.TB, c Config) *Acceptor {
	t.Helper()
	c.Keytab = r.file
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// over is an Exchange with an acceptor, by way of octets; results get how queries ended.
func over(t testing.TB, a *Acceptor, from netip.Addr, results *[]Result) Exchange {
	return func(_ context.Context, query *dns.Msg, tsig dns.TsigProvider) (*dns.Msg, error) {
		raw, err := query.Pack()
		if err != nil {
			return nil, err
		}
		received := new(dns.Msg)
		if err := received.Unpack(raw); err != nil {
			return nil, err
		}
		reply, res := a.Answer(received, from, "")
		if results != nil {
			*results = append(*results, res)
		}
		if reply.IsTsig() == nil {
			return reply, nil
		}
		raw, _, err = dns.TsigGenerateWithProvider(reply, a, "", false)
		if err != nil {
			return nil, err
		}
		reply = new(dns.Msg)
		if err := reply.Unpack(raw); err != nil {
			return nil, err
		}
		return reply, dns.TsigVerifyWithProvider(raw, tsig, "", false)
	}
}

// agree has a client with the ticket agree on a key.
func agreeOn(t testing.TB, a *Acceptor, tkt *ticket) *Context {
	t.Helper()
	c, err := new(Initiator).negotiate(t.Context(), over(t, a, testClient, nil), testHost, tkt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signed signs an update, and gives its octets and MAC.
func signed(t testing.TB, c *Context) (raw []byte, mac string) {
	t.Helper()
	m := new(dns.Msg).SetUpdate("corp.example.")
	m.SetTsig(c.KeyName, c.Algorithm, 300, time.Now().Unix())
	raw, mac, err := dns.TsigGenerateWithProvider(m, c, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return raw, mac
}

// verify verifies a message, which stays as it is.
func verify(p dns.TsigProvider, raw []byte, requestMAC string) error {
	return dns.TsigVerifyWithProvider(bytes.Clone(raw), p, requestMAC, false)
}

// replyTo signs a reply.
func replyTo(t testing.TB, a *Acceptor, raw []byte, requestMAC string) []byte {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(raw); err != nil {
		t.Fatal(err)
	}
	ts := m.IsTsig()
	reply := new(dns.Msg).SetReply(m)
	reply.SetTsig(ts.Hdr.Name, ts.Algorithm, 300, time.Now().Unix())
	out, _, err := dns.TsigGenerateWithProvider(reply, a, requestMAC, false)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
