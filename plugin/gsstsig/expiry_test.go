package gsstsig

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// TestExpiry: a context ends with its ticket, when the client says, or at our limit, whatever comes first.
func TestExpiry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limit  time.Duration
		order  order
		wanted uint32 // TKEY's expiration, from now
		want   time.Duration
	}{
		{"the limit", 0, order{}, 7200, time.Hour},
		{"a written limit", 10 * time.Minute, order{}, 7200, 10 * time.Minute},
		{"the ticket", 0, order{ends: 20 * time.Minute}, 7200, 20*time.Minute + skew},
		{"the client", 0, order{}, 600, 10 * time.Minute},
		{"a client that does not care", 0, order{}, 0, time.Hour},
		{"a client with a time that is over", 0, order{}, 0xfffff000, time.Hour},
		{"a ticket that our clock has ended", 0, order{starts: -time.Hour, ends: -time.Minute}, 7200, skew - time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRealm(t, "DNS/"+testHost)
				a := r.acceptor(t, Config{MaxLifetime: tt.limit})
				tkt := r.ticket(t, tt.order)
				h, err := tkt.handshake()
				if err != nil {
					t.Fatal(err)
				}
				m := tkeyQuery("k.", h.token)
				m.Extra[0].(*dns.TKEY).Expiration = uint32(time.Now().Unix()) + tt.wanted
				reply, res := a.Answer(m, testClient, "")
				if res.Outcome != Accepted {
					t.Fatal(res.Err)
				}
				record := reply.Answer[0].(*dns.TKEY)
				if got := time.Until(res.Ends); got != tt.want || record.Expiration-record.Inception != uint32(tt.want/time.Second) {
					t.Errorf("ends in %s, TKEY says %d s; want %s", got, record.Expiration-record.Inception, tt.want)
				}
				time.Sleep(tt.want - time.Nanosecond)
				if _, ok := a.Principal("k."); !ok {
					t.Error("it ended early")
				}
				time.Sleep(time.Nanosecond)
				ts := &dns.TSIG{Hdr: dns.RR_Header{Name: "k."}, Algorithm: Algorithm}
				if _, err := a.Generate(nil, ts); err != dns.ErrSecret || a.Verify(nil, ts) != dns.ErrSecret {
					t.Errorf("after the end: %v", err)
				}
				if _, res := ask(a, "k.", r.ticket(t, order{}).forge(t, nil, nil)); res.Outcome != Accepted {
					t.Errorf("the name is not free again: %v", res.Err)
				}
			})
		})
	}
}

// TestSweep: what has ended takes up no room for good.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, "DNS/"+testHost)
		a := r.acceptor(t, Config{MaxLifetime: time.Minute, MaxPerClient: 100})
		tkt := r.ticket(t, order{})
		for range 50 {
			agreeOn(t, a, tkt)
		}
		time.Sleep(time.Minute)
		agreeOn(t, a, tkt)
		if n := len(a.table.byName); n != 1 {
			t.Errorf("%d contexts are kept", n)
		}
		time.Sleep(time.Minute)
		if s := a.Status(); s.Contexts != 0 || s.Evicted != 0 || len(a.table.byClient) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestDeletedKeyEnds: the reply to a deletion may be signed for some seconds, and no longer.
func TestDeletedKeyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, "DNS/"+testHost)
		a := r.acceptor(t, Config{})
		c := agreeOn(t, a, r.ticket(t, order{}))
		if _, res := a.Answer(c.Delete(), testClient, c.KeyName); res.Outcome != Deleted {
			t.Fatal(res.Err)
		}
		ts := &dns.TSIG{Hdr: dns.RR_Header{Name: c.KeyName}, Algorithm: Algorithm}
		if _, err := a.Generate([]byte("reply"), ts); err != nil {
			t.Error(err)
		}
		time.Sleep(lastWords)
		if _, err := a.Generate(nil, ts); err != dns.ErrSecret {
			t.Errorf("after %s: %v", lastWords, err)
		}
	})
}

// TestReplayTime: an authenticator is remembered for as long as it would be taken.
func TestReplayTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, "DNS/"+testHost)
		a := r.acceptor(t, Config{})
		token := r.ticket(t, order{}).forge(t, nil, nil)
		var outcomes []Outcome
		for n := range 4 {
			_, res := ask(a, fmt.Sprintf("k%d.", n), token)
			outcomes = append(outcomes, res.Outcome)
			time.Sleep(2 * time.Minute)
		}
		if got, want := fmt.Sprint(outcomes), fmt.Sprint([]Outcome{Accepted, Replayed, Replayed, BadTime}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestContextEnds: the client's side knows when to negotiate anew.
func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, "DNS/"+testHost)
		for _, tt := range []struct {
			name  string
			limit time.Duration
			order order
			want  time.Duration
		}{
			{"the server's word", 10 * time.Minute, order{}, 10 * time.Minute},
			{"the ticket", 0, order{ends: 20 * time.Minute}, 20 * time.Minute},
		} {
			c := agreeOn(t, r.acceptor(t, Config{MaxLifetime: tt.limit}), r.ticket(t, tt.order))
			if got := time.Until(c.Ends); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
	})
}

// TestLateMessage: a message of yesterday is late, also for a context that lives on.
func TestLateMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, "DNS/"+testHost)
		a := r.acceptor(t, Config{})
		c := agreeOn(t, a, r.ticket(t, order{}))
		raw, _ := signed(t, c)
		time.Sleep(fudge*time.Second + time.Second)
		if err := verify(a, raw, ""); !errors.Is(err, dns.ErrTime) {
			t.Error(err)
		}
	})
}
