package nbns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios"
)

var (
	outside    = netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("192.0.2.200")}
	management = netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("10.9.0.11")}
)

// upstream is a WINS server that knows one name, and counts how often it is asked.
func upstream(t *testing.T, answer func(netbios.Message) netbios.Message) (netip.AddrPort, *atomic.Int32) {
	var asked atomic.Int32
	return serve(t, func(m netbios.Message) netbios.Message {
		asked.Add(1)
		return answer(m)
	}), &asked
}

// nobody is a server that never answers.
func nobody(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return addrPort(conn.LocalAddr())
}

func forwarding(t *testing.T, to ...netip.AddrPort) *Server {
	s := newServer(newRegistry(t))
	set := *s.settings.Load()
	set.Forward = to
	s.Configure(set)
	return s
}

// ask has a query forwarded and returns the reply.
func ask(t *testing.T, s *Server, m netbios.Message) answered {
	t.Helper()
	reply, more, outcome := s.handle(s.Snapshot(), packet{data: encode(t, m), from: stranger}, nil)
	if more == nil {
		t.Fatalf("not forwarded: %x, %v", reply, outcome)
	}
	reply, outcome = more(t.Context())
	a := answered{Outcome: outcome.String()}
	if len(reply) == 0 {
		return a
	}
	r, err := netbios.Parse(reply)
	if err != nil || r.ID != m.ID || r.Answers[0].Name != m.Questions[0].Name {
		t.Fatalf("reply %+v, %v", r, err)
	}
	claim, _ := r.Claim()
	a.Form, a.Rcode, a.TTL = r.Form().String(), r.Rcode, claim.TTL
	for _, addr := range claim.Addrs {
		a.Addrs += fmt.Sprintf("%s/%x ", addr.Addr, uint16(addr.Flags))
	}
	return a
}

func TestForward(t *testing.T) {
	positive := func(addrs ...netbios.Address) func(netbios.Message) netbios.Message {
		return func(m netbios.Message) netbios.Message {
			return netbios.NewPositiveQuery(m.ID, m.Questions[0].Name, 300, addrs...)
		}
	}
	group := netbios.Address{Flags: netbios.HNode | 0x8000, Addr: netip.MustParseAddr("255.255.255.255")}
	tests := []struct {
		name   string
		answer func(netbios.Message) netbios.Message
		want   answered
	}{
		{"positive", positive(outside), answered{"forwarded", "positive-query", 0, "192.0.2.200/6000 ", 300}},
		{"positive, partly filtered", positive(management, outside), answered{"forwarded", "positive-query", 0, "192.0.2.200/6000 ", 300}},
		{"all filtered", positive(management), answered{"filtered", "negative-query", netbios.RcodeName, "", 0}},
		{"group", positive(group), answered{"forwarded", "positive-query", 0, "255.255.255.255/e000 ", 300}},
		{"negative", func(m netbios.Message) netbios.Message {
			return netbios.NewNegativeQuery(m.ID, netbios.RcodeName, m.Questions[0].Name)
		}, answered{"forwarded", "negative-query", netbios.RcodeName, "", 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, _ := upstream(t, tt.answer)
			if diff := cmp.Diff(tt.want, ask(t, forwarding(t, at), query("OTHER<20>"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("dead first server", func(t *testing.T) {
		at, asked := upstream(t, positive(outside))
		begin := time.Now()
		got := ask(t, forwarding(t, nobody(t), at), query("OTHER<20>"))
		if want := tests[0].want; got != want || asked.Load() != 1 {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if took := time.Since(begin); took < forwardTries*forwardTimeout || took > 2*forwardTries*forwardTimeout {
			t.Errorf("took %v", took)
		}
	})
	t.Run("no server answers", func(t *testing.T) {
		got := ask(t, forwarding(t, nobody(t)), query("OTHER<20>"))
		if want := (answered{Outcome: "forwarded-no-answer"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestNotForwarded(t *testing.T) {
	at, asked := upstream(t, func(m netbios.Message) netbios.Message { return netbios.NewNegativeQuery(m.ID, 3, m.Questions[0].Name) })
	s := forwarding(t, at)
	ownOnly := query("OTHER<20>")
	ownOnly.Flags = 0
	negative := answered{Outcome: "negative", Form: "negative-query", Rcode: netbios.RcodeName}
	for name, tt := range map[string]struct {
		request netbios.Message
		p       packet
		want    answered
	}{
		"guarded":       {query("MAIL<20>"), packet{}, answered{"positive", "positive-query", 0, "192.0.2.11", 5}},
		"withdrawn":     {query("GONE<20>"), packet{}, negative},
		"never known":   {query("UNKNOWN<20>"), packet{}, answered{Outcome: "no-holder"}},
		"RD clear":      {ownOnly, packet{}, negative},
		"broadcast":     {query("OTHER<20>").Broadcast(), packet{broadcast: true}, answered{Outcome: "silent"}},
		"B flag":        {query("OTHER<20>").Broadcast(), packet{}, answered{Outcome: "silent"}},
		"node status":   {status("OTHER<20>"), packet{}, answered{Outcome: "silent"}},
		"other release": {netbios.NewRelease(1, netbios.MustParseName("OTHER"), addr1), packet{}, answered{"unsupported", "negative-release", 4, "192.0.2.11", 0}},
	} {
		tt.p.data, tt.p.from = encode(t, tt.request), stranger
		if diff := cmp.Diff(tt.want, answerOf(t, s, s.Snapshot(), tt.p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the WINS server was asked %d times", asked.Load())
	}
}

func TestForwardOnce(t *testing.T) {
	s := forwarding(t, nobody(t))
	p := packet{data: encode(t, query("OTHER<20>")), from: stranger}
	_, first, _ := s.handle(s.Snapshot(), p, nil)
	if reply, more, outcome := s.handle(s.Snapshot(), p, nil); more != nil || reply != nil || outcome != Silent {
		t.Errorf("repeated: %x, %v, %v", reply, more != nil, outcome)
	}
	other := p
	other.from = listed
	if _, more, _ := s.handle(s.Snapshot(), other, nil); more == nil {
		t.Error("the same id of another client is not forwarded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	first(ctx)
	if _, more, _ := s.handle(s.Snapshot(), p, nil); more == nil {
		t.Error("asked again after the end, and not forwarded")
	}
}

func TestShed(t *testing.T) {
	s := forwarding(t, nobody(t))
	m := query("OTHER<20>")
	for i := range maxForwarding + 1 {
		m.ID = uint16(i)
		_, more, outcome := s.handle(s.Snapshot(), packet{data: encode(t, m), from: stranger}, nil)
		if want := i < maxForwarding; (more != nil) != want || !want && outcome != Shed {
			t.Fatalf("query %d: %v, %v", i, more != nil, outcome)
		}
	}
}

func TestAnswerLater(t *testing.T) {
	later := func(reply []byte) later {
		return func(context.Context) ([]byte, Outcome) { return reply, Forwarded }
	}
	for _, tt := range []struct {
		reply []byte
		err   error
		want  Outcome
	}{
		{[]byte{1}, nil, Forwarded}, {[]byte{1}, net.ErrClosed, SendFailed}, {nil, net.ErrClosed, Forwarded},
	} {
		var s Server
		s.answerLater(t.Context(), func([]byte) error { return tt.err }, later(tt.reply))
		if s.Counters.Get(tt.want) != 1 {
			t.Errorf("%+v is counted otherwise", tt)
		}
	}
}
