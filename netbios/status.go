package netbios

import (
	"encoding/binary"
	"fmt"
)

const (
	// StatisticsLen is the length of the statistics of a node status response, RFC 1002, Section 4.2.18.
	StatisticsLen = 46
	// nodeNameLen is the length of one name of a node status response: 16 octets and its flags.
	nodeNameLen = BaseLen + 1 + 2
	// maxNodeNames is the largest number of names, for their count is one octet.
	maxNodeNames = 255
)

// NodeStatus is the data of a node status response, RFC 1002, Section 4.2.18.
type NodeStatus struct {
	Names []NodeName
	// Statistics stand behind the names, usually StatisticsLen octets that begin with the unit id.
	// Some nodes send fewer; they are kept as they came.
	Statistics []byte
}

// NodeName is one name of a node. The name has no scope, for the response does not carry it.
type NodeName struct {
	Name  Name
	Flags NodeFlags
}

// UnitID returns the unique unit id, which is the MAC address of the node. Samba sends zeros. It is all
// zeros also if the statistics are cut off before it.
func (s NodeStatus) UnitID() (id [6]byte) {
	if len(s.Statistics) >= len(id) {
		copy(id[:], s.Statistics)
	}
	return id
}

// NewStatistics returns statistics of the usual length with the unit id and no counters.
func NewStatistics(unitID [6]byte) []byte {
	s := make([]byte, StatisticsLen)
	copy(s, unitID[:])
	return s
}

func (s NodeStatus) appendTo(dst []byte) ([]byte, error) {
	if len(s.Names) > maxNodeNames {
		return dst, fmt.Errorf("node status has %d names, at most %d fit", len(s.Names), maxNodeNames)
	}
	dst = append(dst, byte(len(s.Names)))
	for _, n := range s.Names {
		dst = appendNodeName(dst, n)
	}
	return append(dst, s.Statistics...), nil
}

func appendNodeName(dst []byte, n NodeName) []byte {
	dst = append(dst, n.Name.octets[:]...)
	return binary.BigEndian.AppendUint16(dst, uint16(n.Flags))
}

func decodeNodeStatus(data []byte) (RData, error) {
	if len(data) == 0 || len(data) < 1+int(data[0])*nodeNameLen {
		return nil, ErrRData
	}
	n := int(data[0])
	data = data[1:]
	var s NodeStatus
	if n > 0 {
		s.Names = make([]NodeName, 0, n)
	}
	for range n {
		s.Names = append(s.Names, NodeName{
			Name:  NameFromOctets([BaseLen + 1]byte(data)),
			Flags: NodeFlags(binary.BigEndian.Uint16(data[BaseLen+1:])),
		})
		data = data[nodeNameLen:]
	}
	s.Statistics = clone(data)
	return s, nil
}
