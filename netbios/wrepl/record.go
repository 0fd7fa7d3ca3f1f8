package wrepl

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
)

// Record is a name record as it is on the wire, MS-WINSRA, Section 2.2.10.1.
type Record struct {
	// Label is the name with its NUL, 17 to 255 octets. Of a name with suffix 1B the first and the 16th octet have
	// changed places.
	Label   string
	Flags   Flags
	Group   uint32 // 1 in the first octet for groups
	Version uint64
	Members []Member
	Tail    uint32 // all ones in all that was captured
}

// Member is one address; its owner is on the wire only if the kind is Internet or Multihomed, and zero otherwise.
type Member struct{ Owner, Addr wins.IPv4 }

// Flags are the word with kind, state, node type and origin of a record. Bits that are not known stay.
type Flags uint32

const (
	flagStatic    Flags  = 0x80
	groupIsSet    uint32 = 1 << 24
	usualTail     uint32 = 0xffffffff
	countReserved        = 3
)

// Kind is the kind of the record.
func (f Flags) Kind() wins.Kind { return wins.Kind(f & 3) }

// State is the state of the record; 3 is no state that a record can have.
func (f Flags) State() wins.State { return wins.State(f >> 2 & 3) }

// Node is the type of the node.
func (f Flags) Node() netbios.NodeFlags { return netbios.NodeFlags(f&0x60) << 8 }

// IsStatic reports whether an operator made the record.
func (f Flags) IsStatic() bool { return f&flagStatic != 0 }

// listsMembers reports whether addresses have owners on the wire.
func listsMembers(k wins.Kind) bool { return k == wins.Internet || k == wins.Multihomed }

const (
	minLabel = netbios.BaseLen + 2
	maxLabel = 255
	// minRecordLen is the length of a record with the shortest name and without members.
	minRecordLen = 4 + 20 + 4 + 4 + 8 + 4 + 4
	suffixMaster = 0x1b
	// lastIndex is the place of the suffix.
	lastIndex = netbios.BaseLen
)

func (r *reader) record() Record {
	n := int(r.u32())
	if r.err == nil && (n < minLabel || n > maxLabel) {
		r.err = ErrName
	}
	rec := Record{Label: string(r.take(n))}
	r.take(paddingOf(n))
	rec.Flags, rec.Group, rec.Version = Flags(r.u32()), r.u32(), r.u64()
	if !listsMembers(rec.Flags.Kind()) {
		rec.Members = []Member{{Addr: r.ipv4()}}
	} else {
		count := r.take(1 + countReserved)
		for i := 0; r.err == nil && i < int(count[0]); i++ {
			rec.Members = append(rec.Members, Member{r.ipv4(), r.ipv4()})
		}
	}
	rec.Tail = r.u32()
	return rec
}

// paddingOf is how many octets follow a name of n octets: never none.
func paddingOf(n int) int { return 4 - n%4 }

func (r *Record) append(dst []byte) []byte {
	dst = appendU32(dst, uint32(len(r.Label)))
	dst = append(dst, r.Label...)
	dst = append(dst, make([]byte, paddingOf(len(r.Label)))...)
	dst = appendU32(dst, uint32(r.Flags), r.Group)
	dst = binary.BigEndian.AppendUint64(dst, r.Version)
	if listsMembers(r.Flags.Kind()) {
		dst = append(dst, byte(len(r.Members)), 0, 0, 0)
	}
	for _, m := range r.Members {
		if listsMembers(r.Flags.Kind()) {
			dst = append(dst, m.Owner[:]...)
		}
		dst = append(dst, m.Addr[:]...)
	}
	return appendU32(dst, r.Tail)
}

// labelOf is a name as a Label. The scope stands behind a dot, as in the tools of Windows; a server that sees none
// there takes all that is behind the 16th octet.
func labelOf(n netbios.Name) (string, error) {
	octets := n.Octets()
	if octets[lastIndex] == suffixMaster {
		octets[0], octets[lastIndex] = octets[lastIndex], octets[0]
	}
	scope := n.Scope()
	if strings.Contains(scope, `\`) {
		return "", fmt.Errorf("scope of %s cannot be replicated: it has octets other than printable ASCII", n)
	}
	if scope != "" {
		scope = "." + scope
	}
	return string(octets[:]) + scope + "\x00", nil
}

// Name is the name that the record is about.
func (r *Record) Name() (netbios.Name, error) {
	if len(r.Label) < minLabel {
		return netbios.Name{}, ErrName
	}
	octets := [netbios.BaseLen + 1]byte([]byte(r.Label))
	if octets[0] == suffixMaster {
		octets[0], octets[lastIndex] = octets[lastIndex], octets[0]
	}
	scope := r.Label[lastIndex+1:]
	if scope[0] == '.' || scope[0] == 0 {
		scope = scope[1:]
	}
	scope, _, _ = strings.Cut(scope, "\x00")
	return netbios.NameFromOctets(octets).WithScope(scope)
}

// recordOf is a record of the database as it is on the wire; own stands for the zero owner. It reports an error for
// one that cannot be sent.
func recordOf(r *wins.Record, own wins.IPv4) (Record, error) {
	label, err := labelOf(r.Name)
	if err != nil {
		return Record{}, err
	}
	out := Record{Label: label, Version: r.Version, Tail: usualTail}
	out.Flags = Flags(r.Kind) | Flags(r.State)<<2 | Flags(r.Node.NodeType()>>8)
	if r.Static {
		out.Flags |= flagStatic
	}
	if r.Kind == wins.Group || r.Kind == wins.Internet {
		out.Group = groupIsSet
	}
	for i := range r.Len() {
		m := r.At(i)
		member := Member{m.Owner, m.Addr}
		if member.Owner == (wins.IPv4{}) {
			member.Owner = own
		}
		if !listsMembers(r.Kind) {
			// A group has one on the wire, and of what is known of it the newest.
			out.Members = []Member{{Addr: m.Addr}}
			return out, nil
		}
		out.Members = append(out.Members, member)
	}
	if !listsMembers(r.Kind) {
		out.Members = []Member{{}}
	}
	return out, nil
}

// record is a record of the wire as the database has it, of the given owner; own becomes the zero owner. Nothing in it
// has an end yet.
func (r *Record) record(owner, own wins.IPv4) (wins.Record, error) {
	name, err := r.Name()
	if err != nil {
		return wins.Record{}, err
	}
	if r.Flags.State() > wins.Tombstone {
		return wins.Record{}, fmt.Errorf("%s has a state that no record has", name)
	}
	out := wins.Record{
		Name: name, Kind: r.Flags.Kind(), State: r.Flags.State(), Static: r.Flags.IsStatic(), Node: r.Flags.Node(),
		Owner: owner, Version: r.Version,
	}
	var members []wins.Member
	for _, m := range r.Members {
		if m.Addr == (wins.IPv4{}) || slices.ContainsFunc(members, func(k wins.Member) bool { return k.Addr == m.Addr }) {
			continue
		}
		member := wins.Member{Addr: m.Addr, Owner: m.Owner}
		switch {
		case member.Owner == own:
			member.Owner = wins.IPv4{}
		case member.Owner == wins.IPv4{}:
			member.Owner = owner
		}
		members = append(members, member)
	}
	out.SetMembers(members)
	return out, nil
}
