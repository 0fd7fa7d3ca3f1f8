package nbpcap

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/nameward/nameward/netbios"
)

func TestLayerOfPacket(t *testing.T) {
	packets, err := ReadFile("../testdata/nmbd-node-status.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range packets {
		data := write(t, want)[24+16:] // headers of file and frame
		g := gopacket.NewPacket(data, layers.LinkTypeRaw, gopacket.Default)
		l, ok := g.Layer(LayerTypeNBNS).(*NBNS)
		if !ok {
			t.Fatalf("no NBNS layer in %v", g)
		}
		if l.Message.ID != want.Message.ID || !bytes.Equal(l.LayerContents(), want.Payload) {
			t.Errorf("layer %+v", l)
		}
		if l.CanDecode() != LayerTypeNBNS || l.NextLayerType() != gopacket.LayerTypeZero || l.LayerPayload() != nil {
			t.Errorf("layer %v is not the last one", l.LayerType())
		}
		buf := gopacket.NewSerializeBuffer()
		if err := l.SerializeTo(buf, gopacket.SerializeOptions{}); err != nil || !bytes.Equal(buf.Bytes(), want.Payload) {
			t.Errorf("serialized %x, %v, want %x", buf.Bytes(), err, want.Payload)
		}
	}
}

func TestLayerOfMalformedPacket(t *testing.T) {
	for name, data := range map[string][]byte{"short": {1, 2, 3}, "counts": bytes.Repeat([]byte{0xff}, 12)} {
		g := gopacket.NewPacket(data, LayerTypeNBNS, gopacket.Default)
		failed := g.ErrorLayer()
		if failed == nil || netbios.Reason(failed.Error()) != name {
			t.Errorf("%s: error layer %v", name, failed)
		}
		if got := g.Metadata().Truncated; got != (name == "short") {
			t.Errorf("%s: truncated %v", name, got)
		}
	}
}

func TestLayerNotSerialized(t *testing.T) {
	l := &NBNS{Message: netbios.NewQuery(1, netbios.Name{})}
	if err := l.SerializeTo(gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{}); err == nil {
		t.Error("a message without a name is serialized")
	}
}
