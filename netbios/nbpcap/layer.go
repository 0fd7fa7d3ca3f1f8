package nbpcap

import (
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/nameward/nameward/netbios"
)

// layerTypeNumber is from the range that gopacket leaves to its users, 2000 and above.
const layerTypeNumber = 2137

// LayerTypeNBNS is the layer type of NBNS.
var LayerTypeNBNS = gopacket.RegisterLayerType(layerTypeNumber, gopacket.LayerTypeMetadata{
	Name:    "NBNS",
	Decoder: gopacket.DecodeFunc(decodeNBNS),
})

func init() {
	layers.RegisterUDPPortLayerType(netbios.Port, LayerTypeNBNS)
}

// NBNS is a packet of the NetBIOS name service as a gopacket layer.
type NBNS struct {
	layers.BaseLayer
	Message netbios.Message
}

// LayerType returns LayerTypeNBNS.
func (l *NBNS) LayerType() gopacket.LayerType { return LayerTypeNBNS }

// CanDecode returns LayerTypeNBNS.
func (l *NBNS) CanDecode() gopacket.LayerClass { return LayerTypeNBNS }

// NextLayerType returns LayerTypeZero: nothing follows.
func (l *NBNS) NextLayerType() gopacket.LayerType { return gopacket.LayerTypeZero }

// DecodeFromBytes sets the layer from a UDP payload; errors are those of netbios.Parse.
func (l *NBNS) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	m, err := netbios.Parse(data)
	if err != nil {
		if netbios.Reason(err) == "short" {
			df.SetTruncated()
		}
		return err
	}
	l.BaseLayer = layers.BaseLayer{Contents: data}
	l.Message = m
	return nil
}

// SerializeTo prepends the message to b; errors are those of netbios.Message.Append.
func (l *NBNS) SerializeTo(b gopacket.SerializeBuffer, _ gopacket.SerializeOptions) error {
	packet, err := l.Message.Append(nil)
	if err != nil {
		return err
	}
	dst, err := b.PrependBytes(len(packet))
	if err != nil {
		return err
	}
	copy(dst, packet)
	return nil
}

func decodeNBNS(data []byte, p gopacket.PacketBuilder) error {
	l := &NBNS{}
	if err := l.DecodeFromBytes(data, p); err != nil {
		return err
	}
	p.AddLayer(l)
	return nil
}
