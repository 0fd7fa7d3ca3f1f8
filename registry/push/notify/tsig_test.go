package notify

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/yamlat"
	"github.com/nameward/nameward/registry/zone"
)

func mustKey(name, secret string) tsig.Key {
	k, err := tsig.New("", name, secret)
	if err != nil {
		panic(err)
	}
	return k
}

var (
	goodKey   = mustKey("notify.", "YSBzZWNyZXQgb2YgdHdv")
	forgedKey = mustKey("notify.", "bm90IHRoZSBzZWNyZXQh")
	otherKey  = mustKey("other.", "YSBzZWNyZXQgb2YgdHdv")
)

// signing has the responses signed with a key.
func signing(key tsig.Key) func(*fakeSecondary) {
	return func(f *fakeSecondary) {
		f.sign = func(m *dns.Msg, _ []byte, request *dns.TSIG) []byte { return signed(m, key, request.MAC) }
	}
}

func signed(m *dns.Msg, key tsig.Key, requestMAC string) []byte {
	key.Sign(m)
	wire, _, err := dns.TsigGenerateWithProvider(m, key.Provider(), requestMAC, false)
	if err != nil {
		panic(err)
	}
	return wire
}

func needing(key tsig.Key) func(*fakeSecondary) {
	return func(f *fakeSecondary) { f.strict = key }
}

// TestSigned: NOTIFY is signed, and a response counts that is signed for it.
func TestSigned(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*fakeSecondary)
		why  string // "": it is acknowledged
	}{
		{"right", signing(goodKey), ""},
		{"the secret is another", signing(forgedKey), "the signature of the response NOERROR does not prove right"},
		{"the key is another", signing(otherKey), "the signature of the response NOERROR does not prove right"},
		{"no signature", spoiled(func(*dns.Msg) {}), "the response NOERROR is not signed"},
		{"signed for another request", func(f *fakeSecondary) {
			f.sign = func(m *dns.Msg, _ []byte, _ *dns.TSIG) []byte {
				return signed(m, goodKey, hex.EncodeToString([]byte("nothing that was sent is this")))
			}
		}, "the signature of the response NOERROR does not prove right"},
		{"a bit is flipped", func(f *fakeSecondary) {
			f.sign = func(m *dns.Msg, _ []byte, request *dns.TSIG) []byte {
				wire := signed(m, goodKey, request.MAC)
				wire[3] ^= 0x40 // Z, of which nobody takes notice
				return wire
			}
		}, "the signature of the response NOERROR does not prove right"},
		{"an unsigned refusal", spoiled(func(m *dns.Msg) { m.Rcode = dns.RcodeNotAuth }), "the response NOTAUTH is not signed"},
		{"a signed refusal", func(f *fakeSecondary) {
			f.rcode.Store(dns.RcodeRefused)
			signing(goodKey)(f)
		}, "the response REFUSED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(dns.RcodeSuccess, needing(goodKey), tt.with)
				l := start(t, newWorld(list(f)))
				l.dial = network([][]*fakeSecondary{list(f)})
				l.Use(Keys{f.addr: goodKey})
				l.run()
				m := <-f.heard
				if s := m.IsTsig(); s == nil || s.Hdr.Name != goodKey.Name {
					t.Fatalf("it is not signed:\n%v", m)
				}
				synctest.Wait()
				zones, _ := l.board(f.addr).read()
				got := ""
				if p := zones[corp]; p.refusal != nil {
					got = p.refusal.Error()
				}
				if !strings.HasPrefix(got, tt.why) || zones[corp].acked.is != (tt.why == "") || (got == "") != (tt.why == "") {
					t.Errorf("got %q, %+v, want %q", got, zones[corp], tt.why)
				}
			})
		})
	}
}

// TestRepeatedSigned: each packet is signed anew, and a late response to the first one counts.
func TestRepeatedSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess, needing(goodKey), signing(goodKey), delayed(firstWait+firstWait/4))
		l := start(t, newWorld(list(f)))
		l.dial = network([][]*fakeSecondary{list(f)})
		l.Use(Keys{f.addr: goodKey})
		l.run()
		first, second := <-f.heard, <-f.heard
		if first.IsTsig().MAC == second.IsTsig().MAC && first.IsTsig().TimeSigned != second.IsTsig().TimeSigned || first.Id != second.Id {
			t.Errorf("first\n%v\nthen\n%v", first, second)
		}
		f.quiet(t, 2*firstWait)
		l.counted(1, 1)
	})
}

// TestKeyIsReplaced: the next NOTIFY is signed with the new key, also of an old serial.
func TestKeyIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess, needing(goodKey), signing(goodKey))
		l := start(t, newWorld(list(f)))
		l.dial = network([][]*fakeSecondary{list(f)})
		l.Use(Keys{f.addr: forgedKey})
		l.run()
		l.told(f, corp)
		l.counted(0, 1)
		l.Use(Keys{f.addr: goodKey})
		l.told(f, corp)
		l.counted(1, 1)
		l.Use(nil)
		l.claim("mailbox", "ex1")
		if m := <-f.heard; m.IsTsig() != nil {
			t.Errorf("it is signed:\n%v", m)
		}
	})
}

func TestReadKeys(t *testing.T) {
	good, bad := filepath.Join(t.TempDir(), "good.key"), filepath.Join(t.TempDir(), "bad.key")
	if err := errors.Join(os.WriteFile(good, []byte("key \"notify.\" {\n\talgorithm hmac-sha256;\n\tsecret \""+goodKey.Secret+"\";\n};\n"), 0o600),
		os.WriteFile(bad, []byte("key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort("192.0.2.54:53")
	secondary := func(path string, line int32) config.Secondary {
		return config.Secondary{Name: "dr", Addr: addr, Key: path, KeyAt: yamlat.At{Line: line, Col: 7}}
	}
	keys, err := ReadKeys("nameward.yaml", []config.Secondary{{Name: "plain", Addr: netip.MustParseAddrPort("192.0.2.55:53")}, secondary(good, 3)})
	if err != nil || len(keys) != 1 || keys[addr] != goodKey {
		t.Errorf("%v, %v", keys, err)
	}
	keys, err = ReadKeys("nameward.yaml", []config.Secondary{secondary(bad, 3), secondary(good, 4), secondary("/nowhere/x.key", 5)})
	var problems yamlat.Problems
	if keys != nil || !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("%v, %v", keys, err)
	}
	for i, want := range []string{"nameward.yaml:3:7: key of secondary dr: " + bad + ": want one line", "nameward.yaml:5:7: key of secondary dr: open /nowhere/x.key: "} {
		if got := problems[i].String(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q...", got, want)
		}
	}
}

// FuzzResponse feeds a secondary's worker with what anybody may send. Nothing that is not signed acknowledges.
func FuzzResponse(f *testing.F) {
	db := zoneView(f)
	n := newNotice(db, nil)
	if _, err := n.pack(goodKey); err != nil {
		f.Fatal(err)
	}
	reply := new(dns.Msg).SetReply(n.msg)
	plain, err := reply.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(signed(reply.Copy(), forgedKey, n.flights[0].mac))
	f.Add(signed(reply.Copy(), goodKey, ""))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := newSecondary(New(nil, 0, zerolog.Nop()), netip.MustParseAddrPort("192.0.2.54:53"))
		copied := *n
		copied.waiting = true
		s.notices[corp] = &copied
		r := response{msg: new(dns.Msg), wire: wire}
		r.err = r.msg.Unpack(wire)
		s.take(r)
		if copied.acked {
			t.Errorf("acknowledged by %x", wire)
		}
	})
}

func zoneView(f *testing.F) *zone.View {
	f.Helper()
	reg, err := registry.Open(newWorld(), &registry.Memory{}, zerolog.Nop())
	if err != nil {
		f.Fatal(err)
	}
	db, err := zone.Open(&journal.Memory{}, zone.DefaultLimits, reg.Snapshot, zerolog.Nop())
	if err != nil {
		f.Fatal(err)
	}
	return db.View(corp)
}
