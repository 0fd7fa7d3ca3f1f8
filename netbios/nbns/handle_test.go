package nbns

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

// answered is a reply in the words of a test table.
type answered struct {
	Outcome string
	Form    string // "" for no reply
	Rcode   netbios.Rcode
	Addrs   string
	TTL     uint32
}

func answerOf(t *testing.T, s *Server, snap *registry.Snapshot, p packet) answered {
	t.Helper()
	reply, more, outcome := s.handle(snap, p, make([]byte, 0, maxReply))
	if more != nil {
		t.Fatalf("%x is answered later", p.data)
	}
	a := answered{Outcome: outcome.String()}
	if len(reply) == 0 {
		return a
	}
	request, _ := netbios.ParseHeader(p.data)
	m, err := netbios.Parse(reply)
	switch {
	case err != nil:
		t.Fatalf("reply %x: %v", reply, err)
	case m.ID != request.ID || !m.IsResponse() || len(m.Answers) != 1:
		t.Fatalf("reply %+v to id %d", m, request.ID)
	case len(reply) > netbios.MaxDatagram:
		t.Errorf("reply of %d octets", len(reply))
	}
	claim, _ := m.Claim()
	a.Form, a.Rcode, a.TTL = m.Form().String(), m.Rcode, claim.TTL
	for i, addr := range claim.Addrs {
		if i > 0 {
			a.Addrs += " "
		}
		a.Addrs += addr.Addr.String()
	}
	return a
}

func query(name string) netbios.Message { return netbios.NewQuery(0x1234, netbios.MustParseName(name)) }

func TestNameQuery(t *testing.T) {
	positive := func(ttl uint32, addrs string) answered {
		return answered{Outcome: "positive", Form: "positive-query", Addrs: addrs, TTL: ttl}
	}
	negative := answered{Outcome: "negative", Form: "negative-query", Rcode: netbios.RcodeName}
	silent, noHolder := answered{Outcome: "silent"}, answered{Outcome: "no-holder"}
	web := ""
	for i := range maxAddrs {
		if i > 0 {
			web += " "
		}
		web += netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + i)}).String()
	}
	mailOnly := positive(5, "192.0.2.11")
	clearRD := query("MAIL<20>")
	clearRD.Flags = 0
	chaos, otherType := query("MAIL<20>"), query("MAIL<20>")
	chaos.Questions[0].Class, otherType.Questions[0].Type = 3, netbios.TypeNull
	tests := []struct {
		name      string
		request   netbios.Message
		unicast   answered
		broadcast answered
	}{
		{"guarded", query("MAIL<20>"), mailOnly, mailOnly},
		{"lower case", query("mail<20>"), mailOnly, mailOnly},
		{"other suffix of the role", query("MAIL<00>"), mailOnly, mailOnly},
		{"suffix that it has not", query("MAIL<1b>"), negative, silent},
		{"without RD", clearRD, mailOnly, mailOnly},
		{"scope", query("MAIL<20>.HQ"), positive(5, "198.51.100.12"), positive(5, "198.51.100.12")},
		{"scope in lower case", query("mail<20>.hq"), positive(5, "198.51.100.12"), positive(5, "198.51.100.12")},
		{"unknown scope", query("MAIL<20>.OTHER"), negative, silent},
		{"suffix of another scope", query("MAIL<00>.HQ"), negative, silent},
		{"mode all", query("WEB<20>"), positive(5, web), positive(5, web)},
		{"conflict, hold", query("HELD<20>"), mailOnly, mailOnly},
		{"conflict, answer-all", query("BOTH<20>"), positive(5, "192.0.2.11 198.51.100.12"), positive(5, "192.0.2.11 198.51.100.12")},
		{"conflict, one shared address", query("SHARED<20>"), positive(5, "192.0.2.14"), positive(5, "192.0.2.14")},
		{"conflict, withdraw", query("NEITHER<20>"), negative, silent},
		{"source lost, withdraw", query("GONE<20>"), negative, silent},
		{"never known", query("UNKNOWN<20>"), noHolder, noHolder},
		{"no IPv4 address", query("SIX<20>"), negative, silent},
		{"not guarded", query("OTHER<20>"), negative, silent},
		{"wildcard", query("*"), negative, silent},
		{"B flag", query("MAIL<20>").Broadcast(), silent, mailOnly},
		{"B flag, not guarded", query("OTHER<20>").Broadcast(), silent, silent},
		{"class CH", chaos, silent, silent},
		{"other type", otherType, silent, silent},
	}
	snap := newRegistry(t).Snapshot()
	s := newServer(newRegistry(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := packet{data: encode(t, tt.request), from: stranger}
			if diff := cmp.Diff(tt.unicast, answerOf(t, s, snap, p)); diff != "" {
				t.Errorf("unicast (-want +got):\n%s", diff)
			}
			p.broadcast = true
			if diff := cmp.Diff(tt.broadcast, answerOf(t, s, snap, p)); diff != "" {
				t.Errorf("broadcast (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPositiveReplyOnTheWire(t *testing.T) {
	s := newServer(newRegistry(t))
	reply, _, _ := s.handle(s.Snapshot(), packet{data: encode(t, query("mail<20>"))}, nil)
	m, err := netbios.Parse(reply)
	name := netbios.MustParseName("mail<20>")
	want := netbios.NewPositiveQuery(0x1234, name, 5, netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("192.0.2.11")})
	if diff := cmp.Diff(want, m, byValue); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestTTLFollowsTheRole(t *testing.T) {
	w := newWorld()
	w.Roles[0].TTL, w.Roles[0].TTLChanging, w.Roles[0].Changing = 60e9, 1e9, 3600e9
	r := runRegistry(t, w)
	if _, err := r.Claim(t.Context(), registry.Claim{Role: "mailbox", Nodes: []string{"ex1"}}); err != nil {
		t.Fatal(err)
	}
	s := newServer(r)
	if got := answerOf(t, s, r.Snapshot(), packet{data: encode(t, query("MAIL<20>"))}); got.TTL != 1 {
		t.Errorf("TTL %d after a change, want ttl_changing", got.TTL)
	}
}

// TestClaims shows that nothing anybody registers or releases changes an answer, and that a cluster
// node that registers the guarded name is not failed by a refusal.
func TestClaims(t *testing.T) {
	evil := netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("10.9.0.11")}
	guarded, other := netbios.MustParseName("mail<20>"), netbios.MustParseName("OTHER<20>")
	refreshAlt := netbios.NewRefresh(1, guarded, 300, evil)
	refreshAlt.Opcode = netbios.OpRefreshAlt
	const accept, ignore, unsupported = "quiet-accept", "quiet-ignore", "unsupported"
	const yes, no, released, notReleased = "positive-registration", "negative-registration", "positive-release", "negative-release"
	const notImplemented = netbios.RcodeNotImplemented
	tests := []struct {
		name    string
		request netbios.Message
		want    answered
	}{
		{"registration", netbios.NewRegistration(1, guarded, 300, evil), answered{accept, yes, 0, "10.9.0.11", 300}},
		{"registration without end", netbios.NewRegistration(1, guarded, 0, evil), answered{accept, yes, 0, "10.9.0.11", 518400}},
		{"registration for very long", netbios.NewRegistration(1, guarded, 1<<31, evil), answered{accept, yes, 0, "10.9.0.11", 518400}},
		{"multihomed", netbios.NewMultihomed(1, guarded, 300, evil), answered{accept, yes, 0, "10.9.0.11", 300}},
		{"overwrite", netbios.NewOverwrite(1, guarded, 300, evil), answered{accept, yes, 0, "10.9.0.11", 300}},
		{"refresh", netbios.NewRefresh(1, guarded, 300, evil), answered{accept, yes, 0, "10.9.0.11", 300}},
		{"refresh, opcode 9", refreshAlt, answered{accept, yes, 0, "10.9.0.11", 300}},
		{"release", netbios.NewRelease(1, guarded, evil), answered{ignore, released, 0, "10.9.0.11", 0}},
		{"other registration", netbios.NewRegistration(1, other, 300, evil), answered{unsupported, no, notImplemented, "10.9.0.11", 0}},
		{"other multihomed", netbios.NewMultihomed(1, other, 300, evil), answered{unsupported, no, notImplemented, "10.9.0.11", 0}},
		{"other refresh", netbios.NewRefresh(1, other, 300, evil), answered{unsupported, no, notImplemented, "10.9.0.11", 0}},
		{"other release", netbios.NewRelease(1, other, evil), answered{unsupported, notReleased, notImplemented, "10.9.0.11", 0}},
		{"forged conflict demand", netbios.NewConflictDemand(1, guarded, 0), answered{Outcome: "response"}},
		{"forged negative query", netbios.NewNegativeQuery(1, netbios.RcodeName, guarded), answered{Outcome: "response"}},
		{"forged release response", netbios.NewPositiveRelease(1, guarded, evil), answered{Outcome: "response"}},
	}
	r := newRegistry(t)
	s, before := newServer(r), r.Snapshot()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := encode(t, tt.request)
			if diff := cmp.Diff(tt.want, answerOf(t, s, r.Snapshot(), packet{data: b, from: stranger})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			quiet := answered{Outcome: "silent"}
			if tt.want.Outcome == "response" {
				quiet = tt.want
			}
			if diff := cmp.Diff(quiet, answerOf(t, s, r.Snapshot(), packet{data: b, from: stranger, broadcast: true})); diff != "" {
				t.Errorf("broadcast (-want +got):\n%s", diff)
			}
		})
	}
	if r.Snapshot() != before {
		t.Error("the state has changed")
	}
}

func TestManyAddressesAreNotEchoed(t *testing.T) {
	addrs := slices.Repeat([]netbios.Address{addr1}, 150)
	s := newServer(newRegistry(t))
	for _, m := range []netbios.Message{
		netbios.NewRegistration(1, mail, 1, addrs...), netbios.NewRelease(1, mail, addrs...),
		netbios.NewRegistration(1, mail.WithSuffix(9), 1, addrs...),
	} {
		reply, _, _ := s.handle(s.Snapshot(), packet{data: encode(t, m)}, nil)
		if len(reply) == 0 || len(reply) > netbios.MaxDatagram {
			t.Errorf("%s: reply of %d octets", m.Form(), len(reply))
		}
	}
}

func TestMalformed(t *testing.T) {
	good := encode(t, query("MAIL<20>"))
	edit := func(b []byte, do func([]byte)) []byte {
		b = slices.Clone(b)
		do(b)
		return b
	}
	registration := encode(t, netbios.NewRegistration(1, mail, 1, addr1))
	tests := []struct {
		name string
		data []byte
		want Outcome
	}{
		{"empty", nil, Short},
		{"half a header", good[:6], Short},
		{"half a response's header", encode(t, netbios.NewNegativeQuery(1, 3, mail))[:11], Short},
		{"header only", good[:12], Short},
		{"cut off", good[:len(good)-1], Short},
		{"opcode", edit(good, func(b []byte) { b[2] |= 0x18 }), BadHeader},
		{"WACK that is no response", edit(good, func(b []byte) { b[2] |= 0x38 }), BadHeader},
		{"two questions", edit(good, func(b []byte) { b[5] = 2 }), BadHeader},
		{"an answer", edit(good, func(b []byte) { b[7] = 1 }), BadHeader},
		{"name", edit(good, func(b []byte) { b[13] = 'z' }), BadName},
		{"label of 64 octets", edit(good, func(b []byte) { b[12] = 64 }), BadName},
		{"registration cut off", registration[:len(registration)-1], Short},
		{"registration without address", encode(t, netbios.NewRegistration(1, mail, 1)), BadRecord},
		{"registration with 5 octets", edit(registration[:len(registration)-1], func(b []byte) { b[len(b)-6] = 5 }), BadRecord},
		{"registration of another name", func() []byte {
			m := netbios.NewRegistration(1, mail, 1, addr1)
			m.Additional[0].Name = mail.WithSuffix(0)
			return encode(t, m)
		}(), BadRecord},
	}
	s := newServer(newRegistry(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, more, outcome := s.handle(s.Snapshot(), packet{data: tt.data}, nil)
			if reply != nil || more != nil || outcome != tt.want {
				t.Errorf("got %x, %v; want %v and no reply", reply, outcome, tt.want)
			}
		})
	}
}

func TestOutcomeWords(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Outcomes() {
		if w := o.String(); w == "" || seen[w] {
			t.Errorf("outcome %d is %q, which is empty or there twice", o, w)
		}
		seen[o.String()] = true
	}
	if len(seen) != int(outcomes) {
		t.Errorf("%d words for %d outcomes", len(seen), outcomes)
	}
}
