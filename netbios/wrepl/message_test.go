package wrepl

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios/wins"
)

// vectors returns the messages of captures between two servers of Samba, without the length in front, and for each its
// packet number.
func vectors(t testing.TB) map[string][]vector {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	out := map[string][]vector{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".hex")
		for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
			number, digits, _ := strings.Cut(lines.Text(), " ")
			b, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatalf("%s: packet %s: %v", path, number, err)
			}
			out[name] = append(out[name], vector{number, b})
		}
	}
	return out
}

// vector is a message with its length in front.
type vector struct {
	number string
	octets []byte
}

func TestCaptures(t *testing.T) {
	want := map[string]map[string]int{
		"s4-wrepl-pull-all":    {"start": 1, "start-reply": 1, "table-query": 1, "table": 1, "record-query": 1, "records": 1},
		"s4-wrepl-two-servers": {"start": 3, "start-reply": 3, "table-query": 4, "table": 4, "record-query": 4, "records": 4, "inform": 2},
	}
	got := map[string]map[string]int{}
	for name, list := range vectors(t) {
		got[name] = map[string]int{}
		for _, v := range list {
			m, err := Parse(v.octets[4:])
			if err != nil {
				t.Fatalf("%s, packet %s: %v", name, v.number, err)
			}
			got[name][m.Body.String()]++
			if out := m.Append(nil); !bytes.Equal(out, v.octets) {
				t.Errorf("%s, packet %s:\n got %x\nfrom %x", name, v.number, out, v.octets)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestCapturedRecords reads what a server has after names of all kinds were registered.
func TestCapturedRecords(t *testing.T) {
	list := vectors(t)["s4-wrepl-pull-all"]
	m, err := Parse(list[len(list)-1].octets[4:])
	if err != nil {
		t.Fatal(err)
	}
	server := wins.IPv4{10, 99, 0, 2}
	var got []string
	for _, r := range m.Body.(*RecordReply).Records {
		rec, err := r.record(server, wins.IPv4{10, 99, 0, 21})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, words(&rec))
		back, err := recordOf(&rec, wins.IPv4{9, 9, 9, 9})
		if diff := cmp.Diff(plain(r), plain(back)); err != nil || diff != "" {
			t.Errorf("%v, on the wire again (-want +got):\n%s", err, diff)
		}
	}
	want := []string{
		"TVG<00> group active H 2: 10.99.0.11 of 10.99.0.2",
		"TVDOM<1b> unique active H 3: 10.99.0.11 of 10.99.0.2",
		"TVDOM<1c> internet active H 5: 10.99.0.12 of 10.99.0.2",
		"TVK1<00> unique active H 6: 10.99.0.11 of 10.99.0.2",
		"TVK2<00> unique active H 8: 10.99.0.12 of 10.99.0.2",
		"TVK3<00> unique active H 10: 10.99.0.12 of 10.99.0.2",
		"TVM1<00> multihomed active H 12: 10.99.0.11 of 10.99.0.2, 10.99.0.12 of 10.99.0.2",
		"TVM2<00> unique active H 13: 10.99.0.11 of 10.99.0.2",
		"IMPACKET1<00> unique active H 14: 10.99.0.11 of 10.99.0.2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// plain is a record without the owners that the wire does not have.
func plain(r Record) Record {
	r.Members = append([]Member(nil), r.Members...)
	if !listsMembers(r.Flags.Kind()) {
		for i := range r.Members {
			r.Members[i].Owner = wins.IPv4{}
		}
	}
	return r
}

// words is a record in a line: "MAIL<20> unique active H 3: 192.0.2.11 of 192.0.2.53".
func words(r *wins.Record) string {
	var members []string
	for _, m := range r.Members() {
		members = append(members, m.Addr.String()+" of "+m.Owner.String())
	}
	out := []string{r.Name.String(), r.Kind.String(), r.State.String(), r.Node.String()[:1]}
	if r.Static {
		out = append(out, "static")
	}
	return strings.Join(out, " ") + " " + number(r.Version) + ": " + strings.Join(members, ", ")
}

func TestParse(t *testing.T) {
	record := func(change func(*Record)) []byte {
		r := Record{Label: "MAIL            \x00", Tail: usualTail, Members: []Member{{Addr: wins.IPv4{192, 0, 2, 1}}}}
		change(&r)
		return Message{Handle: 1, Body: &RecordReply{Records: []Record{r}}}.Append(nil)[4:]
	}
	good := record(func(*Record) {})
	with25 := record(func(r *Record) { r.Flags |= Flags(wins.Multihomed) })
	with25[60] = 25 // where the number of members stands
	for _, tt := range []struct {
		name string
		b    []byte
		err  error
	}{
		{"nothing", nil, ErrShort},
		{"a header that is cut off", make([]byte, 11), ErrShort},
		{"a record", good, nil},
		{"a record that is cut off", good[:len(good)-1], ErrCount},
		{"4 G records", append(append(bytes.Clone(good[:16]), 0xff, 0xff, 0xff, 0xff), good[20:]...), ErrCount},
		{"a name of 16 octets", record(func(r *Record) { r.Label = r.Label[:16] }), ErrName},
		{"a name of 256 octets", record(func(r *Record) { r.Label = strings.Repeat("A", 256) }), ErrName},
		{"a name of 255 octets", record(func(r *Record) { r.Label = strings.Repeat("A", 255) }), nil},
		{"a name of 4 G octets", append(append(bytes.Clone(good[:20]), 0xff, 0xff, 0xff, 0xff), good[24:]...), ErrName},
		{"a name of 20 octets has four of padding", record(func(r *Record) { r.Label = "MAIL            .AB\x00" }), nil},
		{"25 members that are not there", with25, ErrShort},
		{"owners that are not there", appendU32(nil, opcode, 0, typeReplication, uint32(TableReply), 1), ErrCount},
		{"a type that is not known", appendU32(nil, opcode, 0, 7, 8, 9), nil},
		{"a command that is not known", appendU32(nil, opcode, 0, typeReplication, 77, 8, 9), nil},
		{"a table query with more behind it", appendU32(nil, opcode, 0, typeReplication, 0, 8), nil},
		{"a start without padding", appendU32(nil, opcode, 0, typeStart, 5, 2<<16|5), nil},
		{"a start with other padding", appendU32(nil, opcode, 0, typeStart, 5, 2<<16|5, 1), nil},
		{"a stop", appendU32(nil, opcode, 0, typeStop, 4), nil},
	} {
		m, err := Parse(tt.b)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if err == nil {
			if again := m.Append(nil)[4:]; !bytes.Equal(again, tt.b) {
				t.Errorf("%s:\n got %x\nfrom %x", tt.name, again, tt.b)
			}
		}
	}
}

func TestLabel(t *testing.T) {
	for _, tt := range []struct{ name, label, back string }{
		{"MAIL<20>", "MAIL            \x00", ""},
		{"CORP<1b>", "\x1bORP           C\x00", ""},
		{"MAIL<00>.A.B", "MAIL           \x00.A.B\x00", ""},
		{`MAIL<00>.A\x20`, "", ""}, // cannot be told
		{"", "MAIL           \x00\x00A.B\x00", "MAIL<00>.A.B"},
		{"", "MAIL           \x00A.B\x00", "MAIL<00>.A.B"},
		{"", "MAIL           \x00" + strings.Repeat("A", 64) + "\x00", "error"},
		{"", "MAIL           \x00.A..B\x00", "error"},
	} {
		if tt.name != "" {
			n := mustName(t, tt.name)
			label, err := labelOf(n)
			if (err != nil) != (tt.label == "") || label != tt.label {
				t.Errorf("%s: label %q, %v, want %q", tt.name, label, err, tt.label)
			}
			if tt.back = tt.name; err != nil {
				continue
			}
		}
		r := Record{Label: tt.label}
		got, err := r.Name()
		if text := got.String(); err == nil && text != tt.back || (err != nil) != (tt.back == "error") {
			t.Errorf("%q: %s, %v, want %s", tt.label, text, err, tt.back)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, list := range vectors(f) {
		for _, v := range list {
			f.Add(v.octets[4:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		out := m.Append(nil)[4:]
		again, err := Parse(out)
		if diff := cmp.Diff(m, again); m.Opcode != 0 && (err != nil || diff != "") {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		reply, ok := m.Body.(*RecordReply)
		if !ok {
			return
		}
		for _, r := range reply.Records {
			rec, err := r.record(wins.IPv4{192, 0, 2, 1}, wins.IPv4{192, 0, 2, 2})
			if err != nil {
				continue
			}
			wire, err := recordOf(&rec, wins.IPv4{192, 0, 2, 2})
			if err != nil {
				continue
			}
			back, err := wire.record(wins.IPv4{192, 0, 2, 1}, wins.IPv4{192, 0, 2, 2})
			if err != nil || !back.Equal(&rec) {
				t.Fatalf("%s came back as %s, %v", words(&rec), words(&back), err)
			}
		}
	})
}
