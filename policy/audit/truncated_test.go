package audit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTruncated cuts every sample at every octet. Nothing panics, and the records before the cut are the
// same; the last one may want what was cut off. What a .reg file tells depends on all of it.
func TestTruncated(t *testing.T) {
	for _, sample := range samples {
		t.Run(sample.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", sample.file))
			if err != nil {
				t.Fatal(err)
			}
			whole := recordsOnly(list(read(t, sample.kind, sample.file, text, sample.opts)))
			for cut := range text {
				got := recordsOnly(list(read(t, sample.kind, sample.file, text[:cut], sample.opts)))
				if sample.kind == KindReg {
					continue
				}
				for i := range beforeLastLine(got) {
					if i >= len(whole) || got[i] != whole[i] {
						t.Fatalf("cut at octet %d: record %d is %q", cut, i, got[i])
					}
				}
			}
		})
	}
}

// beforeLastLine is how many of the records do not stand in the line of the last one.
func beforeLastLine(records []string) int {
	n := len(records)
	for n > 0 && lineOf(records[n-1]) == lineOf(records[len(records)-1]) {
		n--
	}
	return n
}

func lineOf(record string) string {
	line, _, _ := strings.Cut(record, ":")
	return line
}

func recordsOnly(text string) (records []string) {
	for line := range strings.Lines(text) {
		if line[0] >= '0' && line[0] <= '9' {
			records = append(records, line)
		}
	}
	return records
}

// TestCutOff checks that a cut that is certain is told.
func TestCutOff(t *testing.T) {
	for _, tt := range []struct {
		test string
		kind Kind
		text string
	}{
		{"wins.dat in the flags", KindWinsDat, "VERSION 1 0\n\"A#20\" 1 10.9.0.1 6"},
		{"wins.dat in the name", KindWinsDat, "VERSION 1 0\n\"A#2"},
		{"netsh database in an address", KindNetshDatabase, "NAME -T-S- VERSION -G- IP ADDRESS\nA [20h]-D-A- 1 -U- 10.9.0.1"},
		{"netsh dump in the braces", KindNetshDump, `add name Name="A" EndChar=20 IP={10.9`},
		{"zone in a parenthesis", KindZone, "$ORIGIN corp.example.\n@ SOA a. b. (\n1 2"},
		{"zoneprint without its end", KindDnscmd, "; Zone: corp.example\n; Server: dc1\nmail 600 A 10.9.0.1\n"},
		{"enumrecords in a record", KindDnscmd, "; Zone: corp.example\nmail 600 A 10.9.0.1"},
		{"CSV in a row", KindDNSCSV, "HostName,RecordType,Data\nmail,A"},
		{"CSV in a quoted field", KindDNSCSV, "HostName,RecordType,Data\nmail,A,\"10.9"},
		{"JSON between elements", KindDNSJSON, `[{"HostName":"ns","RecordType":"NS"},`},
		{"JSON in an element", KindDNSJSON, `[{"HostName":"ns"`},
		{"JSON in a single object", KindDNSJSON, `{"HostName":"ns"`},
		{"reg in a continued value", KindReg, "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM]\n\"A\"=hex(7):31,\\\n"},
		{"reg in a key", KindReg, "REGEDIT4\n\n[HKEY_LOCAL_MACH"},
		{"reg in a value", KindReg, "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM]\n\"Hostna"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			got := list(read(t, tt.kind, "f", []byte(tt.text), Options{}))
			if !strings.Contains(got, "cut off") || !strings.Contains(got, "FATAL f") {
				t.Errorf("the cut is not told:\n%s", got)
			}
		})
	}
}

// TestLongLines checks the bound of a line in every form that has lines.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+10)
	for _, tt := range []struct {
		kind          Kind
		head, after   string
		wantAfter     string
		wantIsLongest string
	}{
		{KindWinsDat, "VERSION 1 0\n", "\"A#20\" 0 10.9.0.1 64R\n", "3: wins A<20>", "f:2: the line is longer"},
		{KindHosts, "", "10.9.0.1 mail\n", "2: answer mail.", "f:1: the line is longer"},
		{KindLMHosts, "", "10.9.0.1 MAIL\n", "2: answer MAIL<00>", "f:1: the line is longer"},
		{KindZone, "$ORIGIN corp.example.\n", "mail A 10.9.0.1\n", "3: transfer mail.corp.example.", "f:2: the line is longer"},
		{KindDnscmd, "Enumerated zone: corp.example\n", "mail 600 A 10.9.0.1\n", "3: transfer mail.corp.example.", "f:2: the line is longer"},
		{KindNetshDump, "", "add name Name=A EndChar=20 IP={10.9.0.1}\n", "2: wins A<20>", "f:1: the line is longer"},
		{KindDNSCSV, "HostName,RecordType,Data,ZoneName\n", "mail,A,10.9.0.1,corp.example\n", "3: transfer mail.corp.example.", "f:2: the line is longer"},
	} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			got := list(read(t, tt.kind, "f", []byte(tt.head+long+"\n"+tt.after), Options{}))
			if !strings.Contains(got, tt.wantAfter) || !strings.Contains(got, tt.wantIsLongest) {
				t.Errorf("got\n%s", got)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		got := list(read(t, KindDNSJSON, "f", []byte(`[{"HostName":"`+long+long+`"}]`), Options{}))
		if !strings.Contains(got, "an element is longer") {
			t.Errorf("got\n%s", got)
		}
	})
}

// TestStops checks that nothing comes behind a yield that was answered with false.
func TestStops(t *testing.T) {
	for _, sample := range samples {
		t.Run(sample.file, func(t *testing.T) {
			s := openFileOf(t, sample.file, sample.opts)
			for range s.Records() { // a second call of yield would panic
				break
			}
		})
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &Source{Name: "f", Kind: KindHosts, ctx: ctx}
	text := strings.Repeat("10.9.0.1 mail\n", bufferSize)
	s.in = newBuffered(&countingReader{ctx: ctx, r: strings.NewReader(text), offset: &s.offset})
	records, last := 0, ""
	for r, err := range s.Records() {
		cancel()
		if err != nil {
			last = problemLine(err)
		}
		if r != nil {
			records++
		}
	}
	if records == 0 || records == bufferSize || !strings.Contains(last, "FATAL") || !strings.Contains(last, context.Canceled.Error()) {
		t.Errorf("%d records, then %q", records, last)
	}
	if s.Offset() == 0 || s.Offset() >= int64(len(text)) {
		t.Errorf("offset %d", s.Offset())
	}
}
