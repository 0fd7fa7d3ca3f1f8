package netbios

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswersEqualMessages(t *testing.T) {
	unit := [6]byte{2, 0, 0x5e, 0, 0x53, 1}
	names := []NodeName{{mail, Active}}
	ipv6 := Address{Addr: netip.MustParseAddr("2001:db8::1")}
	mapped := Address{Flags: HNode, Addr: netip.MustParseAddr("::ffff:192.0.2.11")}
	tests := []struct {
		name string
		got  []byte
		want Message
	}{
		{"positive", AppendPositiveQueryResponse(nil, 9, mail, 300, addr1, addr2), NewPositiveQuery(9, mail, 300, addr1, addr2)},
		{"positive with scope", AppendPositiveQueryResponse(nil, 9, scoped, 1, addr1), NewPositiveQuery(9, scoped, 1, addr1)},
		{"IPv6 left out", AppendPositiveQueryResponse(nil, 9, mail, 1, ipv6, addr1), NewPositiveQuery(9, mail, 1, addr1)},
		{"IPv4 in IPv6", AppendPositiveQueryResponse(nil, 9, mail, 1, mapped), NewPositiveQuery(9, mail, 1, addr1)},
		{"only IPv6", AppendPositiveQueryResponse(nil, 9, mail, 1, ipv6), NewNegativeQuery(9, RcodeName, mail)},
		{"nothing", AppendPositiveQueryResponse(nil, 9, mail, 1), NewNegativeQuery(9, RcodeName, mail)},
		{"negative", AppendNegativeQueryResponse(nil, 9, RcodeName, scoped), NewNegativeQuery(9, RcodeName, scoped)},
		{"node status", AppendNodeStatusResponse(nil, 9, mail, unit, names...), NewNodeStatusResponse(9, mail, NodeStatus{names, NewStatistics(unit)})},
		{"node status of none", AppendNodeStatusResponse(nil, 9, mail, unit), NewNodeStatusResponse(9, mail, NodeStatus{nil, NewStatistics(unit)})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, equal); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswersTruncated(t *testing.T) {
	prefix := []byte("prefix")
	longScope := MustParseName("A<00>." + longestScope())
	tests := []struct {
		name      string
		packet    []byte
		truncated bool
		entries   int
	}{
		{"86 addresses fit", AppendPositiveQueryResponse(prefix, 1, mail, 1, make4(86)...), false, 86},
		{"87 do not", AppendPositiveQueryResponse(prefix, 1, mail, 1, make4(87)...), true, 86},
		{"longest scope", AppendPositiveQueryResponse(prefix, 1, longScope, 1, make4(87)...), true, 47},
		{"26 node names fit", AppendNodeStatusResponse(prefix, 1, mail, [6]byte{}, makeNames(26)...), false, 26},
		{"27 do not", AppendNodeStatusResponse(prefix, 1, mail, [6]byte{}, makeNames(27)...), true, 26},
		{"300 neither", AppendNodeStatusResponse(prefix, 1, mail, [6]byte{}, makeNames(300)...), true, 26},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.packet[len(prefix):]
			m, err := Parse(b)
			if err != nil || len(b) > MaxDatagram {
				t.Fatalf("%d octets, %v", len(b), err)
			}
			if got := m.Flags&FlagTruncated != 0; got != tt.truncated {
				t.Errorf("TC %v, want %v", got, tt.truncated)
			}
			if got := entries(m.Answers[0].Data); got != tt.entries {
				t.Errorf("%d entries, want %d", got, tt.entries)
			}
		})
	}
}

func entries(d RData) int {
	if s, ok := d.(NodeStatus); ok {
		return len(s.Names)
	}
	return len(d.(NB))
}

func makeNames(n int) []NodeName {
	names := make([]NodeName, n)
	for i := range names {
		names[i] = NodeName{Name: mail, Flags: Active}
	}
	return names
}

func longestScope() string {
	b := make([]byte, MaxScope)
	for i := range b {
		b[i] = "a."[i%2]
	}
	return string(b)
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	packet, _ := NewQuery(1, mail).Append(nil)
	buf := make([]byte, 0, MaxDatagram)
	addrs, names := make4(25), makeNames(20)
	allocs := testing.AllocsPerRun(100, func() {
		h, q, err := ParseQuestion(packet)
		if err != nil {
			t.Fatal(err)
		}
		name := q.Name.Fold()
		buf = AppendPositiveQueryResponse(buf[:0], h.ID, name, 300, addrs...)
		buf = AppendNegativeQueryResponse(buf[:0], h.ID, RcodeName, name)
		buf = AppendNodeStatusResponse(buf[:0], h.ID, name, [6]byte{}, names...)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
