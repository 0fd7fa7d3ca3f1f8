package audit

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the .want files anew")

// list writes what comes of a source, a line for each record and problem.
func list(records iter.Seq2[*Record, error]) string {
	var out strings.Builder
	for r, err := range records {
		if err != nil {
			out.WriteString(problemLine(err))
			continue
		}
		out.WriteString(recordLine(r))
	}
	return out.String()
}

func problemLine(err error) string {
	var problem *Problem
	switch {
	case !errors.As(err, &problem):
		return fmt.Sprintf("not a Problem: %v\n", err)
	case problem.Fatal:
		return fmt.Sprintf("FATAL %v\n", err)
	}
	return fmt.Sprintf("problem %v\n", err)
}

func recordLine(r *Record) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d: %s %s %s %v", r.Place.Line, r.Channel, r.Name(), r.TypeName(), r.Addrs)
	field := func(has bool, format string, args ...any) {
		if has {
			fmt.Fprintf(&out, " "+format, args...)
		}
	}
	field(r.Static, "static")
	field(r.Group, "group")
	field(!r.Since.IsZero(), "since %s", stamp(r.Since))
	field(r.Source.IsValid(), "from %s", r.Source)
	field(r.Zone != "", "zone %s", r.Zone)
	field(r.Detail != "", "(%s)", r.Detail)
	return out.String() + "\n"
}

// openFileOf opens a file of testdata.
func openFileOf(t *testing.T, name string, opts Options) *Source {
	t.Helper()
	s, err := Open(t.Context(), filepath.ToSlash(filepath.Join("testdata", name)), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// read reads text as a kind.
func read(t testing.TB, kind Kind, name string, text []byte, opts Options) iter.Seq2[*Record, error] {
	t.Helper()
	s := &Source{Name: name, Kind: kind, ctx: t.Context(), opts: opts}
	s.in = newBuffered(&countingReader{ctx: t.Context(), r: bytes.NewReader(text), offset: &s.offset})
	return s.Records()
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestSamples reads every file of testdata and compares with the .want beside it, which is reviewed by
// hand when it is written anew.
func TestSamples(t *testing.T) {
	for _, sample := range samples {
		t.Run(sample.file, func(t *testing.T) {
			s := openFileOf(t, sample.file, sample.opts)
			if s.Kind != sample.kind {
				t.Fatalf("kind %s, want %s", s.Kind, sample.kind)
			}
			got := list(s.Records()) + fmt.Sprintf("passed over: %d\n", s.PassedOver())
			wantFile := filepath.Join("testdata", sample.file+".want")
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			wantText(t, got, string(want))
			if s.Size == 0 || s.Offset() > s.Size {
				t.Errorf("offset %d of %d", s.Offset(), s.Size)
			}
		})
	}
}

var samples = []struct {
	file string
	kind Kind
	opts Options
}{
	{"wins.dat", KindWinsDat, Options{}},
	{"wins-static.dat", KindWinsDat, Options{}},
	{"netsh-database.txt", KindNetshDatabase, Options{}},
	{"netsh-dump.txt", KindNetshDump, Options{}},
	{"netsh-dump-utf16be.txt", KindNetshDump, Options{}},
	{"corp.example.zone", KindZone, Options{}},
	{"dnscmd-zoneprint.txt", KindDnscmd, Options{}},
	{"dnscmd-enumrecords.txt", KindDnscmd, Options{Origin: "0.9.10.in-addr.arpa"}},
	{"dns.csv", KindDNSCSV, Options{}},
	{"dns-useless.csv", KindDNSCSV, Options{}},
	{"dns.json", KindDNSJSON, Options{}},
	{"ex1.reg", KindReg, Options{}},
	{"ex1-utf16.reg", KindReg, Options{}},
	{"ex1-query.txt", KindReg, Options{}},
	{"hosts", KindHosts, Options{}},
	{"lmhosts", KindLMHosts, Options{}},
}
