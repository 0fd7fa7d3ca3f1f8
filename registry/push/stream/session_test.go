package stream

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push/dso"
)

func TestSubscribeAndFollow(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(1, "Mail.Corp.example.", dns.TypeANY)
		c.pushes("mail.corp.example. 5 A 192.0.2.11", "mail.corp.example. 5 AAAA 2001:db8::11")
		l.switchTo("ex2")
		c.pushes("-mail.corp.example. A 192.0.2.11", "-mail.corp.example. AAAA 2001:db8::11", "mail.corp.example. 5 A 198.51.100.12")
		l.update(`mail.corp.example. 60 TXT "a"`, `mail.corp.example. 60 TXT "b"`)
		c.pushes(`mail.corp.example. 60 TXT "a"`, `mail.corp.example. 60 TXT "b"`)
		l.update(`mail.corp.example. 90 TXT "b"`)
		c.pushes(`mail.corp.example. 90 TXT "a"`, `mail.corp.example. 90 TXT "b"`)
		l.update("-mail.corp.example. TXT")
		c.pushes("-mail.corp.example. all TXT")
		l.switchTo("ex1")
		c.pushes("-mail.corp.example. A 198.51.100.12", "mail.corp.example. 5 A 192.0.2.11", "mail.corp.example. 5 AAAA 2001:db8::11")
	})
}

func TestTypesAreToldApart(t *testing.T) {
	bubble(t, func(l *lab) {
		a, aaaa, both := l.dial(), l.dial(), l.dial()
		a.subscribe(1, "mail.corp.example.", dns.TypeA)
		a.pushes("mail.corp.example. 5 A 192.0.2.11")
		aaaa.subscribe(1, "mail.corp.example.", dns.TypeAAAA)
		aaaa.pushes("mail.corp.example. 5 AAAA 2001:db8::11")
		both.subscribe(1, "mail.corp.example.", dns.TypeA)
		both.pushes("mail.corp.example. 5 A 192.0.2.11")
		both.subscribe(2, "mail.corp.example.", dns.TypeANY)
		both.pushes("mail.corp.example. 5 A 192.0.2.11", "mail.corp.example. 5 AAAA 2001:db8::11")
		l.switchTo("ex2")
		a.pushes("-mail.corp.example. A 192.0.2.11", "mail.corp.example. 5 A 198.51.100.12")
		aaaa.pushes("-mail.corp.example. AAAA 2001:db8::11")
		both.pushes("-mail.corp.example. A 192.0.2.11", "mail.corp.example. 5 A 198.51.100.12", "-mail.corp.example. AAAA 2001:db8::11")
	})
}

func TestNamesThatAreNotThereYet(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(1, "new.corp.example.", dns.TypeANY)
		c.goesOn()
		l.update("new.corp.example. 60 A 192.0.2.77", "new.corp.example. 60 TXT x")
		c.pushes("new.corp.example. 60 A 192.0.2.77", `new.corp.example. 60 TXT "x"`)
		l.update("-new.corp.example. ANY")
		c.pushes("-new.corp.example. all ANY")
		l.update("*.corp.example. 60 A 192.0.2.78")
		c.goesOn() // RFC 8765, Section 6.2.1
		c.subscribe(2, "*.corp.example.", dns.TypeA)
		c.pushes("*.corp.example. 60 A 192.0.2.78")
	})
}

func TestTheApex(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(1, corp, dns.TypeNS)
		c.pushes("corp.example. 3600 NS ns1.corp.example.")
		c.subscribe(2, corp, dns.TypeSOA)
		if got := c.collect(); len(got) != 1 || !strings.HasPrefix(got[0], "corp.example. 3600 SOA ns1.corp.example.") {
			t.Fatalf("pushed: %q", got)
		}
		l.update("other.corp.example. 60 A 192.0.2.77")
		if got := c.collect(); len(got) != 2 || !strings.HasPrefix(got[0], "-corp.example. SOA") || !strings.HasPrefix(got[1], "corp.example. 3600 SOA") {
			t.Fatalf("pushed: %q", got)
		}
	})
}

func TestPointersFollowTheRole(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(1, "12.100.51.198.in-addr.arpa.", dns.TypePTR) // of no zone of ours
		c.goesOn()
		c.subscribe(2, "11.2.0.192.in-addr.arpa.", dns.TypeANY)
		first := c.collect()
		if len(first) != 1 || !strings.Contains(first[0], "PTR") {
			t.Fatalf("pushed: %q", first)
		}
		l.switchTo("ex2")
		l.switchTo("ex2", "web")
		got := c.collect()
		if !strings.Contains(strings.Join(got, "\n"), "12.100.51.198.in-addr.arpa. 5 PTR mail.corp.example.") {
			t.Errorf("pushed: %q", got)
		}
	})
}

func TestWhatIsNotOurs(t *testing.T) {
	bubble(t, func(l *lab) {
		l.update("below.corp.example. 60 NS ns.below.corp.example.", "ns.below.corp.example. 60 A 192.0.2.99")
		c := l.dial()
		for i, row := range []struct {
			name   string
			rrtype uint16
			rcode  int
		}{
			{"mail.other.example.", dns.TypeA, dns.RcodeNotAuth},
			{".", dns.TypeANY, dns.RcodeNotAuth},
			{"www.other.example.", dns.TypeA, dns.RcodeSuccess},
			{"www.other.example.", dns.TypeAAAA, dns.RcodeSuccess},
			{"www.other.example.", dns.TypeMX, dns.RcodeNotAuth},
			{"www.other.example.", dns.TypeANY, dns.RcodeNotAuth},
			{"x.below.corp.example.", dns.TypeA, dns.RcodeNotAuth},
			{"mail.corp.example.", dns.TypeAXFR, dns.RcodeRefused},
			{"mail.corp.example.", dns.TypeOPT, dns.RcodeRefused},
			{"mail.corp.example.", 0, dns.RcodeRefused},
		} {
			c.sendDSO(uint16(i+1), subscribeTLV(t, row.name, row.rrtype))
			m := c.answers(uint16(i+1), row.rcode)
			_, isDelayed := retryDelay(t, m)
			if len(m.TLVs) > 0 && m.Primary() == dso.TypeSubscribe || isDelayed != (row.rcode != 0) {
				t.Errorf("%s %s: %+v", row.name, dns.TypeToString[row.rrtype], m)
			}
			c.collect()
		}
		tlv, _ := dso.Subscribe(dso.Question{Name: "mail.corp.example.", Type: dns.TypeA, Class: dns.ClassCHAOS})
		c.sendDSO(100, tlv)
		c.answers(100, dns.RcodeNotAuth)
	})
}

// Roles' names in zones of others follow the role alone.
func TestOverlaidNames(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(1, "www.other.example.", dns.TypeA)
		c.pushes("www.other.example. 5 A 192.0.2.11")
		l.switchTo("ex2", "web")
		c.pushes("-www.other.example. A 192.0.2.11", "www.other.example. 5 A 198.51.100.12")
	})
}

// retryDelay finds the delay of a response, in which it is the only TLV.
func retryDelay(t *testing.T, m dso.Message) (time.Duration, bool) {
	t.Helper()
	if m.Primary() != dso.TypeRetryDelay {
		return 0, false
	}
	d, err := dso.ParseRetryDelay(m.TLVs[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	return d, true
}

// A name that is delegated later is not answered for any more.
func TestDelegationsHideNames(t *testing.T) {
	bubble(t, func(l *lab) {
		l.update("x.below.corp.example. 60 A 192.0.2.99")
		c := l.dial()
		c.subscribe(1, "x.below.corp.example.", dns.TypeA)
		c.pushes("x.below.corp.example. 60 A 192.0.2.99")
		c.subscribe(2, "below.corp.example.", dns.TypeANY)
		l.update("below.corp.example. 60 NS ns.other.example.") // which is not our word at that name
		c.pushes("-x.below.corp.example. A 192.0.2.99")
		l.update("-below.corp.example. NS")
		c.pushes("x.below.corp.example. 60 A 192.0.2.99")
	})
}

func TestUnsubscribe(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(7, "mail.corp.example.", dns.TypeA)
		c.pushes("mail.corp.example. 5 A 192.0.2.11")
		c.sendDSO(0, dso.Unsubscribe(9)) // of nothing
		c.sendDSO(0, dso.Unsubscribe(7))
		l.switchTo("ex2")
		c.goesOn()
		if st := l.srv.Stats(); st.Subscriptions != 0 || st.Names != 0 {
			t.Errorf("left behind: %+v", st)
		}
		c.subscribe(7, "mail.corp.example.", dns.TypeA) // the ID is free again
		c.pushes("mail.corp.example. 5 A 198.51.100.12")
	})
}

// A reload may take the zone away, or bring another world.
func TestAnotherWorld(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.subscribe(1, "mail.corp.example.", dns.TypeA)
		c.pushes("mail.corp.example. 5 A 192.0.2.11")
		c.subscribe(2, "ex1.corp.example.", dns.TypeA)
		c.pushes("ex1.corp.example. 60 A 192.0.2.11")
		w := testWorld()
		w.Nodes[0].Public[0] = netip.MustParseAddr("192.0.2.31")
		w.Nodes[0].Host = ""
		if err := l.reg.Configure(l.t.Context(), w); err != nil {
			t.Fatal(err)
		}
		c.pushes("-mail.corp.example. A 192.0.2.11", "mail.corp.example. 5 A 192.0.2.31", "-ex1.corp.example. A 192.0.2.11")
		l.switchTo("ex2")
		c.pushes("-mail.corp.example. A 192.0.2.31", "mail.corp.example. 5 A 198.51.100.12")
		l.update("ex1.corp.example. 60 A 192.0.2.32")
		c.pushes("ex1.corp.example. 60 A 192.0.2.32")
	})
}

// A client that reads late gets the latest state and nothing of what was between.
func TestSlowClientGetsTheLatest(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dialSlow()
		c.sendDSO(1, subscribeTLV(t, "mail.corp.example.", dns.TypeANY))
		if msg, err := dso.ReadFrame(c.conn, nil, dns.MaxMsgSize); err != nil || msg[3] != 0 {
			t.Fatal(msg, err)
		}
		synctest.Wait() // the first PUSH is on its way, and stays there
		for range 50 {
			l.switchTo("ex2")
			l.switchTo("ex1")
		}
		l.update("mail.corp.example. 60 TXT x")
		synctest.Wait() // a step of its own
		l.switchTo("ex2")
		synctest.Wait()
		var got []string
		for range 2 {
			msg, err := dso.ReadFrame(c.conn, nil, dns.MaxMsgSize)
			if err != nil {
				t.Fatal(err)
			}
			m, err := dso.Parse(msg)
			if err != nil {
				t.Fatal(err)
			}
			rrs, err := dso.ParsePush(msg, m.TLVs[0])
			if err != nil {
				t.Fatal(err)
			}
			for _, rr := range rrs {
				got = append(got, textOf(rr))
			}
		}
		want := "mail.corp.example. 5 A 192.0.2.11, mail.corp.example. 5 AAAA 2001:db8::11, -mail.corp.example. A 192.0.2.11, " +
			"-mail.corp.example. AAAA 2001:db8::11, mail.corp.example. 5 A 198.51.100.12, mail.corp.example. 60 TXT \"x\""
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("pushed: %s; want %s", text, want)
		}
	})
}

func TestClientThatTakesNothingIsDropped(t *testing.T) {
	bubble(t, func(l *lab) {
		c, other := l.dialSlow(), l.dial()
		c.sendDSO(1, subscribeTLV(t, "mail.corp.example.", dns.TypeA))
		other.subscribe(1, "mail.corp.example.", dns.TypeA)
		other.pushes("mail.corp.example. 5 A 192.0.2.11")
		time.Sleep(writeTimeout / 2)
		l.switchTo("ex2")
		other.pushes("-mail.corp.example. A 192.0.2.11", "mail.corp.example. 5 A 198.51.100.12")
		time.Sleep(writeTimeout)
		synctest.Wait()
		if st := l.srv.Stats(); st.Ended[Slow] != 1 || st.Subscriptions != 1 {
			t.Errorf("%+v", st)
		}
		other.goesOn()
	})
}

func TestKeepalive(t *testing.T) {
	for _, row := range []struct{ asks, gets time.Duration }{
		{time.Hour, 15 * time.Second}, {12 * time.Second, 12 * time.Second}, {time.Second, 10 * time.Second}, {dso.Forever, 15 * time.Second},
	} {
		bubble(t, func(l *lab) {
			c := l.dial()
			c.sendDSO(5, dso.Keepalive(time.Hour, row.asks))
			m := c.answers(5, dns.RcodeSuccess)
			inactivity, interval, err := dso.ParseKeepalive(m.TLVs[0].Data)
			if err != nil || m.Primary() != dso.TypeKeepalive || interval != row.gets || inactivity != 15*time.Second {
				t.Errorf("asks for %s, gets %s and %s, %v", row.asks, interval, inactivity, err)
			}
			c.subscribe(6, "mail.corp.example.", dns.TypeA)
			c.pushes("mail.corp.example. 5 A 192.0.2.11")
			for i := range 5 {
				time.Sleep(row.gets)
				c.sendDSO(uint16(10+i), dso.Keepalive(time.Hour, row.asks))
				c.answers(uint16(10+i), dns.RcodeSuccess)
			}
			time.Sleep(2*row.gets - time.Millisecond)
			c.goesOn()
			time.Sleep(2 * time.Millisecond)
			c.ends()
			if st := l.srv.Stats(); st.Ended[Silent] != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// The server tells its timers to a client that did not ask, if they are not those that it assumes.
func TestTimersAreTold(t *testing.T) {
	bubble(t, func(l *lab) {
		l.srv.limits.Store(&settings{time.Minute, config.StreamLimits{Sessions: 9, PerSource: 9, PerSession: 8, Subscriptions: 9}})
		c := l.dial()
		c.subscribe(1, "mail.corp.example.", dns.TypeA)
		m, _ := c.next()
		if _, interval, err := dso.ParseKeepalive(m.TLVs[0].Data); err != nil || !m.IsUnidirectional() || interval != time.Minute {
			t.Errorf("%+v, %s, %v", m, interval, err)
		}
		c.pushes("mail.corp.example. 5 A 192.0.2.11")
	})
}

func TestUnusedSessionsEnd(t *testing.T) {
	bubble(t, func(l *lab) {
		mute, used := l.dial(), l.dial()
		used.sendDSO(1, dso.Keepalive(0, 15*time.Second))
		used.answers(1, dns.RcodeSuccess)
		time.Sleep(15 * time.Second)
		mute.ends()
		for i := range 2 {
			used.sendDSO(uint16(2+i), dso.Keepalive(0, 15*time.Second)) // keepalives are no use of it
			used.answers(uint16(2+i), dns.RcodeSuccess)
			time.Sleep(10 * time.Second)
		}
		used.ends()
		if st := l.srv.Stats(); st.Ended[Inactive] != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWhatEndsASession(t *testing.T) {
	subscribed := func(c *client) {
		c.subscribe(1, "mail.corp.example.", dns.TypeA)
		c.pushes("mail.corp.example. 5 A 192.0.2.11")
	}
	uni := func(tlvs ...dso.TLV) func(*client) { return func(c *client) { c.sendDSO(0, tlvs...) } }
	request := func(tlv dso.TLV) func(*client) { return func(c *client) { c.sendDSO(3, tlv) } }
	response := func(id uint16) func(*client) {
		return func(c *client) { c.send((&dso.Message{ID: id, Response: true}).Append(nil)) }
	}
	raw := func(octets string) func(*client) { return func(c *client) { _, _ = c.conn.Write([]byte(octets)) } }
	for _, row := range []struct {
		name   string
		before func(*client)
		does   func(*client)
	}{
		{"UNSUBSCRIBE before there is a session", nil, uni(dso.Unsubscribe(1))},
		{"the same subscription again", subscribed, request(subscribeTLV(t, "MAIL.corp.example.", dns.TypeA))},
		{"the ID of a subscription", subscribed, func(c *client) { c.sendDSO(1, dso.Keepalive(0, time.Minute)) }},
		{"a response", subscribed, response(3)},
		{"a response with ID 0", subscribed, response(0)},
		{"an ordinary response", subscribed, func(c *client) { c.send([]byte{0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}) }},
		{"PUSH", subscribed, uni(dso.TLV{Type: dso.TypePush, Data: []byte("x")})},
		{"PUSH as a request", subscribed, request(dso.TLV{Type: dso.TypePush})},
		{"SUBSCRIBE that wants no response", subscribed, uni(subscribeTLV(t, "x.corp.example.", dns.TypeA))},
		{"UNSUBSCRIBE as a request", subscribed, request(dso.Unsubscribe(1))},
		{"UNSUBSCRIBE of one octet", subscribed, uni(dso.TLV{Type: dso.TypeUnsubscribe, Data: []byte{1}})},
		{"RECONFIRM as a request", subscribed, request(dso.TLV{Type: dso.TypeReconfirm})},
		{"RECONFIRM of garbage", subscribed, uni(dso.TLV{Type: dso.TypeReconfirm, Data: []byte{200}})},
		{"Keepalive that wants no response", subscribed, uni(dso.Keepalive(0, time.Minute))},
		{"Retry Delay", subscribed, uni(dso.RetryDelay(time.Minute))},
		{"Retry Delay as a request", subscribed, request(dso.RetryDelay(time.Minute))},
		{"a notice of a type that nobody knows", subscribed, uni(dso.TLV{Type: 0xf000})},
		{"a notice of nothing", subscribed, uni()},
		{"a message that is too short", subscribed, raw("\x00\x05hello")},
		{"a message that is too long", subscribed, raw("\xff\xff")},
		{"HTTP", nil, raw("GET / HTTP/1.1\r\n\r\n")},
		{"TCP keepalive", subscribed, func(c *client) {
			m := new(dns.Msg).SetQuestion("mail.corp.example.", dns.TypeA)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}}
			wire, err := m.Pack()
			if err != nil {
				c.t.Fatal(err)
			}
			c.send(wire)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				c, other := l.dial(), l.dial()
				other.subscribe(1, "mail.corp.example.", dns.TypeA)
				other.pushes("mail.corp.example. 5 A 192.0.2.11")
				if row.before != nil {
					row.before(c)
				}
				row.does(c)
				c.ends()
				st := l.srv.Stats()
				if st.Ended[Broken] != 1 || st.Subscriptions != 1 {
					t.Errorf("%+v", st)
				}
				other.goesOn()
			})
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, row := range []struct {
		name  string
		tlvs  []dso.TLV
		rcode int
	}{
		{"no TLV", nil, dns.RcodeFormatError},
		{"a type that nobody knows", []dso.TLV{{Type: 0xf000, Data: []byte("x")}}, dns.RcodeStatefulTypeNotImplemented},
		{"type 0", []dso.TLV{{}}, dns.RcodeStatefulTypeNotImplemented},
		{"padding alone", []dso.TLV{dso.Padding(9)}, dns.RcodeFormatError},
		{"Keepalive of 3 octets", []dso.TLV{{Type: dso.TypeKeepalive, Data: []byte("abc")}}, dns.RcodeFormatError},
		{"SUBSCRIBE of a pointer", []dso.TLV{{Type: dso.TypeSubscribe, Data: []byte{0xc0, 0x0c, 0, 1, 0, 1}}}, dns.RcodeFormatError},
		{"an additional TLV that nobody knows", []dso.TLV{subscribeTLV(t, "x.corp.example.", dns.TypeA), {Type: 0xf000}}, dns.RcodeSuccess},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				c := l.dial()
				c.sendDSO(1, row.tlvs...)
				c.answers(1, row.rcode)
				c.subscribe(2, "mail.corp.example.", dns.TypeA)
				c.pushes("mail.corp.example. 5 A 192.0.2.11")
			})
		})
	}
}

// A count that is not zero is a mistake of the request, not of the session.
func TestCountsAreZero(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		wire := (&dso.Message{ID: 1, TLVs: []dso.TLV{dso.Keepalive(0, time.Minute)}}).Append(nil)
		wire[5] = 1
		c.send(wire)
		c.answers(1, dns.RcodeFormatError)
	})
}

func TestLimits(t *testing.T) {
	bubble(t, func(l *lab) {
		l.srv.limits.Store(&settings{15 * time.Second, config.StreamLimits{Sessions: 9, PerSource: 9, PerSession: 3, Subscriptions: 5}})
		a, b := l.dial(), l.dial()
		for _, c := range []*client{a, b} {
			for i := range uint16(4) {
				want := dns.RcodeSuccess
				if i == 3 || c == b && i == 2 { // one has three, both have five
					want = dns.RcodeRefused
				}
				c.sendDSO(1+i, subscribeTLV(t, fmt.Sprintf("x%d.corp.example.", i), dns.TypeA))
				c.answers(1+i, want)
			}
		}
		_ = a.conn.Close()
		synctest.Wait()
		b.subscribe(9, "x9.corp.example.", dns.TypeA)
		if st := l.srv.Stats(); st.Subscriptions != 3 || st.Names != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestPadding(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		c.sendDSO(1, subscribeTLV(t, "mail.corp.example.", dns.TypeA), dso.Padding(20))
		for range 2 { // the response and the PUSH
			if _, msg := c.next(); len(msg) != padBlock {
				t.Errorf("%d octets: %x", len(msg), msg)
			}
		}
	})
}

func TestOrdinaryQuestions(t *testing.T) {
	bubble(t, func(l *lab) {
		c := l.dial()
		ask := func(change func(*dns.Msg)) *dns.Msg {
			t.Helper()
			q := new(dns.Msg).SetQuestion("mail.corp.example.", dns.TypeA)
			change(q)
			wire, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			c.send(wire)
			synctest.Wait()
			m := new(dns.Msg)
			if err := m.Unpack(<-c.in); err != nil || m.Id != q.Id || !m.Response {
				t.Fatalf("%v, %v", m, err)
			}
			return m
		}
		if m := ask(func(*dns.Msg) {}); m.Rcode != 0 || !m.Authoritative || m.IsEdns0() != nil {
			t.Errorf("%v", m)
		}
		if m := ask(func(q *dns.Msg) { q.Question[0].Name = "elsewhere.example." }); m.Rcode != dns.RcodeRefused {
			t.Errorf("%v", m)
		}
		if m := ask(func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }); m.Rcode != dns.RcodeNotImplemented {
			t.Errorf("%v", m)
		}
		if m := ask(func(q *dns.Msg) { q.Question = nil }); m.Rcode != dns.RcodeFormatError {
			t.Errorf("%v", m)
		}
		m := ask(func(q *dns.Msg) {
			q.SetEdns0(1232, false)
			q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{}}
		})
		if wire, err := m.Pack(); err != nil || len(wire)%padBlock != 0 {
			t.Errorf("%d octets, %v", len(wire), err)
		}
		c.send([]byte("\x01\x02\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05mail")) // the question is cut off
		synctest.Wait()
		if err := m.Unpack(<-c.in); err != nil || m.Id != 0x0102 || m.Rcode != dns.RcodeFormatError {
			t.Errorf("%v, %v", m, err)
		}
	})
}

// When the server ends, clients are told to come back, each at a time of its own, and are given a moment to leave.
func TestGoodbye(t *testing.T) {
	bubble(t, func(l *lab) {
		start := time.Now()
		delays := map[time.Duration]bool{}
		var clients []*client
		for range 20 {
			c := l.dial()
			c.subscribe(1, "mail.corp.example.", dns.TypeA)
			c.pushes("mail.corp.example. 5 A 192.0.2.11")
			clients = append(clients, c)
		}
		stranger := l.dial()
		l.end()
		for _, c := range clients {
			m, _ := c.next()
			d, ok := retryDelay(t, m)
			if !ok || !m.IsUnidirectional() || m.Rcode != 0 || d < backAfter || d > backAfter+backWithin {
				t.Errorf("%+v", m)
			}
			delays[d] = true
		}
		if len(delays) < 10 {
			t.Errorf("20 clients come back at %d times", len(delays))
		}
		for _, c := range clients[:19] {
			_ = c.conn.Close()
		}
		synctest.Wait()
		if st := l.srv.Stats(); st.Ended[Left] != 19 || time.Since(start) > 0 {
			t.Errorf("%+v after %s", st, time.Since(start))
		}
		time.Sleep(leaveTimeout)
		clients[19].ends()
		stranger.ends()
	})
}

// Whatever a client sends, the server goes on.
func FuzzSession(f *testing.F) {
	frame := func(m dso.Message) []byte { return dso.AppendFrame(nil, m.Append) }
	sub := frame(dso.Message{ID: 1, TLVs: []dso.TLV{subscribeTLV(f, "mail.corp.example.", dns.TypeANY)}})
	f.Add(sub)
	f.Add(append(sub[:len(sub):len(sub)], frame(dso.Message{TLVs: []dso.TLV{dso.Unsubscribe(1)}})...))
	f.Add(frame(dso.Message{ID: 2, TLVs: []dso.TLV{dso.Keepalive(0, 0), dso.Padding(3)}}))
	f.Add([]byte("\x00\x1d\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04mail\x04corp\x00\x00\x01\x00\x01"))
	l := newLab(f)
	f.Fuzz(func(t *testing.T, octets []byte) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { l.srv.talk(t.Context(), theirs); close(done) }()
		go func() {
			for {
				if _, err := dso.ReadFrame(ours, nil, dns.MaxMsgSize); err != nil {
					return
				}
			}
		}()
		_, _ = ours.Write(octets)
		_ = ours.Close()
		<-done
		if st := l.srv.Stats(); st.Subscriptions != 0 || st.Names != 0 {
			t.Errorf("left behind: %+v", st)
		}
	})
}
