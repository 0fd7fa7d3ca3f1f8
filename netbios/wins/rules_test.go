package wins

import (
	"testing"

	"github.com/nameward/nameward/netbios"
)

// TestReplicaBecomesOurs says that a node that registers here what another server has makes it a record of
// this one, with a new version, whatever kind it is; a release alone does not.
func TestReplicaBecomesOurs(t *testing.T) {
	node, other := IPv4{192, 0, 2, 1}, IPv4{198, 51, 100, 1}
	for _, test := range []struct {
		name   string
		kind   Kind
		member IPv4 // owner of the address
	}{
		{"FS1<20>", Unique, other},
		{"FS1<20>", Multihomed, other},
		{"CORP<00>", Group, other},
		{"CORP<1c>", Internet, other},
		{"CORP<1c>", Internet, IPv4{}},
	} {
		cur := Record{
			Name: netbios.MustParseName(test.name), Kind: test.kind, Owner: other, Version: 1000, Ends: 2000, Node: netbios.HNode,
			first: Member{Addr: node, Owner: test.member, Ends: 2000},
		}
		req := claimOf(&cur)
		c := newClaim(req, req.Addrs, 1000, &DefaultTimers)
		s := c.register(&cur, Active)
		if s.outcome != Refreshed || s.put == nil || s.put.Owner != (IPv4{}) || !s.fresh {
			t.Errorf("%s %s: %+v, want it ours with a new version", test.kind, test.name, s)
		}
		if cur.Owner != other || cur.Version != 1000 {
			t.Errorf("%s %s: the record that was found was changed", test.kind, test.name)
		}
	}
}
