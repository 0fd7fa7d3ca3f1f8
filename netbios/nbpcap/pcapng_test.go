package nbpcap

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// block returns a pcapng block in the byte order; the fields are octets, uint16 and uint32.
func block(order binary.AppendByteOrder, typ uint32, fields ...any) []byte {
	var body []byte
	for _, f := range fields {
		switch v := f.(type) {
		case uint16:
			body = order.AppendUint16(body, v)
		case uint32:
			body = order.AppendUint32(body, v)
		case uint64:
			body = order.AppendUint64(body, v)
		case []byte:
			body = append(body, v...)
		}
	}
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(len(body) + blockFrame)
	b := order.AppendUint32(order.AppendUint32(nil, typ), n)
	return order.AppendUint32(append(b, body...), n)
}

func section(order binary.AppendByteOrder) []byte {
	return block(order, blockSection, uint32(byteOrderMagic), uint16(1), uint16(0), ^uint64(0))
}

// rawFrame is the node status request of a capture, as raw IPv4.
func rawFrame(t *testing.T) []byte {
	t.Helper()
	packets, err := ReadFile("../testdata/nmbd-node-status.pcap")
	if err != nil {
		t.Fatal(err)
	}
	return write(t, packets[0])[24+16:] // headers of file and frame
}

func TestPcapNGBlocks(t *testing.T) {
	data := rawFrame(t)
	n := uint32(len(data))
	const raw = uint16(101)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		micro := block(order, blockInterface, raw, uint16(0), uint32(0))
		nano := block(order, blockInterface, raw, uint16(0), uint32(0),
			uint16(optionTSOffset), uint16(8), uint64(100), uint16(optionTSResol), uint16(1), []byte{9, 0, 0, 0}, uint16(0), uint16(0))
		file := [][]byte{
			section(order), micro, nano,
			block(order, 0x0bad, []byte("skipped")),
			block(order, blockEnhanced, uint32(0), uint32(0), uint32(1500000), n, n, data),
			block(order, blockEnhanced, uint32(1), uint32(0), uint32(1500000000), n, n, data),
			block(order, blockPacket, uint16(1), uint16(0), uint32(0), uint32(7), n, n, data),
			block(order, blockSimple, n, data),
			section(order), micro,
			block(order, blockSimple, n, data),
		}
		var all []byte
		for _, b := range file {
			all = append(all, b...)
		}
		packets, err := readAll(all)
		if err != nil || len(packets) != 5 {
			t.Fatalf("%v: %d packets, %v", order, len(packets), err)
		}
		times := []time.Time{
			time.Unix(1, 5e8), time.Unix(101, 5e8), time.Unix(100, 7), {}, {},
		}
		for i, p := range packets {
			if !p.Time.Equal(times[i]) || p.Err != nil || p.Number != i+1 {
				t.Errorf("%v: packet %d at %v (%v), want %v", order, p.Number, p.Time, p.Err, times[i])
			}
		}
	}
}

func TestPcapNGDamage(t *testing.T) {
	le := binary.LittleEndian
	iface := block(le, blockInterface, uint16(101), uint16(0), uint32(0))
	wrongTail := block(le, blockSimple, uint32(0))
	wrongTail[len(wrongTail)-4]++
	tests := []struct {
		name   string
		blocks [][]byte
		want   string
	}{
		{"no interface", [][]byte{block(le, blockSimple, uint32(0))}, "interface 0, of 0"},
		{"unknown interface", [][]byte{iface, block(le, blockEnhanced, make([]byte, 4*5), []byte{1}), block(le, blockEnhanced, ^uint32(0), make([]byte, 16))}, "interface 4294967295"},
		{"short enhanced block", [][]byte{iface, block(le, blockEnhanced, uint32(0))}, "too short"},
		{"short packet block", [][]byte{iface, block(le, blockPacket, uint32(0))}, "too short"},
		{"short simple block", [][]byte{iface, block(le, blockSimple)}, "too short"},
		{"short interface block", [][]byte{block(le, blockInterface, uint32(0))}, "too short"},
		{"frame longer than its block", [][]byte{iface, block(le, blockEnhanced, uint32(0), uint64(0), ^uint32(0), uint32(0))}, "too short"},
		{"lengths differ", [][]byte{iface, wrongTail}, "ends with the length"},
		{"length of 8", [][]byte{iface, {1, 0, 0, 0, 8, 0, 0, 0}}, "block of 8 octets"},
		{"length of 13", [][]byte{iface, {1, 0, 0, 0, 13, 0, 0, 0}}, "block of 13 octets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := section(le)
			for _, b := range tt.blocks {
				all = append(all, b...)
			}
			if _, err := readAll(all); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "packet ") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	many := section(le)
	for range maxInterfaces + 1 {
		many = append(many, iface...)
	}
	if _, err := readAll(many); err == nil || !strings.Contains(err.Error(), "more than 1024 interfaces") {
		t.Errorf("many interfaces: %v", err)
	}
}

func TestInterfaceClock(t *testing.T) {
	tests := []struct {
		name  string
		resol byte
		ticks uint64
		want  time.Time
	}{
		{"seconds", 0, 5, time.Unix(5, 0)},
		{"milliseconds", 3, 5001, time.Unix(5, 1e6)},
		{"picoseconds", 12, 5e12 + 1000, time.Unix(5, 1)},
		{"10^-19", 19, 1e18, time.Unix(0, 1e8)},
		{"10^-20 does not fit", 20, 5e6, time.Unix(5, 0)},
		{"half seconds", 0x81, 11, time.Unix(5, 5e8)},
		{"2^-63", 0xbf, 1 << 62, time.Unix(0, 5e8)},
		{"2^-127 does not fit", 0xff, 5e6, time.Unix(5, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := iface{unit: 1e6}
			i.setResolution(tt.resol)
			if got := i.time(tt.ticks); !got.Equal(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
