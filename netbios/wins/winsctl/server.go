package winsctl

import (
	"errors"
	"net/http"
	"time"

	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/held"
)

// Server serves the WINS part of the control API. What its functions return may change while it runs.
type Server struct {
	// DB is the database, nil while there is no WINS server.
	DB func() *wins.Database
	// Usage counts who uses which names; nil, or a nil tracker, if nobody does.
	Usage func() *usage.Tracker
	// Snapshot is the state of the roles; nil for none.
	Snapshot func() *registry.Snapshot
	// DNSSuffix is the domain, fully qualified, in which a NetBIOS name has its DNS name; nil or "" for
	// none.
	DNSSuffix func() string
	// Partners are the servers that records are exchanged with, false for none; the function may be nil too.
	Partners func() (Partners, bool)
	// Behind are the WINS servers behind this one; nil for none.
	Behind func() Behind
}

// Mount adds the handlers, for [control.Server.Mount].
func (s *Server) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/wins/registrations", s.list)
	mux.HandleFunc("POST /v1/wins/registrations/add", control.Verb(statusOf, s.add))
	mux.HandleFunc("POST /v1/wins/registrations/remove", control.Verb(statusOf, s.remove))
	mux.HandleFunc("POST /v1/wins/registrations/forget", control.Verb(statusOf, s.forget))
	mux.HandleFunc("POST /v1/wins/registrations/import", control.Verb(statusOf, s.take))
	mux.HandleFunc("GET /v1/wins/report", s.report)
	mux.HandleFunc("GET /v1/wins/partners", s.partners)
}

// errOff is for those who ask a nameward without a WINS server.
var errOff = errors.New("this nameward has no WINS server: write netbios.wins into its configuration")

// errUnsaved wraps what the disk says.
type errUnsaved struct{ error }

func statusOf(err error) int {
	if errors.Is(err, wins.ErrStopped) || errors.As(err, new(errUnsaved)) {
		return http.StatusServiceUnavailable
	}
	return http.StatusConflict
}

func (s *Server) database() (*wins.Database, error) {
	if s.DB != nil {
		if db := s.DB(); db != nil {
			return db, nil
		}
	}
	return nil, errOff
}

func (s *Server) snapshot() *registry.Snapshot {
	if s.Snapshot == nil {
		return nil
	}
	return s.Snapshot()
}

// patience is how long the disk may take before status says so.
const patience = time.Second

// Status tells how the WINS server is, nil if there is none; for [control.Server.WINS].
func (s *Server) Status() *control.WINSStatus {
	db, err := s.database()
	if err != nil {
		return nil
	}
	snap := db.Snapshot()
	count := snap.Count(wins.StampOf(time.Now()))
	st := &control.WINSStatus{
		Records: map[string]int{
			wins.Active.String(): count.Active, wins.Released.String(): count.Released, wins.Tombstone.String(): count.Tombstone,
		},
		Static: count.Static, Held: map[string]int{}, Dropped: db.HeldCounts().Dropped, Version: snap.Version,
	}
	byFate := db.HeldByFate()
	for _, f := range held.Fates {
		st.Held[f.String()] = byFate[f]
	}
	if s.Partners != nil {
		p, _ := s.Partners()
		st.Partners, st.Unreached = len(p.Partners), p.unreached()
	}
	load := db.Load()
	st.Queue, st.Challenges, st.Outbox = load.Queue, load.Challenges, load.Outbox
	switch {
	case snap.Err != nil:
		st.Error = snap.Err.Error()
	case load.Stalled > patience:
		st.Error = "the disk has not answered for " + load.Stalled.Round(time.Second).String()
	}
	return st
}
