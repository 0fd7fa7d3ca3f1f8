package winsctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
)

// Record is a registration that is kept: one line of an export.
type Record struct {
	Name netbios.Name `json:"name"`
	Kind string       `json:"kind"` // "unique", "group", "internet" or "multihomed"
	// State is "active", "released" or "tombstone". In a [Registration] it may be one of the words for
	// what is held: "parked", "published", "quarantined", "refused", "ignored".
	State  string `json:"state"`
	Static bool   `json:"static,omitempty"`
	Node   string `json:"node,omitempty"` // type of the node: "b", "p", "m" or "h"
	// Owner is the name server whose record it is; none for this one.
	Owner     netip.Addr `json:"owner,omitzero"`
	Version   uint64     `json:"version,omitempty"`
	Ends      time.Time  `json:"ends,omitzero"` // when the state ends; never for a static record
	Addresses []Address  `json:"addresses"`
}

// Address is one address of a record.
type Address struct {
	Address netip.Addr `json:"address"`
	Owner   netip.Addr `json:"owner,omitzero"` // the name server that it was registered at; none for this one
	Ends    time.Time  `json:"ends,omitzero"`  // if that is not when the state ends
}

// Registration is a record, or something that was asked for and is held.
type Registration struct {
	Record
	Held *Held `json:"held,omitempty"`
}

// Held tells why a registration is not, or not of itself, published.
type Held struct {
	What     string       `json:"what"`   // "registration", "multihomed", "refresh", "release", "conflict-demand", "response"
	Source   netip.Addr   `json:"source"` // of the packet
	Kept     []netip.Addr `json:"kept,omitempty"`
	Role     string       `json:"role,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Rule     string       `json:"rule,omitempty"`
	Decision string       `json:"decision,omitempty"` // 16 hexadecimal digits
	Alert    bool         `json:"alert,omitempty"`
	First    time.Time    `json:"first"`
	Last     time.Time    `json:"last"`
	Count    uint64       `json:"count"`
}

// AddRequest makes static records, or replaces those of the names.
type AddRequest struct {
	Records []Record `json:"records"`
}

// AddReply tells what became of each record.
type AddReply struct {
	Results []AddResult `json:"results"`
}

// AddResult has an error, or the record as it is now and the one that it took the place of.
type AddResult struct {
	Error  string  `json:"error,omitempty"`
	Record *Record `json:"record,omitempty"`
	Was    *Record `json:"was,omitempty"`
}

// RemoveRequest takes records out, or one of their addresses; forgetting takes what is held from a source,
// or from all.
type RemoveRequest struct {
	Names   []netbios.Name `json:"names"`
	Address netip.Addr     `json:"address,omitzero"`
}

// RemoveReply tells what was taken out.
type RemoveReply struct {
	Removed int            `json:"removed"`
	Names   []netbios.Name `json:"names"`
}

// ImportRequest brings records of another database.
type ImportRequest struct {
	Records []Record `json:"records"`
	DryRun  bool     `json:"dry_run,omitempty"`
}

// ImportReply tells what became of the records. Those that are named nowhere were taken.
type ImportReply struct {
	Taken   int            `json:"taken"`
	Known   int            `json:"known"` // left alone: the name has a record here
	Refused map[int]string `json:"refused,omitempty"`
}

// RecordOf puts a record into words, with the state that time has made of it.
func RecordOf(s *wins.Snapshot, r *wins.Record, now wins.Stamp) Record {
	state, ends := s.StateAt(r, now)
	out := Record{
		Name: r.Name, Kind: r.Kind.String(), State: stateWord(state), Static: r.Static, Node: nodeWord(r.Node),
		Owner: addrOf(r.Owner), Version: r.Version, Addresses: make([]Address, r.Len()),
	}
	if !r.Static {
		out.Ends = ends.Time()
	}
	for i := range out.Addresses {
		m := r.At(i)
		out.Addresses[i] = Address{Address: m.Addr.Addr(), Owner: addrOf(m.Owner)}
		if !r.Static && m.Ends != ends {
			out.Addresses[i].Ends = m.Ends.Time()
		}
	}
	return out
}

// stateWord is the word of a state. What is gone is a tombstone until the sweep takes it out.
func stateWord(s wins.State) string {
	if !slices.Contains(wins.States, s) {
		s = wins.Tombstone
	}
	return s.String()
}

func addrOf(a wins.IPv4) netip.Addr {
	if a == (wins.IPv4{}) {
		return netip.Addr{}
	}
	return a.Addr()
}

const nodeLetters = "bpmh"

func nodeWord(f netbios.NodeFlags) string { return nodeLetters[f.NodeType()>>13 : f.NodeType()>>13+1] }

// record is the record of the words. An end that is not written is granted, the longest there is.
func (r *Record) record(granted wins.Stamp) (out wins.Record, err error) {
	switch {
	case !r.Name.IsValid():
		return out, errors.New("it has no name, as in \"name\":\"MAIL<20>\"")
	case len(r.Addresses) == 0:
		return out, fmt.Errorf("%s has no address", r.Name)
	}
	out = wins.Record{Name: r.Name, Static: r.Static, Version: r.Version}
	if out.Kind, err = kindOf(r.Kind); err != nil {
		return out, err
	}
	if out.State, err = stateOf(r.State); err != nil {
		return out, err
	}
	if out.Node, err = nodeOf(r.Node); err != nil {
		return out, err
	}
	if out.Owner, err = ipOf(r.Owner); err != nil {
		return out, err
	}
	if !r.Static {
		if out.Ends, err = stampOf(r.Ends, granted); err != nil {
			return out, err
		}
	}
	members := make([]wins.Member, len(r.Addresses))
	for i, a := range r.Addresses {
		if members[i], err = a.member(out.Ends); err != nil {
			return out, err
		}
		if slices.ContainsFunc(members[:i], func(m wins.Member) bool { return m.Addr == members[i].Addr }) {
			return out, fmt.Errorf("%s has the address %s twice", r.Name, a.Address)
		}
	}
	if r.Static {
		for i := range members {
			members[i].Ends = 0
		}
	}
	out.SetMembers(members)
	return out, nil
}

func (a *Address) member(ends wins.Stamp) (m wins.Member, err error) {
	if !a.Address.IsValid() {
		return m, errors.New("an address is missing, as in \"addresses\":[{\"address\":\"192.0.2.1\"}]")
	}
	if m.Addr, err = ipOf(a.Address); err != nil {
		return m, err
	}
	if m.Owner, err = ipOf(a.Owner); err != nil {
		return m, err
	}
	m.Ends, err = stampOf(a.Ends, ends)
	return m, err
}

func ipOf(a netip.Addr) (wins.IPv4, error) {
	switch {
	case !a.IsValid():
		return wins.IPv4{}, nil
	case !a.Unmap().Is4():
		return wins.IPv4{}, fmt.Errorf("%s is not an IPv4 address, and NetBIOS names have no other", a)
	}
	return wins.IPv4Of(a), nil
}

// stampOf is t, or what is for the zero time.
func stampOf(t time.Time, zero wins.Stamp) (wins.Stamp, error) {
	switch sec := t.Unix(); {
	case t.IsZero():
		return zero, nil
	case sec <= 0 || sec > 1<<32-1:
		return 0, fmt.Errorf("the time %s is not between 1970 and 2106", t.Format(time.RFC3339))
	default:
		return wins.Stamp(sec), nil
	}
}

var kinds = []wins.Kind{wins.Unique, wins.Group, wins.Internet, wins.Multihomed}

func kindOf(word string) (wins.Kind, error) { return wordOf("kind", word, kinds) }

func stateOf(word string) (wins.State, error) {
	if word == "" {
		return wins.Active, nil
	}
	return wordOf("state", word, wins.States)
}

func nodeOf(word string) (netbios.NodeFlags, error) {
	if word == "" {
		return netbios.HNode, nil
	}
	i := strings.Index(nodeLetters, word)
	if i < 0 || len(word) != 1 {
		return 0, fmt.Errorf("node %q is none of b, p, m, h", word)
	}
	return netbios.NodeFlags(i) << 13, nil
}

// wordOf finds the value with a word.
func wordOf[T fmt.Stringer](what, word string, all []T) (T, error) {
	words := make([]string, len(all))
	for i, v := range all {
		if words[i] = v.String(); words[i] == word {
			return v, nil
		}
	}
	var none T
	return none, fmt.Errorf("%s %q is none of %s", what, word, strings.Join(words, ", "))
}

// UnmarshalRecord reads a line of an export strictly and checks all that can be told from it alone.
func UnmarshalRecord(line []byte) (r Record, err error) {
	dec := json.NewDecoder(strings.NewReader(string(line)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("the line is not a record, as in {\"name\":\"MAIL<20>\",\"kind\":\"unique\",\"state\":\"active\",\"addresses\":[{\"address\":\"192.0.2.1\"}]}: %w", err)
	}
	if dec.More() {
		return r, errors.New("there is more behind the record; a line has one")
	}
	_, err = r.record(1)
	return r, err
}
