package updatesctl

import (
	"errors"
	"fmt"
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
