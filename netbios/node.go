package netbios

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// NodeFlags are the flags of one address or of one name of a node: group bit, node type, and in a node
// status response the state of the name. RFC 1002, Sections 4.2.1.3 (NB_FLAGS) and 4.2.18 (NAME_FLAGS).
type NodeFlags uint16

// The node flags. The node type H came with Windows; RFC 1002 reserves its value.
const (
	Group         NodeFlags = 0x8000 // G: a group name, else unique
	BNode         NodeFlags = 0x0000 // ONT: the node only broadcasts
	PNode         NodeFlags = 0x2000 // ONT: the node only asks a name server
	MNode         NodeFlags = 0x4000 // ONT: the node broadcasts first
	HNode         NodeFlags = 0x6000 // ONT: the node asks a name server first
	Deregistering NodeFlags = 0x1000 // DRG: the name is being released
	Conflict      NodeFlags = 0x0800 // CNF: the name is in conflict
	Active        NodeFlags = 0x0400 // ACT: always set in a node status response
	Permanent     NodeFlags = 0x0200 // PRM: the permanent node name

	nodeTypeMask NodeFlags = 0x6000
)

// IsGroup reports whether the group bit is set.
func (f NodeFlags) IsGroup() bool { return f&Group != 0 }

// NodeType returns BNode, PNode, MNode or HNode.
func (f NodeFlags) NodeType() NodeFlags { return f & nodeTypeMask }

// String returns the flags in words: "H unique", "B group active".
func (f NodeFlags) String() string {
	words := []string{"BPMH"[f.NodeType()>>13 : f.NodeType()>>13+1], "unique"}
	if f.IsGroup() {
		words[1] = "group"
	}
	for _, w := range []struct {
		bit  NodeFlags
		word string
	}{{Deregistering, "deregistering"}, {Conflict, "conflict"}, {Active, "active"}, {Permanent, "permanent"}} {
		if f&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// Address is one entry of the data of an NB record: an IPv4 address and the flags of the name there.
type Address struct {
	Flags NodeFlags
	Addr  netip.Addr // IPv4; an IPv4 address in IPv6 form is taken as IPv4
}

// addressLen is the length of one entry on the wire, RFC 1002, Section 4.2.13.
const addressLen = 6

// String returns the address and the flags: "192.0.2.1 (H unique)".
func (a Address) String() string { return fmt.Sprintf("%s (%s)", a.Addr, a.Flags) }

func appendAddress(dst []byte, flags NodeFlags, addr netip.Addr) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(flags))
	octets := addr.As4()
	return append(dst, octets[:]...)
}

// isIPv4 reports whether the address fits into an NB record.
func isIPv4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }
