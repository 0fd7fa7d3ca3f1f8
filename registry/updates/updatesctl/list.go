package updatesctl

import (
	"bufio"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"slices"

	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// stream writes a JSON object a line.
func stream[T any](w http.ResponseWriter, lines iter.Seq[T]) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for line := range lines {
		// The client has gone if this fails; there is nobody left to tell.
		if enc.Encode(line) != nil {
			return
		}
	}
	_ = out.Flush()
}

func (s *Server) updates(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		control.Fail(w, http.StatusBadRequest, err)
		return
	}
	list, err := s.held(f)
	if err != nil {
		control.Fail(w, statusOf(err), err)
		return
	}
	stream(w, func(yield func(Held) bool) {
		for i := range list {
			if !yield(heldOf(&list[i])) {
				return
			}
		}
	})
}

// held lists what passes a filter.
func (s *Server) held(f Filter) ([]updates.Held, error) {
	b, err := s.book()
	if err != nil {
		return nil, err
	}
	is, err := f.matcher()
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(b.List(), func(h updates.Held) bool { return !is(&h) })
	if len(list) > 0 || f.Zone == "" {
		return list, nil
	}
	// A zone that is spelt wrong looks as if nothing had happened in it.
	db, err := s.zones()
	if err == nil {
		name, _ := parseName(f.Zone)
		_, err = view(db, name)
	}
	return list, err
}

func (s *Server) records(w http.ResponseWriter, r *http.Request) {
	f, err := parseRecordFilter(r.URL.Query())
	var db *zone.DB
	if err == nil {
		db, err = s.zones()
	}
	var found iter.Seq[Record]
	if err == nil {
		found, err = recordsOf(db, f)
	}
	if err != nil {
		control.Fail(w, http.StatusBadRequest, err)
		return
	}
	stream(w, found)
}

// recordsOf yields the records that pass a filter, zone by zone and then from the right.
func recordsOf(db *zone.DB, f RecordFilter) (iter.Seq[Record], error) {
	zoneName, err := parseName(f.Zone)
	if err != nil {
		return nil, err
	}
	name := f.Name
	if f.Of != "" {
		if of, _ := parseName(f.Of); of != "" && db.View(of) != nil {
			zoneName = of
		} else {
			name = f.Of
		}
	}
	names := parsePattern(name)
	views, err := viewsFor(db, zoneName, names.exact())
	if err != nil {
		return nil, err
	}
	return func(yield func(Record) bool) {
		for _, v := range views {
			for n := range namesOf(v, names) {
				for r := range recordsAt(v, n) {
					if !yield(r) {
						return
					}
				}
			}
		}
	}, nil
}

// viewsFor lists the zone with a name, the one that an exact name lies in, or all.
func viewsFor(db *zone.DB, zoneName, exact string) ([]*zone.View, error) {
	var v *zone.View
	var err error
	switch {
	case zoneName != "":
		v, err = view(db, zoneName)
	case exact != "":
		v, err = viewOf(db, exact)
	default:
		all := map[string]*zone.View{}
		for _, z := range db.State().World.Zones {
			if v := db.View(z.Name); v != nil {
				all[z.Name] = v
			}
		}
		var out []*zone.View
		for _, name := range slices.Sorted(maps.Keys(all)) {
			out = append(out, all[name])
		}
		return out, nil
	}
	return []*zone.View{v}, err
}

func namesOf(v *zone.View, p pattern) iter.Seq[*zone.Name] {
	return func(yield func(*zone.Name) bool) {
		if name := p.exact(); name != "" {
			if n := v.Name(name); n != nil {
				yield(n)
			}
			return
		}
		for n := range v.All() {
			if p.matches(n.Owner) && !yield(n) {
				return
			}
		}
	}
}

func recordsAt(v *zone.View, n *zone.Name) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, set := range n.Sets {
			for _, r := range set.Records {
				if !yield(recordOf(v.Zone.Name, r)) {
					return
				}
			}
		}
	}
}
