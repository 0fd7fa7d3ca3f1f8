package netbios

import (
	"fmt"
	"testing"
)

// TestStrings pins the words that logs, metrics and the command line show.
func TestStrings(t *testing.T) {
	tests := []struct {
		value fmt.Stringer
		want  string
	}{
		{OpQuery, "query"}, {OpRegistration, "registration"}, {OpRelease, "release"}, {OpWack, "wack"},
		{OpRefresh, "refresh"}, {OpRefreshAlt, "refresh"}, {OpMultihomed, "multihomed"}, {Opcode(1), "opcode 1"},
		{RcodeOK, "OK"}, {RcodeName, "NAM_ERR"}, {RcodeConflict, "CFT_ERR"}, {Rcode(9), "rcode 9"},
		{TypeA, "A"}, {TypeNS, "NS"}, {TypeNull, "NULL"}, {TypeNB, "NB"}, {TypeNBSTAT, "NBSTAT"}, {Type(99), "TYPE99"},
		{FormWack, "wack"}, {Form(200), "unknown"},
		{HNode, "H unique"}, {BNode | Group | Active, "B group active"},
		{PNode | Deregistering | Conflict | Permanent, "P unique deregistering conflict permanent"},
		{addr1, "192.0.2.11 (H unique)"},
	}
	for _, tt := range tests {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("%T: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestUnitID(t *testing.T) {
	id := [6]byte{2, 0, 0x5e, 0, 0x53, 1}
	if got := (NodeStatus{Statistics: NewStatistics(id)}).UnitID(); got != id {
		t.Errorf("got %x, want %x", got, id)
	}
	if got := (NodeStatus{Statistics: id[:5]}).UnitID(); got != [6]byte{} {
		t.Errorf("cut off: got %x", got)
	}
}

func TestParseHeader(t *testing.T) {
	b, _ := NewWack(Header{ID: 7}, mail, 1).Append(nil)
	h, err := ParseHeader(b[:headerLen])
	if want := (Header{ID: 7, Opcode: OpWack, Flags: FlagResponse | FlagAuthoritative}); err != nil || h != want {
		t.Errorf("got %+v, %v, want %+v", h, err, want)
	}
	if _, err := ParseHeader(b[:headerLen-1]); err != ErrShort {
		t.Errorf("got %v, want %v", err, ErrShort)
	}
}
