package netbios

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// addCaptured seeds a fuzz target with every captured packet.
func addCaptured(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		_, packets := vectors(f, path)
		for _, b := range packets {
			f.Add(b)
		}
	}
}

func FuzzParse(f *testing.F) {
	addCaptured(f)
	for _, tt := range forms {
		b, _ := tt.msg.Append(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !slices.Contains(Reasons(), Reason(err)) {
				t.Fatalf("error %v has the reason %q", err, Reason(err))
			}
			return
		}
		out, err := m.Append(nil)
		if err != nil {
			t.Fatalf("parsed but not appended: %v", err)
		}
		again, err := Parse(out)
		if diff := cmp.Diff(m, again, equal); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		if twice, _ := again.Append(nil); !bytes.Equal(out, twice) {
			t.Fatalf("octets differ:\n%x\n%x", out, twice)
		}
	})
}

// FuzzParseRequest checks that the three readers agree on requests.
func FuzzParseRequest(f *testing.F) {
	addCaptured(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, q, questionErr := ParseQuestion(b)
		m, err := ParseRequest(b)
		if err != nil {
			return
		}
		if questionErr != nil || h != m.Header || q != m.Questions[0] {
			t.Fatalf("ParseRequest gives %+v, ParseQuestion %+v, %+v, %v", m, h, q, questionErr)
		}
		if c, ok := m.Claim(); m.Opcode != OpQuery && (!ok || len(c.Addrs) == 0 || c.Name != q.Name) {
			t.Fatalf("claim %+v, %v", c, ok)
		}
	})
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"MAIL", "MAIL<20>", "MAIL<1b>.scope.example", "*", `*\x20<00>`, `\x01\x02__MSBROWSE__\x02<01>`, `\\`} {
		f.Add(s)
	}
	paths, _ := filepath.Glob("testdata/*.hex")
	for _, path := range paths {
		_, packets := vectors(f, path)
		for _, b := range packets {
			if _, q, err := ParseQuestion(b); err == nil {
				f.Add(q.Name.String())
			}
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Fatalf("%q gives %v, read back %v, %v", s, n, again, err)
		}
		b := append(make([]byte, headerLen), appendName(nil, n)...)
		if wire, next, err := decodeName(b, headerLen); err != nil || wire != n || next != len(b) {
			t.Fatalf("%v on the wire: %v, %d of %d, %v", n, wire, next, len(b), err)
		}
		if f := n.Fold(); f.Fold() != f {
			t.Fatalf("folding %v twice gives %v", f, f.Fold())
		}
	})
}
