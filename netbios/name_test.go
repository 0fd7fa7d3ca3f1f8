package netbios

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	longScope := strings.Repeat("a.", 118) + "b" // 237 octets
	tests := []struct {
		name, text string
		octets     string
		scope      string
		want       string // String, if it is not text
	}{
		{name: "no suffix", text: "MAIL", octets: "MAIL           \x00", want: "MAIL<00>"},
		{name: "suffix", text: "MAIL<20>", octets: "MAIL           \x20"},
		{name: "upper case digits", text: "LAB<1B>", octets: "LAB            \x1b", want: "LAB<1b>"},
		{name: "nothing folded", text: "Mail<00>", octets: "Mail           \x00"},
		{name: "scope", text: "MAIL<1b>.scope.example", octets: "MAIL           \x1b", scope: "scope.example"},
		{name: "longest scope", text: "A<00>." + longScope, octets: "A              \x00", scope: longScope},
		{name: "longest label", text: "A<00>." + strings.Repeat("x", 63), octets: "A              \x00", scope: strings.Repeat("x", 63)},
		{name: "dot in a label", text: `A<00>.b\x2ec`, octets: "A              \x00", scope: `b\x2ec`},
		{name: "15 octets", text: "ABCDEFGHIJKLMNO<03>", octets: "ABCDEFGHIJKLMNO\x03"},
		{name: "wildcard", text: "*", octets: "*\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", want: "*<00>"},
		{name: "wildcard with suffix", text: "*<20>", octets: "*\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20"},
		{name: "star padded with a space", text: `*\x20<00>`, octets: "*              \x00"},
		{name: "star in a name", text: "*SMBSERVER<20>", octets: "*SMBSERVER     \x20"},
		{name: "browser", text: `\x01\x02__MSBROWSE__\x02<01>`, octets: "\x01\x02__MSBROWSE__\x02\x01"},
		{name: "space inside", text: "MY NAME<00>", octets: "MY NAME        \x00"},
		{name: "space in front", text: `\x20A<00>`, octets: " A             \x00"},
		{name: "trailing space is padding", text: "A <00>", octets: "A              \x00", want: "A<00>"},
		{name: "only spaces", text: `\x20<00>`, octets: "               \x00"},
		{name: "NUL at the end", text: `A\x00<00>`, octets: "A\x00             \x00"},
		{name: "backslash", text: `A\\B<00>`, octets: "A\\B            \x00"},
		{name: "code page", text: `M\xdcLL<00>`, octets: "M\xdcLL           \x00"},
		{name: "dot and brackets", text: `A\x2e\x3c\x3e<00>`, octets: "A.<>           \x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := ParseName(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := n.Octets(); string(got[:]) != tt.octets {
				t.Errorf("octets %q, want %q", got, tt.octets)
			}
			if got := n.Scope(); got != tt.scope {
				t.Errorf("scope %q, want %q", got, tt.scope)
			}
			want := tt.want
			if want == "" {
				want = tt.text
			}
			if got := n.String(); got != want {
				t.Errorf("String %q, want %q", got, want)
			}
			if again, err := ParseName(n.String()); err != nil || again != n {
				t.Errorf("read back %v (%v), want %v", again, err, n)
			}
		})
	}
}

func TestParseNameErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "name is empty"},
		{"only a suffix", "<20>", "name is empty"},
		{"16 octets", "ABCDEFGHIJKLMNOP", "has 16 octets, at most 15"},
		{"dot without suffix", "MAIL.corp", `must be written as \x2e`},
		{"control character", "A\x01", `must be written as \x01`},
		{"UTF-8", "MÜLL", `must be written as \xc3`},
		{"suffix not closed", "MAIL<20", "bad suffix"},
		{"suffix of one digit", "MAIL<2>", "bad suffix"},
		{"suffix not hexadecimal", "MAIL<xy>", "bad suffix"},
		{"suffix with a sign", "MAIL<+1>", "bad suffix"},
		{"text after the suffix", "MAIL<20>x", "after the suffix"},
		{"empty scope", "MAIL<20>.", "after the suffix"},
		{"empty label", "MAIL<20>.a..b", "has 0 octets"},
		{"label of 64 octets", "MAIL<20>." + strings.Repeat("x", 64), "has 64 octets"},
		{"scope of 239 octets", "MAIL<20>." + strings.Repeat("a.", 119) + "b", "scope has 239 octets"},
		{"second suffix", "MAIL<20>.a<20>", "must be written as"},
		{"bad escape", `MAIL\n`, "bad escape"},
		{"short escape", `MAIL\x1`, "bad escape"},
		{"backslash at the end", `MAIL\`, "bad escape"},
		{"bracket in the base", "A>B", `must be written as \x3e`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := ParseName(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want an error with %q", n, err, tt.want)
			}
		})
	}
}

func TestNewName(t *testing.T) {
	n, err := NewName("MAIL", 0x20, "scope.example")
	if err != nil || n != MustParseName("MAIL<20>.scope.example") {
		t.Errorf("got %v, %v", n, err)
	}
	if n, err := NewName("A.B", 0, ""); err != nil || n.Base() != "A.B" {
		t.Errorf("base is not taken as it is: %v, %v", n, err)
	}
	if _, err := NewName("SIXTEEN-OCTETS-X", 0, ""); err == nil || !strings.Contains(err.Error(), "at most 15") {
		t.Errorf("got %v, want an error that tells the limit", err)
	}
	if _, err := NewName("A", 0, "a..b"); err == nil {
		t.Error("bad scope taken")
	}
}

func TestNameZero(t *testing.T) {
	var zero Name
	if zero.IsValid() || zero.String() != "invalid Name" || zero.WithSuffix(3) != zero {
		t.Errorf("zero Name: valid %v, %q", zero.IsValid(), zero)
	}
	if n := NameFromOctets([16]byte{}); !n.IsValid() || n == zero {
		t.Error("the name of 16 NULs is taken for the zero Name")
	}
}

func TestNameFold(t *testing.T) {
	n := MustParseName("mail-1<61>.Scope.example").Fold()
	// Suffix 0x61 is the letter 'a' and stays.
	if want := MustParseName("MAIL-1<61>.SCOPE.EXAMPLE"); n != want {
		t.Errorf("got %v, want %v", n, want)
	}
	if n.WithSuffix(0x20).Suffix() != 0x20 {
		t.Error("suffix not replaced")
	}
}

func TestNameCompare(t *testing.T) {
	ordered := []string{"A<00>", "A<20>", "A<20>.a", "A<20>.b", "B<00>"}
	for i, a := range ordered {
		for j, b := range ordered {
			got := MustParseName(a).Compare(MustParseName(b))
			if want := min(1, max(-1, i-j)); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestNameJSON(t *testing.T) {
	type file struct{ Name, None Name }
	in := file{Name: MustParseName(`\x01\x02__MSBROWSE__\x02<01>`)}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out file
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s: got %v, %v, want %v", b, out, err, in)
	}
	if err := json.Unmarshal([]byte(`{"Name":"MAIL<2>"}`), &out); err == nil {
		t.Error("bad text taken")
	}
	if _, err := (Name{kind: kindDomain}).MarshalText(); err == nil {
		t.Error("a domain name has a text form that cannot be read back")
	}
}
