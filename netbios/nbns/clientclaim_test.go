package nbns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/netbios"
)

func TestClaim(t *testing.T) {
	const ttl = 300
	registration := netbios.NewRegistration(0, mail, ttl, addr1)
	forms := []netbios.Message{
		registration, netbios.NewMultihomed(0, mail, ttl, addr1), netbios.NewOverwrite(0, mail, ttl, addr1),
		netbios.NewRefresh(0, mail, ttl, addr1),
	}
	positive := func(q netbios.Message) netbios.Message { return netbios.NewPositiveRegistration(q.ID, mail, 60, addr1) }
	type test struct {
		name   string
		claim  netbios.Message
		script func(c *fakeConn, try int, q netbios.Message)
		want   ClaimResult
		err    error
	}
	granted := ClaimResult{Name: mail, Addrs: []netbios.Address{addr1}, TTL: 60 * second, RTT: second, From: server}
	with := func(change func(*ClaimResult)) ClaimResult {
		r := granted
		change(&r)
		return r
	}
	tests := []test{
		{"release", netbios.NewRelease(0, mail, addr1), func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewPositiveRelease(q.ID, mail, addr1))
		}, with(func(r *ClaimResult) { r.TTL = 0 }), nil},
		{"release denied", netbios.NewRelease(0, mail, addr1), func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewNegativeRelease(q.ID, netbios.RcodeActive, mail, addr1))
		}, with(func(r *ClaimResult) { r.TTL = 0 }), &NegativeError{Name: mail, Rcode: netbios.RcodeActive, From: server}},
		{"denied after a WACK", registration, func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
			c.send(8*second, server, netbios.NewNegativeRegistration(q.ID, netbios.RcodeActive, mail, 60, addr2))
		}, with(func(r *ClaimResult) { r.Wacked, r.RTT, r.Addrs = true, 8*second, []netbios.Address{addr2} }),
			&NegativeError{Name: mail, Rcode: netbios.RcodeActive, From: server}},
		{"granted after a WACK", registration, func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
			c.send(4*second, server, positive(q))
		}, with(func(r *ClaimResult) { r.Wacked, r.RTT = true, 4*second }), nil},
		{"two WACKs", registration, func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
		}, ClaimResult{}, ErrSecondWack},
		{"conflict", registration, func(c *fakeConn, _ int, q netbios.Message) {
			m := netbios.NewConflictDemand(q.ID, mail, netbios.HNode)
			c.send(second, server, m)
		}, with(func(r *ClaimResult) {
			r.TTL, r.Addrs = 0, []netbios.Address{{Flags: netbios.HNode, Addr: netip.IPv4Unspecified()}}
		}), &NegativeError{Name: mail, Rcode: netbios.RcodeConflict, From: server}},
		{"end node challenge", registration, func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewEndNodeChallenge(q.ID, mail, 60, addr2))
		}, with(func(r *ClaimResult) { r.Addrs = []netbios.Address{addr2} }), ErrEndNodeChallenge},
		{"nobody there", registration, nil, ClaimResult{}, os.ErrDeadlineExceeded},
		{"answered to the third try", registration, func(c *fakeConn, try int, q netbios.Message) {
			if try == 3 {
				c.send(second, server, positive(q))
			}
		}, with(func(r *ClaimResult) { r.RTT = 11 * second }), nil},
	}
	for _, m := range forms {
		tests = append(tests, test{m.Form().String(), m, func(c *fakeConn, _ int, q netbios.Message) {
			if q.Form() != m.Form() || q.Additional[0].TTL != ttl {
				c.t.Errorf("sent %+v", q)
			}
			c.send(second, server, positive(q))
		}, granted, nil})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wacks := 0
				c := &Client{Conn: newFakeConn(t, tt.script), Wacked: func() { wacks++ }}
				got, err := c.Claim(t.Context(), server, tt.claim)
				if want := got.Wacked || errors.Is(err, ErrSecondWack); wacks > 1 || (wacks == 1) != want {
					t.Errorf("%d calls for a WACK, want one: %t", wacks, want)
				}
				var negative *NegativeError
				if errors.As(tt.err, &negative) {
					if diff := cmp.Diff(tt.err, err, byValue); diff != "" {
						t.Errorf("error (-want +got):\n%s", diff)
					}
				} else if !errors.Is(err, tt.err) {
					t.Errorf("got error %v, want %v", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got, byValue, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestClaimIgnored(t *testing.T) {
	positive := func(id uint16, addrs ...netbios.Address) netbios.Message {
		return netbios.NewPositiveRegistration(id, mail, 60, addrs...)
	}
	negative := func(id uint16, addrs ...netbios.Address) netbios.Message {
		return netbios.NewNegativeRegistration(id, netbios.RcodeActive, mail, 60, addrs...)
	}
	other := netbios.MustParseName("OTHER<20>")
	tests := []struct {
		name string
		send func(c *fakeConn, q netbios.Message)
		want Ignored
	}{
		{"other address", func(c *fakeConn, q netbios.Message) { c.send(0, node2, positive(q.ID, addr1)) }, Ignored{Source: 1}},
		{"other port", func(c *fakeConn, q netbios.Message) {
			c.send(0, netip.AddrPortFrom(server.Addr(), 1137), positive(q.ID, addr1))
		}, Ignored{Source: 1}},
		{"other id", func(c *fakeConn, q netbios.Message) { c.send(0, server, positive(q.ID+1, addr1)) }, Ignored{ID: 1}},
		{"other name", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveRegistration(q.ID, other, 60, addr1))
		}, Ignored{Mismatch: 1}},
		{"positive without an address", func(c *fakeConn, q netbios.Message) { c.send(0, server, positive(q.ID)) }, Ignored{Mismatch: 1}},
		{"negative without an address", func(c *fakeConn, q netbios.Message) { c.send(0, server, negative(q.ID)) }, Ignored{Mismatch: 1}},
		{"two answers", func(c *fakeConn, q netbios.Message) {
			m := negative(q.ID, addr1)
			m.Answers = append(m.Answers, m.Answers[0])
			c.send(0, server, m)
		}, Ignored{Mismatch: 1}},
		{"other class", func(c *fakeConn, q netbios.Message) {
			m := positive(q.ID, addr1)
			m.Answers[0].Class = 3
			c.send(0, server, m)
		}, Ignored{Mismatch: 1}},
		{"node status in a registration response", func(c *fakeConn, q netbios.Message) {
			m := positive(q.ID, addr1)
			m.Answers[0].Type, m.Answers[0].Data = netbios.TypeNBSTAT, netbios.NodeStatus{}
			c.send(0, server, m)
		}, Ignored{Mismatch: 1}},
		{"release response", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveRelease(q.ID, mail, addr1))
		}, Ignored{Mismatch: 1}},
		{"query response", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveQuery(q.ID, mail, 60, addr1))
		}, Ignored{Mismatch: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Conn: newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
					tt.send(c, q)
					c.send(second, server, positive(q.ID, addr1))
				})}
				got, err := c.Claim(t.Context(), server, netbios.NewRegistration(0, mail, 300, addr1))
				if err != nil || got.RTT != second {
					t.Errorf("got %+v, %v", got, err)
				}
				if got := c.Ignored(); got != tt.want {
					t.Errorf("ignored %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

func TestClaimOfNothing(t *testing.T) {
	noQuestion := netbios.NewRegistration(1, mail, 1, addr1)
	noQuestion.Questions = nil
	noRecord := netbios.NewRelease(1, mail, addr1)
	noRecord.Additional = nil
	for _, m := range []netbios.Message{
		{}, noQuestion, noRecord, netbios.NewQuery(1, mail), netbios.NewPositiveRegistration(1, mail, 1, addr1),
	} {
		if _, err := (&Client{}).Claim(t.Context(), server, m); !errors.Is(err, errNoClaim) {
			t.Errorf("claim with %+v: %v", m, err)
		}
	}
}

// TestClaimIDs shows that each request has an id of its own, whatever that of the message is.
func TestClaimIDs(t *testing.T) {
	const claims = 8
	sent := make(chan uint16, claims)
	at := serve(t, func(q netbios.Message) netbios.Message {
		sent <- q.ID
		return netbios.NewPositiveRegistration(q.ID, mail, 60, addr1)
	})
	var c Client
	ids, m := map[uint16]bool{}, netbios.NewRegistration(0, mail, 60, addr1)
	for range claims {
		if r, err := c.Claim(t.Context(), at, m); err != nil || r.From != at {
			t.Fatalf("%+v, %v", r, err)
		}
		ids[<-sent] = true
	}
	if len(ids) < claims-2 { // two pairs of 16 random bits may be equal, some day
		t.Errorf("ids %v", ids)
	}
}

// TestCapturedClaims shows that what real servers answer to real claims is taken for an answer: there is
// no pair of a claim and a response with its id, name and address that does not match.
func TestCapturedClaims(t *testing.T) {
	requests := map[string]netbios.Message{}
	packets := captures(t)
	key := func(name string, m netbios.Message, of netbios.Name) string {
		file, _, _ := strings.Cut(name, " ")
		return fmt.Sprint(file, m.ID, of)
	}
	for name, b := range packets {
		if m, err := netbios.ParseRequest(b); err == nil && isClaim(m.Form()) && m.Flags&netbios.FlagBroadcast == 0 {
			requests[key(name, m, m.Questions[0].Name)] = m
		}
	}
	verdicts := map[verdict]int{}
	for name, b := range packets {
		m, err := netbios.Parse(b)
		if err != nil || !m.IsResponse() || len(m.Answers) == 0 {
			continue
		}
		if q, asked := requests[key(name, m, m.Answers[0].Name)]; asked {
			v := exchange{request: q}.verdict(m)
			if verdicts[v]++; v == verdictIgnore {
				t.Errorf("%s: %v is no answer to a %v", name, m.Form(), q.Form())
			}
		}
	}
	if verdicts[verdictAnswer] < 40 || verdicts[verdictWack] != 10 {
		t.Errorf("%d answers and %d WACKs", verdicts[verdictAnswer], verdicts[verdictWack])
	}
}
