package wins

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal"
)

// labPack is a batch with an entry of every kind, in its richest form.
func labPack() (batch []byte, r Record, h Held, o Out) {
	scope := strings.Repeat(strings.Repeat("a", 62)+".", 3) + `a\x2eb\\c`
	name, err := netbios.NewName("\x01\x02__\xffMSBROWSE\x02", 1, scope)
	if err != nil {
		panic(err)
	}
	r = Record{Name: name, Kind: Multihomed, State: Tombstone, Node: netbios.MNode, Owner: IPv4{198, 51, 100, 1}, Version: 1 << 60, Ends: 77}
	var members []Member
	for i := range byte(MaxMembers) {
		members = append(members, Member{Addr: IPv4{192, 0, 2, i + 1}, Owner: IPv4{198, 51, 100, i}, Ends: Stamp(i)})
	}
	r.SetMembers(members)
	h = Held{
		Name: name, What: Unsolicited, Fate: IsIgnored, Source: netip.MustParseAddr("192.0.2.66"),
		Claimed: []netbios.Address{{Flags: netbios.HNode | netbios.Group, Addr: netip.MustParseAddr("10.9.0.1")}},
		Kept:    []IPv4{{192, 0, 2, 1}, {192, 0, 2, 2}}, Role: "mailbox", Reason: "unasked", Rule: "rule 7", Decision: 1 << 63, Alert: true,
		First: 5, Last: 6, Count: 7,
	}
	o = Out{Name: name, Addr: IPv4{192, 0, 2, 1}, Op: Refresh, Flags: netbios.PNode, TTL: 300, Since: 9}
	batch = appendOut(appendHeld(appendRecord(appendVersion(nil, 1<<61), &r), &h), &o)
	return batch, r, h, o
}

func labLoader() *loader {
	j := &journal.Memory{}
	d, err := Open(j, Settings{Timers: DefaultTimers, Limits: DefaultLimits}, &lab{}, nil, zerolog.Nop())
	if err != nil {
		panic(err)
	}
	return newLoader(d)
}

func TestPackRoundTrip(t *testing.T) {
	batch, r, h, o := labPack()
	l := labLoader()
	if err := l.load(batch); err != nil {
		t.Fatal(err)
	}
	s := l.snapshot()
	if got, ok := s.Find(r.Name); !ok || !got.Equal(&r) {
		t.Errorf("record %+v, want %+v", got, r)
	}
	if got := l.d.held.All(); len(got) != 1 || !reflect.DeepEqual(got[0], h) {
		t.Errorf("held %+v, want %+v", got, h)
	}
	if got, n := l.d.Outbox(10); n != 1 || got[0] != o {
		t.Errorf("outbox %+v, want %+v", got, o)
	}
	if s.Version != 1<<61 {
		t.Errorf("version %d", s.Version)
	}
	gone := appendOutGone(appendHeldGone(appendGone(nil, r.Name), h.key()), o.key())
	if err := l.load(gone); err != nil {
		t.Fatal(err)
	}
	if n := len(l.d.held.All()) + l.d.outbox.len() + l.snapshot().Len(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// TestPackRandom packs random records, with every kind of name.
func TestPackRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		var octets [netbios.BaseLen + 1]byte
		for i := range octets {
			octets[i] = byte(rnd.Uint32())
		}
		name := netbios.NameFromOctets(octets)
		if rnd.IntN(2) == 0 {
			name, _ = name.WithScope([]string{"a", "a.b", `\x00\xff`, "Dept.example"}[rnd.IntN(4)])
		}
		r := Record{
			Name: name, Kind: Kind(rnd.IntN(4)), State: State(rnd.IntN(3)), Static: rnd.IntN(2) == 0,
			Node: netbios.NodeFlags(rnd.IntN(4)) << 13, Version: rnd.Uint64() >> rnd.IntN(64), Ends: Stamp(rnd.Uint32()),
		}
		var members []Member
		for i := range 1 + rnd.IntN(MaxMembers) {
			members = append(members, Member{Addr: IPv4{10, 0, 0, byte(i + 1)}, Ends: Stamp(rnd.Uint32())})
		}
		r.SetMembers(members)
		u := &unpacker{b: appendRecord(nil, &r)[1:]}
		if got := u.record(); u.err != nil || len(u.b) != 0 || !got.Equal(&r) {
			t.Fatalf("%+v (%v), want %+v", got, u.err, r)
		}
	}
}

func TestPackTruncated(t *testing.T) {
	batch, r, h, o := labPack()
	batch = appendOutGone(appendHeldGone(appendGone(batch, r.Name), h.key()), o.key())
	ends := map[int]bool{0: true}
	u := &unpacker{b: batch}
	for len(u.b) > 0 {
		switch u.octet() {
		case tagVersion:
			u.uvarint()
		case tagRecord:
			u.record()
		case tagGone:
			u.name()
		case tagHeld:
			u.held()
		case tagHeldGone:
			u.heldKey()
		case tagOut:
			u.out()
		case tagOutGone:
			u.outKey()
		}
		ends[len(batch)-len(u.b)] = true
	}
	for n := range batch {
		if err := labLoader().load(batch[:n]); (err == nil) != ends[n] {
			t.Errorf("the first %d of %d octets: %v", n, len(batch), err)
		}
	}
}

func TestPackMalformed(t *testing.T) {
	_, r, h, o := labPack()
	record, held, out := appendRecord(nil, &r), appendHeld(nil, &h), appendOut(nil, &o)
	with := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	empty, zero := r, r
	empty.SetMembers(nil)
	empty.State = Active
	zero.SetMembers([]Member{{}})
	for name, batch := range map[string][]byte{
		"tag 0":                 {0},
		"tag 8":                 {8},
		"version without end":   bytes.Repeat([]byte{0xff}, 12),
		"record that is gone":   with(record, 1, byte(gone)<<2),
		"record, no address":    appendRecord(nil, &empty),
		"record, 0.0.0.0":       append(appendRecord(nil, &empty)[:len(appendRecord(nil, &empty))-1], append([]byte{1}, make([]byte, 12)...)...),
		"held, unknown matter":  with(held, 1, 9),
		"held, no matter":       with(held, 1, 0),
		"held, unknown fate":    with(held, 2, 5),
		"held, no fate":         with(held, 2, 0),
		"out, release and more": with(out, len(out)-11, 5),
		"scope without end":     append(append([]byte{tagGone}, make([]byte, 16)...), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		"scope with empty part": append(append([]byte{tagGone}, make([]byte, 16)...), 1, '.'),
	} {
		if err := labLoader().load(batch); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestPackManyAddresses is about a packet with more addresses than anybody has: it must not make a
// batch that cannot be read.
func TestPackManyAddresses(t *testing.T) {
	l := newLab(t)
	l.admit = func(r *Request) Verdict { return Verdict{Action: Park, Guarded: true, Role: "mailbox", Addrs: r.Addrs} }
	many := l.request("multihomed MAIL<20> 192.0.2.1")
	for i := range 600 {
		many.Addrs = append(many.Addrs, netbios.Address{Flags: netbios.HNode, Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
	}
	l.db.Submit(many)
	l.last(many)
	l.restart()
	held := l.db.Held()
	if len(held) != 1 || len(held[0].Claimed) != MaxMembers || len(held[0].Kept) != MaxMembers {
		t.Errorf("held: %+v", held)
	}
	l.admit = func(r *Request) Verdict { return Verdict{Action: Publish, Addrs: r.Addrs, ByRule: true} }
	again := *many
	again.Addrs = append([]netbios.Address{many.Addrs[0]}, many.Addrs...)
	l.db.Submit(&again)
	l.last(&again)
	l.restart()
	if r, ok := l.db.Snapshot().Find(many.Name); !ok || r.Len() != MaxMembers {
		t.Errorf("record: %+v", r)
	}
}

func FuzzLoad(f *testing.F) {
	batch, r, h, o := labPack()
	f.Add(batch)
	f.Add(appendGone(nil, r.Name))
	f.Add(appendHeldGone(nil, h.key()))
	f.Add(appendOutGone(nil, o.key()))
	short := labRecord(1, 1)
	f.Add(appendRecord(appendVersion(nil, 5), &short))
	f.Fuzz(func(t *testing.T, batch []byte) {
		l := labLoader()
		if l.load(batch) != nil {
			return
		}
		// What was taken can be shown, written and read again, and comes to the same.
		l.d.held.Loaded()
		s := l.snapshot()
		l.d.cur.Store(s)
		for _, h := range l.d.Held() {
			_ = h.What.String() + h.Fate.String()
		}
		outs, _ := l.d.Outbox(1000)
		for _, o := range outs {
			_ = o.Op.String()
		}
		m := &journal.Memory{}
		seq, _ := m.Append([]byte{})
		if err := m.Checkpoint(context.Background(), seq, l.d.base(s)); err != nil {
			t.Fatal(err)
		}
		again, err := Open(m, l.d.Settings(), &lab{}, nil, zerolog.Nop())
		if err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
		wantTable(t, again.Snapshot().Table, contents(t, s.Table))
		if len(again.Held()) != len(l.d.Held()) || again.outbox.len() != l.d.outbox.len() || again.Snapshot().Version != s.Version {
			t.Errorf("%d held, %d out, version %d; want %d, %d, %d", len(again.Held()), again.outbox.len(), again.Snapshot().Version,
				len(l.d.Held()), l.d.outbox.len(), s.Version)
		}
	})
}
