package updatesctl

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// Server serves the part of the control API that is about updates. What its functions return may change while it
// runs.
type Server struct {
	// Zones are the owned zones; nil, or a nil database, for none.
	Zones func() *zone.DB
	// Book has what is held; nil, or a nil book, when no updates are taken.
	Book func() *updates.Book
	Log  zerolog.Logger
}

// Mount adds the handlers, for [control.Server.Mount].
func (s *Server) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/updates", s.updates)
	mux.HandleFunc("POST /v1/updates/forget", control.Verb(statusOf, s.forget))
	mux.HandleFunc("GET /v1/records", s.records)
	mux.HandleFunc("POST /v1/records/remove", control.Verb(statusOf, s.remove))
}

var (
	errNoZones = errors.New("this nameward owns no zones: write zones into its configuration")
	errNoBook  = errors.New("this nameward takes no DNS updates")
)

// errUnsaved wraps what the disk says.
type errUnsaved struct{ error }

func (e errUnsaved) Unwrap() error { return e.error }

func statusOf(err error) int {
	if errors.Is(err, zone.ErrStopped) || errors.Is(err, updates.ErrStopped) || errors.As(err, new(errUnsaved)) {
		return http.StatusServiceUnavailable
	}
	return http.StatusConflict
}

// zones returns the database, if there are zones.
func (s *Server) zones() (*zone.DB, error) {
	if s.Zones != nil {
		if db := s.Zones(); db != nil && len(db.State().World.Zones) > 0 {
			return db, nil
		}
	}
	return nil, errNoZones
}

func (s *Server) book() (*updates.Book, error) {
	if s.Book != nil {
		if b := s.Book(); b != nil {
			return b, nil
		}
	}
	return nil, errNoBook
}

// owned lists the owned zones for people.
func owned(db *zone.DB) string {
	var names []string
	for _, z := range db.State().World.Zones {
		names = append(names, z.Name)
	}
	slices.Sort(names)
	const most = 10
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// view returns an owned zone, or an error that says which ones there are.
func view(db *zone.DB, name string) (*zone.View, error) {
	if v := db.View(name); v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("zone %s is not owned; owned are %s", name, owned(db))
}

// viewOf returns the owned zone that a name lies in.
func viewOf(db *zone.DB, name string) (*zone.View, error) {
	if z := db.State().Zone(name); z != nil {
		return view(db, z.Name)
	}
	return nil, fmt.Errorf("%s lies in no owned zone; owned are %s", name, owned(db))
}

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
