package audit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nameward/nameward/policy"
)

func FuzzWinsDat(f *testing.F) { fuzzKinds(f, KindWinsDat) }
func FuzzNetsh(f *testing.F)   { fuzzKinds(f, KindNetshDatabase, KindNetshDump) }
func FuzzDnscmd(f *testing.F)  { fuzzKinds(f, KindDnscmd) }
func FuzzReg(f *testing.F)     { fuzzKinds(f, KindReg) }
func FuzzCSV(f *testing.F)     { fuzzKinds(f, KindDNSCSV) }
func FuzzJSON(f *testing.F)    { fuzzKinds(f, KindDNSJSON) }
func FuzzHosts(f *testing.F)   { fuzzKinds(f, KindHosts, KindLMHosts) }
func FuzzZone(f *testing.F)    { fuzzKinds(f, KindZone) }

// FuzzDetect checks that telling the kind never fails.
func FuzzDetect(f *testing.F) {
	addSamples(f, Kinds...)
	f.Fuzz(func(_ *testing.T, text []byte) { _ = detect("x", text).String() })
}

func addSamples(f *testing.F, kinds ...Kind) {
	for _, sample := range samples {
		for _, kind := range kinds {
			if sample.kind != kind {
				continue
			}
			text, err := os.ReadFile(filepath.Join("testdata", sample.file))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// fuzzKinds reads any octets as some kinds: nothing panics, what comes out is well formed, and nothing
// comes behind a fatal problem.
func fuzzKinds(f *testing.F, kinds ...Kind) {
	addSamples(f, kinds...)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range kinds {
			fatal := false
			for r, err := range read(t, kind, "f", text, Options{Origin: "corp.example"}) {
				if fatal {
					t.Fatal("something comes behind a fatal problem")
				}
				fatal = checkOne(t, r, err)
			}
		}
	})
}

// checkOne checks a record or problem and reports whether it is a fatal one.
func checkOne(t *testing.T, r *Record, err error) (fatal bool) {
	var problem *Problem
	switch {
	case err != nil && !errors.As(err, &problem):
		t.Fatalf("%v is no Problem", err)
	case err != nil:
		return problem.Fatal
	case (r.DNS == "") != r.NetBIOS.IsValid(), r.Channel == 0, r.Type == 0, r.Place.Line == 0:
		t.Fatalf("the record is not whole: %+v", r)
	case r.NetBIOS.IsValid() && (r.Type != policy.TypeNB || r.NetBIOS != r.NetBIOS.Fold()):
		t.Fatalf("the NetBIOS name is not folded: %+v", r)
	}
	for _, addr := range r.Addrs {
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			t.Fatalf("address %v", addr)
		}
	}
	return false
}
