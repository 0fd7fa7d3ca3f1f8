package nbns

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
)

// TestRegistration shows that the exchange serves for the other requests, and what a WACK does to it.
func TestRegistration(t *testing.T) {
	positive := func(id uint16) netbios.Message { return netbios.NewPositiveRegistration(id, mail, 60, addr1) }
	active := func(id uint16) netbios.Message {
		return netbios.NewNegativeRegistration(id, netbios.RcodeActive, mail, 60, addr2)
	}
	tests := []struct {
		name   string
		script func(c *fakeConn, try int, q netbios.Message)
		want   netbios.Form
		err    error
		end    time.Duration
		sent   int
	}{
		{"positive", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, positive(q.ID))
		}, netbios.FormPositiveRegistration, nil, second, 1},
		{"negative", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, active(q.ID))
		}, netbios.FormNegativeRegistration, nil, second, 1},
		{"late answer to the first try", func(c *fakeConn, try int, q netbios.Message) {
			if try == 1 {
				c.send(7*second, server, positive(q.ID))
			}
		}, netbios.FormPositiveRegistration, nil, 7 * second, 2},
		{"WACK, then the answer after the usual wait", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
			c.send(9*second, server, active(q.ID))
		}, netbios.FormNegativeRegistration, nil, 9 * second, 1},
		{"WACK and no answer", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
		}, 0, os.ErrDeadlineExceeded, 10 * second, 1},
		{"WACK with a long time", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 0xffffffff))
		}, 0, os.ErrDeadlineExceeded, second + maxWackWait, 1},
		{"two WACKs", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewWack(q.Header, mail, 9))
			c.send(2*second, server, netbios.NewWack(q.Header, mail, 9))
		}, 0, ErrSecondWack, 2 * second, 1},
		{"WACK of a stranger", func(c *fakeConn, _ int, q netbios.Message) {
			c.send(0, node2, netbios.NewWack(q.Header, mail, 60))
		}, 0, os.ErrDeadlineExceeded, 15 * second, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := newFakeConn(t, tt.script)
				c := &Client{Conn: conn}
				replies, err := c.exchange(t.Context(), c.unicast(netbios.NewRegistration(newID(), mail, 60, addr1), server))
				if !errors.Is(err, tt.err) {
					t.Fatalf("got %v, want %v", err, tt.err)
				}
				if err == nil && replies[0].msg.Form() != tt.want {
					t.Errorf("got %v, want %v", replies[0].msg.Form(), tt.want)
				}
				if got := time.Since(conn.start); got != tt.end || len(conn.sent) != tt.sent {
					t.Errorf("ended after %v and %d packets, want %v and %d", got, len(conn.sent), tt.end, tt.sent)
				}
			})
		})
	}
}

func TestAnswers(t *testing.T) {
	// Each request form is answered by the response forms of its own sections of RFC 1002 only.
	requests := []netbios.Message{
		netbios.NewRegistration(1, mail, 1, addr1), netbios.NewMultihomed(1, mail, 1, addr1),
		netbios.NewOverwrite(1, mail, 1, addr1), netbios.NewRefresh(1, mail, 1, addr1),
		netbios.NewRelease(1, mail, addr1), netbios.NewQuery(1, mail), netbios.NewNodeStatusRequest(1, star),
	}
	responses := map[netbios.Form]int{ // how many of the requests it answers
		netbios.FormPositiveRegistration: 4, netbios.FormNegativeRegistration: 4,
		netbios.FormEndNodeChallenge: 4, netbios.FormConflictDemand: 4,
		netbios.FormPositiveRelease: 1, netbios.FormNegativeRelease: 1, netbios.FormPositiveQuery: 1,
		netbios.FormNegativeQuery: 2, netbios.FormRedirect: 1, netbios.FormNodeStatusResponse: 1,
		netbios.FormUnknown: 0, netbios.FormQuery: 0, netbios.FormWack: 0,
	}
	for form, want := range responses {
		got := 0
		for _, q := range requests {
			if answers(q.Form(), form) {
				got++
			}
		}
		if got != want {
			t.Errorf("%v answers %d requests, want %d", form, got, want)
		}
	}
	if answers(netbios.FormUnknown, netbios.FormPositiveQuery) {
		t.Error("a message of unknown form has an answer")
	}
}
