package dso

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// octets reads hex in groups, which may be told apart by blanks and lines; what follows ; on a line is a comment.
func octets(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectors are messages written down field by field from the figures of the RFCs.
var vectors = []struct {
	name string
	wire string
	msg  func() Message
}{
	{"Keepalive request, RFC 8490, Sections 5.4 and 7.1", `
		1234            ; MESSAGE ID
		30 00           ; QR 0, OPCODE 6, Z 0; RCODE 0
		0000 0000 0000 0000
		0001 0008       ; DSO-TYPE Keepalive, DSO-LENGTH 8
		00003a98        ; inactivity timeout 15,000 ms
		0036ee80        ; keepalive interval 3,600,000 ms`,
		func() Message {
			return Message{ID: 0x1234, TLVs: []TLV{Keepalive(15*time.Second, time.Hour)}}
		}},
	{"Retry Delay, unidirectional, RFC 8490, Section 7.2", `
		0000 30 00 0000 0000 0000 0000
		0002 0004 000003e8`,
		func() Message { return Message{TLVs: []TLV{RetryDelay(time.Second)}} }},
	{"response that grants nothing, RFC 8490, Section 5.4.2", `
		0007 b0 0b 0000 0000 0000 0000   ; QR 1, OPCODE 6; RCODE DSOTYPENI
		0002 0004 0036ee80
		0003 0003 000000`,
		func() Message {
			return Message{ID: 7, Response: true, Rcode: 11, TLVs: []TLV{RetryDelay(time.Hour), Padding(3)}}
		}},
	{"SUBSCRIBE, RFC 8765, Section 6.2.1", `
		0001 30 00 0000 0000 0000 0000
		0040 0017
		04 6d61696c 04 636f7270 07 6578616d706c65 00   ; mail.corp.example.
		00ff 0001                                      ; TYPE ANY, CLASS IN`,
		func() Message {
			t, _ := Subscribe(Question{"mail.corp.example.", dns.TypeANY, dns.ClassINET})
			return Message{ID: 1, TLVs: []TLV{t}}
		}},
	{"UNSUBSCRIBE, RFC 8765, Section 6.4.1", `
		0000 30 00 0000 0000 0000 0000
		0042 0002 0001`,
		func() Message { return Message{TLVs: []TLV{Unsubscribe(1)}} }},
	{"RECONFIRM, RFC 8765, Section 6.5.1", `
		0000 30 00 0000 0000 0000 0000
		0043 000b
		01 78 00 0001 0001 c0000201`,
		func() Message {
			t, _ := Reconfirm(Question{"x.", dns.TypeA, dns.ClassINET}, []byte{192, 0, 2, 1})
			return Message{TLVs: []TLV{t}}
		}},
	{"a DSO-TYPE that nobody knows", `
		0009 30 00 0000 0000 0000 0000
		f901 0001 2a`,
		func() Message { return Message{ID: 9, TLVs: []TLV{{Type: 0xf901, Data: []byte{42}}}} }},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			want := v.msg()
			wire := octets(t, v.wire)
			if got := want.Append(nil); !bytes.Equal(got, wire) {
				t.Errorf("written:\n%x, want\n%x", got, wire)
			}
			got, err := Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			if again := got.Append(nil); !bytes.Equal(again, wire) || got.ID != want.ID || got.Rcode != want.Rcode || got.Response != want.Response {
				t.Errorf("read: %+v, want %+v", got, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const header = "0001 30 00 0000 0000 0000 0000 "
	for _, c := range []struct {
		name, wire string
		want       error
	}{
		{"nothing", "", ErrShort},
		{"half a header", "0001 30 00 0000 0000", ErrShort},
		{"a question is counted", "0001 30 00 0001 0000 0000 0000 0001 0008 0000000000000000", ErrForm},
		{"an additional record is counted", "0001 30 00 0000 0000 0000 0001 0001 0008 0000000000000000", ErrForm},
		{"no TLV", header, ErrForm},
		{"half a TLV header", header + "0001 00", ErrForm},
		{"a TLV longer than the message", header + "0001 0009 0000000000000000", ErrForm},
		{"the longest there is", header + "0001 ffff", ErrForm},
		{"octets behind the last", header + "0003 0000 000000", ErrForm},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse(octets(t, c.wire)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// A response has no TLV as a rule, and the Z bits are for later.
func TestParseTakes(t *testing.T) {
	m, err := Parse(octets(t, "0001 b7 f0 0000 0000 0000 0000"))
	if err != nil || !m.Response || m.Rcode != 0 || m.Primary() != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestParseSubscribe(t *testing.T) {
	long := strings.Repeat("3f"+strings.Repeat("61", 63), 3) + "3d" + strings.Repeat("61", 61) + "00" // 255 octets
	for _, c := range []struct {
		name, data string
		want       string // "" when it is refused
	}{
		{"the root", "00 0001 0001", "."},
		{"a name", "0461 626364 00 00ff 00ff", "abcd."},
		{"an octet that is a dot", "03 612e62 00 0001 0001", `a\.b.`},
		{"as long as a name may be", long + "0001 0001", strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 61) + "."},
		{"longer", "0161" + long + "0001 0001", ""},
		{"a pointer", "c00c 0001 0001", ""},
		{"a pointer behind a label", "0161 c00c 0001 0001", ""},
		{"a label of 64", "40" + strings.Repeat("61", 64) + "00 0001 0001", ""},
		{"no end", "0161", ""},
		{"no class", "00 0001", ""},
		{"too much", "00 0001 0001 00", ""},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := ParseSubscribe(octets(t, c.data))
			if (err == nil) != (c.want != "") || q.Name != c.want && err == nil {
				t.Errorf("%+v, %v; want %q", q, err, c.want)
			}
			if err != nil && !errors.Is(err, ErrForm) {
				t.Errorf("%v is not ErrForm", err)
			}
		})
	}
}

func TestOtherDataIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		parse func([]byte) error
		data  string
	}{
		{"Keepalive of 4", func(b []byte) error { _, _, err := ParseKeepalive(b); return err }, "00000000"},
		{"Retry Delay of 8", func(b []byte) error { _, err := ParseRetryDelay(b); return err }, "0000000000000000"},
		{"UNSUBSCRIBE of 3", func(b []byte) error { _, err := ParseUnsubscribe(b); return err }, "000102"},
		{"RECONFIRM of ANY", func(b []byte) error { _, _, err := ParseReconfirm(b); return err }, "00 00ff 0001"},
		{"RECONFIRM of class ANY", func(b []byte) error { _, _, err := ParseReconfirm(b); return err }, "00 0001 00ff"},
		{"PUSH of nothing", func(b []byte) error { _, err := ParsePush(b, TLV{Type: TypePush}); return err }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.parse(octets(t, c.data)); !errors.Is(err, ErrForm) {
				t.Errorf("%v, want ErrForm", err)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct{ is, want time.Duration }{
		{-time.Second, 0}, {1500 * time.Microsecond, time.Millisecond}, {Forever, Forever}, {Forever + time.Hour, Forever},
	} {
		if got, err := ParseRetryDelay(RetryDelay(c.is).Data); err != nil || got != c.want {
			t.Errorf("%s is written as %s, %v; want %s", c.is, got, err, c.want)
		}
	}
}

// pushed are the octets of a PUSH, field by field: RFC 8765, Section 6.3.1.
const pushed = `
	0000 30 00 0000 0000 0000 0000
	0041 003c
	01 61 00  0001 0001 ffffffff 0004 c000020b    ; the record a. A 192.0.2.11 is gone
	01 61 00  001c 0001 fffffffe 0000             ; all AAAA records of a. are
	01 61 00  0001 0001 00000005 0004 c633640c    ; the record a. 5 A 198.51.100.12 is new
	01 61 00  00ff 0001 fffffffe 0000             ; and then all of a. is gone`

func TestPush(t *testing.T) {
	wire := octets(t, pushed)
	a := func(addr string) dns.RR {
		return &dns.A{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(addr)}
	}
	first, err := Change(a("192.0.2.11"), Removed)
	if err != nil {
		t.Fatal(err)
	}
	third, err := Change(a("198.51.100.12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	changes := [][]byte{first, AllGone(first, dns.TypeAAAA), third, AllGone(first, dns.TypeANY)}
	got, n := AppendPush(nil, changes)
	if n != 4 {
		t.Fatalf("%d changes were written", n)
	}
	if !bytes.Equal(got, wire) {
		t.Errorf("written:\n%x, want\n%x", got, wire)
	}
	m, err := Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	rrs, err := ParsePush(wire, m.TLVs[0])
	if err != nil || len(rrs) != 4 {
		t.Fatalf("%v, %v", rrs, err)
	}
	if rrs[0].Header().Ttl != Removed || rrs[1].Header().Ttl != AllRemoved || rrs[1].Header().Rdlength != 0 ||
		rrs[2].(*dns.A).A.String() != "198.51.100.12" || rrs[3].Header().Rrtype != dns.TypeANY {
		t.Errorf("read: %v", rrs)
	}
}

// Other servers compress names. The pointers lead into the whole message.
func TestPushCompressed(t *testing.T) {
	wire := octets(t, `
		0000 30 00 0000 0000 0000 0000
		0041 0021
		01 61 00  0001 0001 00000005 0004 c000020b
		c010      0001 0001 00000005 0004 c000020c`)
	m, err := Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	rrs, err := ParsePush(wire, m.TLVs[0])
	if err != nil || len(rrs) != 2 || rrs[1].Header().Name != "a." {
		t.Errorf("%v, %v", rrs, err)
	}
}

func TestPushIsCutAtItsLimit(t *testing.T) {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", 255)}}
	one, err := Change(rr, 5)
	if err != nil {
		t.Fatal(err)
	}
	changes := make([][]byte, 200)
	for i := range changes {
		changes[i] = one
	}
	for left, rounds := changes, 0; len(left) > 0; rounds++ {
		msg, n := AppendPush(nil, left)
		if n == 0 || len(msg) > MaxPush || rounds > 10 {
			t.Fatalf("%d changes in %d octets, round %d", n, len(msg), rounds)
		}
		left = left[n:]
	}
	for range 64 {
		rr.Txt = append(rr.Txt, rr.Txt[0])
	}
	if _, err := Change(rr, 5); err == nil {
		t.Error("a record is packed that fits into no PUSH")
	}
}

func TestPadTo(t *testing.T) {
	for n := range 1000 {
		if total := n + 4 + len(PadTo(468, n).Data); total%468 != 0 || total-n > 468+4 {
			t.Fatalf("%d octets are padded to %d", n, total)
		}
	}
}

func TestFrames(t *testing.T) {
	m := Message{ID: 1, TLVs: []TLV{Keepalive(0, 0)}}
	wire := AppendFrame(nil, m.Append)
	got, err := ReadFrame(bytes.NewReader(wire), nil, 100)
	if err != nil || !bytes.Equal(got, wire[2:]) {
		t.Errorf("%x, %v; want %x", got, err, wire[2:])
	}
	for _, c := range []struct {
		name string
		wire []byte
		want error
	}{
		{"the end", nil, io.EOF},
		{"half a length", wire[:1], io.ErrUnexpectedEOF},
		{"a length alone", wire[:2], io.ErrUnexpectedEOF},
		{"half a message", wire[:20], io.ErrUnexpectedEOF},
		{"no header", []byte{0, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, ErrLength},
		{"an empty message", []byte{0, 0}, ErrLength},
		{"too long", []byte{0, 101}, ErrLength},
	} {
		if _, err := ReadFrame(bytes.NewReader(c.wire), nil, 100); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Whatever comes in is read or refused, and what was read is written the same.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(octets(f, v.wire))
	}
	f.Add(octets(f, pushed))
	f.Fuzz(func(t *testing.T, wire []byte) {
		m, err := Parse(wire)
		if err != nil {
			if !errors.Is(err, ErrForm) && !errors.Is(err, ErrShort) {
				t.Errorf("%v is none of the errors", err)
			}
			return
		}
		again := m.Append(nil)
		if !bytes.Equal(again[4:], wire[4:]) || !bytes.Equal(again[:2], wire[:2]) {
			t.Errorf("%x is written as %x", wire, again)
		}
		for _, tlv := range m.TLVs {
			if !bytes.Equal(wire[tlv.At:tlv.At+len(tlv.Data)], tlv.Data) {
				t.Errorf("the %s TLV is not where it says", tlv.Type)
			}
			readData(t, wire, tlv)
		}
	})
}

func readData(t *testing.T, wire []byte, tlv TLV) {
	switch tlv.Type {
	case TypeKeepalive:
		if in, out, err := ParseKeepalive(tlv.Data); err == nil && !bytes.Equal(Keepalive(in, out).Data, tlv.Data) {
			t.Errorf("Keepalive %x is not written the same", tlv.Data)
		}
	case TypeSubscribe:
		q, err := ParseSubscribe(tlv.Data)
		if err != nil {
			return
		}
		if again, err := Subscribe(q); err != nil || !bytes.Equal(again.Data, tlv.Data) {
			t.Errorf("SUBSCRIBE %x is written as %x, %v", tlv.Data, again.Data, err)
		}
	case TypeReconfirm:
		q, rdata, err := ParseReconfirm(tlv.Data)
		if err != nil {
			return
		}
		if again, err := Reconfirm(q, rdata); err != nil || !bytes.Equal(again.Data, tlv.Data) {
			t.Errorf("RECONFIRM %x is written as %x, %v", tlv.Data, again.Data, err)
		}
	case TypePush:
		if rrs, err := ParsePush(wire, tlv); err == nil && len(rrs) == 0 {
			t.Error("a PUSH of nothing is taken")
		}
	}
}
