package audit

import (
	"bytes"
	"fmt"
	"testing"
)

// benchLines is enough for a figure of a line; a million of them is what the bound of 1.5 s is about.
const benchLines = 100_000

func benchmarkKind(b *testing.B, kind Kind, head, format, tail string) {
	var text bytes.Buffer
	text.WriteString(head)
	for i := range benchLines {
		fmt.Fprintf(&text, format, i, i>>16&255, i>>8&255, i&255)
	}
	text.WriteString(tail)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range read(b, kind, "f", text.Bytes(), Options{Origin: "corp.example"}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != benchLines {
			b.Fatalf("%d records", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchLines, "ns/line")
}

func BenchmarkWinsDat(b *testing.B) {
	benchmarkKind(b, KindWinsDat, "VERSION 1 0\n", "\"HOST%06[1]d#20\" 17956%05[1]d 10.%[2]d.%[3]d.%[4]d 64R\n", "")
}

func BenchmarkZone(b *testing.B) {
	benchmarkKind(b, KindZone, "", "host%06d IN A 10.%d.%d.%d\n", "")
}

func BenchmarkDnscmd(b *testing.B) {
	benchmarkKind(b, KindDnscmd, "", "host%06d [Aging:3731131] 1200 A 10.%d.%d.%d\n", "")
}

func BenchmarkCSV(b *testing.B) {
	benchmarkKind(b, KindDNSCSV, "HostName,RecordType,Timestamp,Data\n", "\"host%06d\",\"A\",\"\",\"10.%d.%d.%d\"\n", "")
}

func BenchmarkJSON(b *testing.B) {
	benchmarkKind(b, KindDNSJSON, "[{\"HostName\":\"ns\",\"RecordType\":\"NS\"}\n", ",{\"HostName\":\"host%06d\",\"RecordType\":\"A\",\"Data\":\"10.%d.%d.%d\"}\n", "]")
}

func BenchmarkNetshDatabase(b *testing.B) {
	benchmarkKind(b, KindNetshDatabase, "NAME -T-S- VERSION -G- IP ADDRESS - EXPIRATION DATE\n",
		"HOST%06d     [20h]-D-A- 1a3 -U- 11.%d.%d.%d - 6/12/2026 10:22:13 AM\n", "Command completed successfully.\n")
}
