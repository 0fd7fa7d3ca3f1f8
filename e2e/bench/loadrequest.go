package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/nameward/nameward/netbios"
)

// operation is what a load client asks of a name server.
type operation string

const (
	opQuery    operation = "query"
	opRegister operation = "register"
	opRefresh  operation = "refresh"
	opRelease  operation = "release"
)

// registrationTTL in seconds is three days, what Windows asks for.
const registrationTTL = 3 * 24 * 60 * 60

func (o operation) request(name netbios.Name, addr netip.Addr) (netbios.Message, error) {
	a := netbios.Address{Flags: netbios.HNode, Addr: addr}
	switch o {
	case opQuery:
		return netbios.NewQuery(0, name), nil
	case opRegister:
		return netbios.NewRegistration(0, name, registrationTTL, a), nil
	case opRefresh:
		return netbios.NewRefresh(0, name, registrationTTL, a), nil
	case opRelease:
		return netbios.NewRelease(0, name, a), nil
	}
	return netbios.Message{}, fmt.Errorf("unknown operation %q", o)
}

// answer is the form of the right answer.
func (o operation) answer() netbios.Form {
	switch o {
	case opQuery:
		return netbios.FormPositiveQuery
	case opRelease:
		return netbios.FormPositiveRelease
	}
	return netbios.FormPositiveRegistration
}

// opcode is that of the answers which isPlain takes.
func (o operation) opcode() netbios.Opcode {
	switch o {
	case opQuery:
		return netbios.OpQuery
	case opRelease:
		return netbios.OpRelease
	}
	return netbios.OpRegistration
}

// requests are those for a number of names, ready but for their ids, and what their answers have to say.
type requests struct {
	op     operation
	first  int // number of the first name
	addr   netip.Addr
	spread bool // three names for each address, from addr on, as Windows nodes have; otherwise addr has them all
	octets []byte
	size   int // of each
}

// namesPerNode is how many names have the same address if they are spread: workstation, messenger, server.
const namesPerNode = 3

func packRequests(op operation, first, names int, addr netip.Addr, spread bool) (*requests, error) {
	r := &requests{op: op, first: first, addr: addr, spread: spread}
	for i := range names {
		m, err := op.request(netbiosName(first+i), r.want(i))
		if err == nil {
			r.octets, err = m.Append(r.octets)
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.size = len(r.octets)
		}
	}
	return r, nil
}

func (r *requests) packet(i int) []byte { return r.octets[i*r.size : (i+1)*r.size] }

// want is the address of a name.
func (r *requests) want(i int) netip.Addr {
	if !r.spread {
		return r.addr
	}
	return spreadAddr(r.addr, r.first+i)
}

// spreadAddr is the address of name number i.
func spreadAddr(from netip.Addr, i int) netip.Addr {
	raw := from.As4()
	n := binary.BigEndian.Uint32(raw[:]) + uint32(i/namesPerNode)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// isRight checks a reply but for its id, which has found the request.
func (r *requests) isRight(reply []byte, i int) bool {
	if r.isPlain(reply, i) {
		return true
	}
	m, err := netbios.Parse(reply)
	if err != nil {
		return false
	}
	claim, ok := m.Claim()
	return ok && m.Form() == r.op.answer() && len(m.Answers) == 1 && m.Answers[0].Class == netbios.ClassIN &&
		claim.Name == netbiosName(r.first+i) && len(claim.Addrs) == 1 && claim.Addrs[0].Addr == r.want(i) &&
		!claim.Addrs[0].Flags.IsGroup()
}

// Offsets in an answer with one NB record of one address, RFC 1002, Section 4.2.13.
const (
	offCounts   = 4
	offName     = 12
	offTypeNB   = offName + 34
	offLength   = offTypeNB + 8
	offNodeFlag = offLength + 2
	offAddress  = offNodeFlag + 2
	plainLength = offAddress + 4
)

var (
	oneAnswer = []byte{0, 0, 0, 1, 0, 0, 0, 0}
	typeNB    = []byte{0, 0x20, 0, 1}
)

// isPlain finds most of the right replies at the cost of a few comparisons: a load client must not be
// the one that is measured.
func (r *requests) isPlain(reply []byte, i int) bool {
	if len(reply) != plainLength {
		return false
	}
	const response, opcodeAndRcode = 0x8000, 0x780f
	word := binary.BigEndian.Uint16(reply[2:])
	want := r.want(i).As4()
	return word&(response|opcodeAndRcode) == response|uint16(r.op.opcode())<<11 &&
		(r.op == opQuery || r.op == opRelease || word&uint16(netbios.FlagRecursionAvailable) != 0) &&
		bytes.Equal(reply[offCounts:offName], oneAnswer) &&
		bytes.Equal(reply[offName:offTypeNB], r.packet(i)[offName:offTypeNB]) &&
		bytes.Equal(reply[offTypeNB:offTypeNB+4], typeNB) &&
		binary.BigEndian.Uint16(reply[offLength:]) == 6 &&
		reply[offNodeFlag]&0x80 == 0 && // no group
		bytes.Equal(reply[offAddress:], want[:])
}

// isWack reports whether a reply asks for patience.
func isWack(reply []byte) bool {
	h, err := netbios.ParseHeader(reply)
	return err == nil && h.IsResponse() && h.Opcode == netbios.OpWack
}
