package winsctl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
)

// maxRecords bounds a request: 8 MB of JSON have room for more.
const maxRecords = 10_000

func tooMany(n int) error {
	if n <= maxRecords {
		return nil
	}
	return fmt.Errorf("%d records in one request, at most %d are taken: send them in parts", n, maxRecords)
}

func (s *Server) add(ctx context.Context, req AddRequest) (reply AddReply, err error) {
	db, err := s.database()
	if err = errors.Join(err, tooMany(len(req.Records))); err != nil {
		return reply, err
	}
	reply.Results = make([]AddResult, len(req.Records))
	records, places := make([]wins.Record, 0, len(req.Records)), make([]int, 0, len(req.Records))
	before := db.Snapshot()
	for i := range req.Records {
		req.Records[i].Static = true
		r, err := req.Records[i].record(0)
		if err != nil {
			reply.Results[i].Error = err.Error()
			continue
		}
		records, places = append(records, r), append(places, i)
	}
	errs, err := db.Put(ctx, records)
	if err != nil {
		return reply, unsaved(err)
	}
	now, after := wins.StampOf(time.Now()), db.Snapshot()
	for k, i := range places {
		if errs[k] != nil {
			reply.Results[i].Error = errs[k].Error()
			continue
		}
		reply.Results[i] = AddResult{Record: find(after, records[k].Name, now), Was: find(before, records[k].Name, now)}
	}
	return reply, nil
}

func unsaved(err error) error {
	if errors.Is(err, wins.ErrStopped) {
		return err
	}
	return errUnsaved{err}
}

func find(snap *wins.Snapshot, n netbios.Name, now wins.Stamp) *Record {
	r, ok := snap.Find(n)
	if !ok {
		return nil
	}
	out := RecordOf(snap, &r, now)
	return &out
}

func (s *Server) remove(ctx context.Context, req RemoveRequest) (reply RemoveReply, err error) {
	db, err := s.database()
	if err = errors.Join(err, onlyIPv4(req.Address)); err != nil {
		return reply, err
	}
	for _, n := range req.Names {
		for _, spelled := range spellings(n) {
			removed, err := db.Remove(ctx, spelled, req.Address.Unmap())
			if err != nil {
				return reply, unsaved(err)
			}
			if removed {
				reply.Removed++
				reply.Names = append(reply.Names, spelled)
				break
			}
		}
	}
	if reply.Removed == 0 {
		return reply, s.nothingToRemove(db, req)
	}
	return reply, nil
}

// spellings are the octets that a name as people write it may have: as it stands, and in upper case as
// nodes register it.
func spellings(n netbios.Name) []netbios.Name {
	if folded := n.Fold(); folded != n {
		return []netbios.Name{n, folded}
	}
	return []netbios.Name{n}
}

// nothingToRemove says what is there instead.
func (s *Server) nothingToRemove(db *wins.Database, req RemoveRequest) error {
	text := make([]string, len(req.Names))
	for i, n := range req.Names {
		text[i] = n.String()
		for _, spelled := range spellings(n) {
			if r, ok := db.Snapshot().Find(spelled); ok {
				return fmt.Errorf("%s has not the address %s; it has %s", spelled, req.Address, addrsOf(&r))
			}
		}
		if snap := s.snapshot(); snap != nil {
			if role, ok := snap.NetBIOS(n); ok {
				return fmt.Errorf("%s belongs to role %s, whose state decides what is answered; there is no registration to remove", n, role.Role.Name)
			}
		}
	}
	return fmt.Errorf("there is no registration of %s", strings.Join(text, ", "))
}

func addrsOf(r *wins.Record) string {
	out := make([]string, r.Len())
	for i := range out {
		out[i] = r.At(i).Addr.String()
	}
	return strings.Join(out, ", ")
}

func onlyIPv4(a netip.Addr) error {
	_, err := ipOf(a)
	return err
}

func (s *Server) forget(ctx context.Context, req RemoveRequest) (reply RemoveReply, err error) {
	db, err := s.database()
	if err = errors.Join(err, onlyIPv4(req.Address)); err != nil {
		return reply, err
	}
	for _, n := range req.Names {
		for _, spelled := range spellings(n) {
			removed, err := db.Forget(ctx, spelled, req.Address.Unmap())
			if err != nil {
				return reply, err
			}
			if removed > 0 {
				reply.Removed += removed
				reply.Names = append(reply.Names, spelled)
			}
		}
	}
	if reply.Removed == 0 {
		return reply, errors.New("nothing of that name and source is held: nameward registrations --held lists what is")
	}
	return reply, nil
}

func (s *Server) take(ctx context.Context, req ImportRequest) (reply ImportReply, err error) {
	db, err := s.database()
	if err = errors.Join(err, tooMany(len(req.Records))); err != nil {
		return reply, err
	}
	reply.Refused = map[int]string{}
	granted := wins.StampOf(time.Now().Add(db.Settings().Timers.MaxTTL))
	records, places := make([]wins.Record, 0, len(req.Records)), make([]int, 0, len(req.Records))
	for i := range req.Records {
		r, err := req.Records[i].record(granted)
		if err != nil {
			reply.Refused[i] = err.Error()
			continue
		}
		shorten(&r, granted)
		records, places = append(records, r), append(places, i)
	}
	errs, err := db.Take(ctx, records, req.DryRun)
	if err != nil {
		return reply, unsaved(err)
	}
	for k, i := range places {
		switch {
		case errs[k] == nil:
			reply.Taken++
		case errors.Is(errs[k], wins.ErrKnown):
			reply.Known++
		default:
			reply.Refused[i] = errs[k].Error()
		}
	}
	return reply, nil
}

// shorten lets an active record last no longer than this server grants: another one may know no bound.
func shorten(r *wins.Record, granted wins.Stamp) {
	if r.Static || r.State != wins.Active || r.Ends <= granted {
		return
	}
	members := r.Members()
	for i := range members {
		members[i].Ends = min(members[i].Ends, granted)
	}
	r.SetMembers(members)
	r.Ends = granted
}
