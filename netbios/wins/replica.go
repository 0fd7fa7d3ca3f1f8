package wins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Replicas are records of one owner that a replication partner has sent.
type Replicas struct {
	Partner IPv4 // who sent them
	Owner   IPv4 // whose they are, never zero and never this server
	// UpTo is the version up to which they are all that the partner has, above those that were seen before;
	// less than the highest of Records is as much as that.
	UpTo uint64
	// Renew says that this is the owner's own word, or the best that can be had of it: records that are here
	// already are confirmed by it.
	Renew bool
	// Verified says that Records begin with the first version of all.
	Verified bool
	// Records need Name, Kind, State, Static, Node, Version and addresses with their owners, zero being this
	// server. One with an address that is none loses it.
	Records []Record
}

// Applied is what became of replicas.
type Applied struct {
	Stored     int // as they are, in the place of what was there
	Merged     int // their addresses stand beside others
	Kept       int // what was there stayed, or was the same
	Raised     int // what was there stayed and got a new version
	Challenged int // the owner of what was there is asked; the replica is decided later
	Held       int // the policy, a role or a limit kept them out
}

// Changed reports whether partners have something to learn.
func (a Applied) Changed() bool { return a.Stored+a.Merged+a.Raised > 0 }

// maxOwners bounds the name servers whose records are here.
const maxOwners = 1024

// ErrOwners is what Apply says when there are records of too many name servers.
var ErrOwners = fmt.Errorf("there are records of %d name servers already", maxOwners)

// Apply takes in replicas: what the guard would publish meets the record that is here by the rules of MS-WINSRA,
// and what is kept out is seen all the same, and held. It returns when all is on stable storage. On an error a part
// of it may be, and seen; ask for the others again.
func (d *Database) Apply(ctx context.Context, r Replicas) (Applied, error) {
	var sum Applied
	if r.Owner == (IPv4{}) {
		return sum, errors.New("replicas of no owner")
	}
	records := slices.Clone(r.Records)
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.Version, b.Version) })
	for begin := 0; begin == 0 || begin < len(records); begin += maxBatch {
		part := records[begin:min(begin+maxBatch, len(records))]
		isLast := begin+len(part) == len(records)
		var full error
		var applied Applied
		err := d.change(ctx, func(w *work) {
			applied = Applied{}
			if full = w.knows(r.Owner); full == nil {
				w.apply(&r, part, &applied)
				w.sees(&r, part, isLast)
			}
		})
		if err = cmp.Or(err, full); err != nil {
			return sum, err
		}
		sum.add(applied)
	}
	return sum, nil
}

func (a *Applied) add(b Applied) {
	a.Stored += b.Stored
	a.Merged += b.Merged
	a.Kept += b.Kept
	a.Raised += b.Raised
	a.Challenged += b.Challenged
	a.Held += b.Held
}

// knows reports whether there is room for an owner.
func (w *work) knows(ip IPv4) error {
	if w.before.owners[ip] == nil && w.owners[ip] == nil && len(w.ownersNow()) >= maxOwners {
		return ErrOwners
	}
	return nil
}

func (w *work) apply(r *Replicas, part []Record, sum *Applied) {
	for i := range part {
		w.applyOne(r, &part[i], sum)
	}
}

// sees notes how far the owner's records were looked at.
func (w *work) sees(r *Replicas, part []Record, isLast bool) {
	o := w.owner(r.Owner)
	if len(part) > 0 {
		o.seen = max(o.seen, part[len(part)-1].Version)
	}
	if isLast {
		o.seen = max(o.seen, r.UpTo)
	}
	if isLast && r.Verified {
		o.verified = w.now
	}
	w.delta = appendOwner(w.delta, r.Owner, o)
}

// applyOne decides one replica.
func (w *work) applyOne(from *Replicas, r *Record, sum *Applied) {
	cur, _ := w.find(r.Name)
	next := *r
	next.Owner = from.Owner
	next.Ends = w.now.add(w.set.Timers.Verify)
	w.put(cur, &next, false)
	sum.Stored++
}
