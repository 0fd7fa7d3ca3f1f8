package nbns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
)

func status(name string) netbios.Message {
	return netbios.NewNodeStatusRequest(1, netbios.MustParseName(name))
}

func TestNodeStatusServer(t *testing.T) {
	const full = "GUARD<00> MAIL<00> MAIL<20> WEB<20> HELD<20> BOTH<20> SHARED<20>"
	tests := []struct {
		name    string
		request netbios.Message
		p       packet
		off     bool
		outcome Outcome
		names   string
	}{
		{"wildcard, listed", status("*"), packet{from: listed}, false, NodeStatus, full},
		{"wildcard with B flag, as nbtscan sends it", status("*").Broadcast(), packet{from: listed}, false, NodeStatus, full},
		{"own name, listed", status("guard<00>"), packet{from: listed}, false, NodeStatus, full},
		{"guarded name, listed", status("mail<20>"), packet{from: listed}, false, NodeStatus, full},
		{"guarded name of a scope", status("mail<20>.hq"), packet{from: listed}, false, NodeStatus, "GUARD<00> MAIL<20>"},
		{"other name", status("OTHER<20>"), packet{from: listed}, false, Silent, ""},
		{"listed, off for others", status("*"), packet{from: listed}, true, NodeStatus, full},
		{"stranger", status("*"), packet{from: stranger}, false, NodeStatusShort, "GUARD<00>"},
		{"stranger, off", status("*"), packet{from: stranger}, true, Silent, ""},
		{"broadcast", status("*").Broadcast(), packet{from: listed, broadcast: true}, false, Silent, ""},
	}
	r := newRegistry(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(r)
			set := *s.settings.Load()
			set.StatusOff = tt.off
			s.Configure(set)
			tt.p.data = encode(t, tt.request)
			reply, _, outcome := s.handle(r.Snapshot(), tt.p, nil)
			if outcome != tt.outcome {
				t.Errorf("outcome %v, want %v", outcome, tt.outcome)
			}
			if diff := cmp.Diff(tt.names, statusNames(t, reply)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func statusNames(t *testing.T, reply []byte) string {
	t.Helper()
	if len(reply) == 0 {
		return ""
	}
	m, err := netbios.Parse(reply)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range m.Answers[0].Data.(netbios.NodeStatus).Names {
		if n.Flags&netbios.Active == 0 {
			t.Errorf("%v is not active", n)
		}
		names = append(names, n.Name.String())
	}
	return strings.Join(names, " ")
}

// TestStatusAmplification bounds what a forged sender can have sent to his victim.
func TestStatusAmplification(t *testing.T) {
	w := &registry.World{}
	node := newNode("n", "10.9.0.1", "192.0.2.1")
	for i := range 100 {
		w.Roles = append(w.Roles, &registry.Role{
			Name: fmt.Sprint(i), Nodes: []*registry.Node{node}, Source: registry.Source{Kind: registry.SourceOperator, Initial: "n"},
			NetBIOS: []netbios.Name{netbios.MustParseName(fmt.Sprintf("N%d<20>", i))},
		})
	}
	w.Nodes = []*registry.Node{node}
	s := newServer(runRegistry(t, w))
	request := encode(t, status("*"))
	short, _, _ := s.handle(s.Snapshot(), packet{data: request, from: stranger}, nil)
	if len(short) > 5*len(request)/2 {
		t.Errorf("a stranger has %d octets sent with %d", len(short), len(request))
	}
	for _, name := range []string{"*", "N1<20>"} {
		full, _, _ := s.handle(s.Snapshot(), packet{data: encode(t, status(name)), from: listed}, nil)
		m, err := netbios.Parse(full)
		if err != nil || len(full) > netbios.MaxDatagram || m.Flags&netbios.FlagTruncated == 0 {
			t.Errorf("%s: %d octets, flags %x, %v; want at most %d and TC", name, len(full), m.Flags, err, netbios.MaxDatagram)
		}
		if n := len(m.Answers[0].Data.(netbios.NodeStatus).Names); n != 26 {
			t.Errorf("%s: %d names, 26 fit", name, n)
		}
	}
}

// TestQueryAmplification bounds the other answers: a list of 25 members is the largest.
func TestQueryAmplification(t *testing.T) {
	s := newServer(newRegistry(t))
	for name, most := range map[string]float64{"MAIL<20>": 1.25, "OTHER<20>": 1.13, "WEB<20>": 4.2} {
		request := encode(t, query(name))
		reply, _, _ := s.handle(s.Snapshot(), packet{data: request, from: stranger}, nil)
		if got := float64(len(reply)) / float64(len(request)); got > most {
			t.Errorf("%s: reply of %.2f times the request, at most %.2f", name, got, most)
		}
	}
}
