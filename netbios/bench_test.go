package netbios

import "testing"

func BenchmarkParseQuestion(b *testing.B) {
	packet, _ := NewQuery(1, mail).Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseQuestion(packet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPositiveQueryResponse(b *testing.B) {
	buf := make([]byte, 0, MaxDatagram)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPositiveQueryResponse(buf[:0], 1, mail, 300, addr1)
	}
}

func BenchmarkNodeStatusResponse(b *testing.B) {
	buf, names := make([]byte, 0, MaxDatagram), makeNames(8)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendNodeStatusResponse(buf[:0], 1, mail, [6]byte{}, names...)
	}
}

// BenchmarkQuery is the whole of a query in a server but the look-up.
func BenchmarkQuery(b *testing.B) {
	packet, _ := NewQuery(1, mail).Append(nil)
	buf := make([]byte, 0, MaxDatagram)
	b.ReportAllocs()
	for b.Loop() {
		h, q, err := ParseQuestion(packet)
		if err != nil {
			b.Fatal(err)
		}
		buf = AppendPositiveQueryResponse(buf[:0], h.ID, q.Name.Fold(), 300, addr1)
	}
}

func BenchmarkParseRegistration(b *testing.B) {
	packet, _ := NewRegistration(1, mail, 300, addr1).Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(packet); err != nil {
			b.Fatal(err)
		}
	}
}
