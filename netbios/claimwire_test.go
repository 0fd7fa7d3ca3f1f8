package netbios

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
)

func claims() []Message {
	one := Address{Flags: HNode, Addr: netip.MustParseAddr("192.0.2.1")}
	two := Address{Flags: MNode | Group, Addr: netip.MustParseAddr("192.0.2.2")}
	name, scoped := MustParseName("FS1<20>"), MustParseName("fs1<20>.HQ")
	return []Message{
		NewRegistration(1, name, 300000, one), NewMultihomed(2, name, 0, one, two), NewRefresh(3, scoped, 60, two),
		NewOverwrite(4, name, 1, one), NewRelease(5, name, one), NewRelease(6, scoped, one, two),
	}
}

// TestParseClaim holds the quick reader and the thorough one together.
func TestParseClaim(t *testing.T) {
	for _, m := range claims() {
		b, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := m.Claim()
		h, got, err := ParseClaim(b)
		if err != nil || h != m.Header || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %+v, %v, want %+v", m.Form(), h, got, err, want)
		}
		for n := range b {
			if _, _, err := ParseClaim(b[:n]); err == nil {
				t.Errorf("%s, %d of %d octets: no error", m.Form(), n, len(b))
			}
		}
	}
	query, _ := NewQuery(1, MustParseName("FS1")).Append(nil)
	if _, c, err := ParseClaim(query); err == nil {
		t.Errorf("a query is a claim: %+v", c)
	}
}

func FuzzParseClaim(f *testing.F) {
	for _, m := range claims() {
		b, _ := m.Append(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, got, err := ParseClaim(b)
		m, wantErr := ParseRequest(b)
		want, ok := m.Claim()
		if wantErr == nil && !ok {
			return // a query
		}
		if (err == nil) != (wantErr == nil) || err == nil && (h != m.Header || !reflect.DeepEqual(got, want)) {
			t.Errorf("%+v %v, want %+v %v", got, err, want, wantErr)
		}
	})
}

func TestAppendClaimResponses(t *testing.T) {
	name := MustParseName("FS1<20>.HQ")
	one := Address{Flags: HNode, Addr: netip.MustParseAddr("192.0.2.1")}
	request := NewMultihomed(9, name, 300, one).Header
	for _, tt := range []struct {
		want Message
		got  []byte
	}{
		{NewPositiveRegistration(7, name, 300, one), AppendRegistrationResponse(nil, 7, RcodeOK, name, 300, one)},
		{NewNegativeRegistration(7, RcodeActive, name, 300, one), AppendRegistrationResponse(nil, 7, RcodeActive, name, 300, one)},
		{NewPositiveRelease(7, name, one), AppendReleaseResponse(nil, 7, RcodeOK, name, one)},
		{NewNegativeRelease(7, RcodeActive, name, one, one), AppendReleaseResponse(nil, 7, RcodeActive, name, one, one)},
		{NewWack(request, name, 9), AppendWack(nil, request, name, 9)},
	} {
		want, err := tt.want.Append(nil)
		if err != nil || !bytes.Equal(tt.got, want) {
			t.Errorf("%s: %x, want %x (%v)", tt.want.Form(), tt.got, want, err)
		}
	}
	many := make([]Address, 200)
	for i := range many {
		many[i] = one
	}
	if got := AppendRegistrationResponse(nil, 7, RcodeOK, name, 300, many...); len(got) > MaxDatagram {
		t.Errorf("a response of %d octets", len(got))
	}
}

func TestAppendScopeRefusal(t *testing.T) {
	// A scope of 250 octets, which no constructor makes.
	long := appendHeader(nil, 9, uint16(OpRegistration)<<11, counts{1, 0, 0, 1})
	name := appendName(nil, MustParseName("FS1<20>"))
	name = name[:len(name)-1]
	for range 5 {
		name = append(append(name, 49), bytes.Repeat([]byte{'X'}, 49)...)
	}
	name = append(name, 0)
	long = append(append(long, name...), 0, 0x20, 0, 1)
	if _, _, err := ParseClaim(long); Reason(err) != "scope" {
		t.Fatalf("the request: %v", err)
	}
	reply, ok := AppendScopeRefusal(nil, long)
	h, _, err := parseHeader(reply)
	if !ok || err != nil || h.ID != 9 || !h.IsResponse() || h.Opcode != OpRegistration || h.Rcode != RcodeServer || !bytes.Contains(reply, name) {
		t.Errorf("%x, %t, %+v, %v", reply, ok, h, err)
	}
	release := bytes.Clone(long)
	release[2] = byte(OpRelease) << 3
	reply, ok = AppendScopeRefusal(nil, release)
	if h, _, err := parseHeader(reply); !ok || err != nil || h.Opcode != OpRelease || h.Rcode != RcodeOK {
		t.Errorf("release: %x, %t, %+v, %v", reply, ok, h, err)
	}
	for n := range long {
		if _, ok := AppendScopeRefusal(nil, long[:n]); ok && n < headerLen+len(name) {
			t.Errorf("an answer to %d octets", n)
		}
	}
	pointer := append(bytes.Clone(long[:headerLen]), 0xc0, 0x0c)
	if _, ok := AppendScopeRefusal(nil, pointer); ok {
		t.Error("an answer to a name that points at itself")
	}
	if _, ok := AppendScopeRefusal(nil, reply); ok {
		t.Error("an answer to a response")
	}
}
