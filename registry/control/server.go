package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

// Server serves the control API of one running guard.
type Server struct {
	Registry *registry.Registry
	Version  string
	Started  time.Time
	// Config tells which configuration is in force.
	Config func() ConfigStatus
	// Policy tells which registration rules are in force; nil for the zero status.
	Policy func() PolicyStatus
	// Reload reads the configuration file again and puts it in force if it is good.
	Reload func(context.Context) error
	// Checks lists the health checks; nil for none.
	Checks func() []Check
	// Zones lists the owned zones; nil for none.
	Zones func() []Zone
	// Listen tells where questions are answered.
	Listen func() Listen
	// WINS tells how the WINS server is, nil if there is none; the function may be nil too.
	WINS func() *WINSStatus
	// Names explains what the WINS server has of names; nil if there is none.
	Names Names
	// Updates explains what dynamic updates have made of DNS names; the zero value for none.
	Updates Updates
	// UpdatesStatus tells how dynamic updates are taken, nil if they are not; the function may be nil too.
	UpdatesStatus func() *UpdatesStatus
	// Push tells whether the targets have everything, nil if there are none; the function may be nil too.
	Push func() *PushStatus
	// Stream tells who follows names with DNS Push, nil if nobody can; the function may be nil too.
	Stream func() *StreamStatus
	// Told explains which targets have what a role publishes; nil if there are none.
	Told func(e *Explanation, role string)
	// Mount adds the handlers of other packages; nil for none.
	Mount func(*http.ServeMux)
	// StorePath is what status shows.
	StorePath string
	Log       zerolog.Logger
}

// maxRequest bounds the body of a request in octets: 100,000 roles in one switch fit.
const maxRequest = 8 << 20

// Serve answers on the Unix socket at path until ctx ends. The socket has mode 0600.
func (s *Server) Serve(ctx context.Context, path string) error {
	ln, err := listen(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket %s: %w", path, err)
	}
	return nil
}

// Handler returns the API without its socket.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("GET /v1/watch", s.watch)
	mux.HandleFunc("GET /v1/explain", s.explain)
	mux.HandleFunc("POST /v1/switch", Verb(statusOf, s.Registry.Switch))
	mux.HandleFunc("POST /v1/ttl/lower", Verb(statusOf, s.Registry.LowerTTL))
	mux.HandleFunc("POST /v1/ttl/raise", Verb(statusOf, s.Registry.RaiseTTL))
	mux.HandleFunc("POST /v1/override/set", Verb(statusOf, s.setOverride))
	mux.HandleFunc("POST /v1/override/clear", Verb(statusOf, s.clearOverride))
	mux.HandleFunc("POST /v1/drain", Verb(statusOf, s.drain))
	mux.HandleFunc("POST /v1/undrain", Verb(statusOf, s.undrain))
	mux.HandleFunc("POST /v1/reload", s.reload)
	if s.Mount != nil {
		s.Mount(mux)
	}
	return mux
}

// Verb makes a handler of a function from a request to a result; statusOf is the HTTP status of its
// errors.
func Verb[Req, Res any](statusOf func(error) int, do func(context.Context, Req) (Res, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req Req
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
			Fail(w, http.StatusBadRequest, fmt.Errorf("reading the request: %w", err))
			return
		}
		res, err := do(r.Context(), req)
		if err != nil {
			Fail(w, statusOf(err), err)
			return
		}
		Reply(w, res)
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, registry.ErrStopped):
		return http.StatusServiceUnavailable
	case errors.Is(err, registry.ErrNotSaved):
		return http.StatusInsufficientStorage
	}
	return http.StatusConflict
}

// Reply writes a result.
func Reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// The client has gone if this fails; there is nobody left to tell.
	json.NewEncoder(w).Encode(v)
}

// Fail writes an error, from which the client makes a [RefusedError].
func Fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(errorReply{err.Error()})
}

func (s *Server) setOverride(ctx context.Context, r OverrideRequest) (registry.Moves, error) {
	return s.Registry.SetOverride(ctx, r.Role, registry.Override{Nodes: r.Nodes, By: r.By, Reason: r.Reason})
}

func (s *Server) clearOverride(ctx context.Context, r OverrideRequest) (registry.Moves, error) {
	return s.Registry.ClearOverride(ctx, r.Role)
}

func (s *Server) drain(ctx context.Context, r DrainRequest) (registry.Moves, error) {
	return s.Registry.Drain(ctx, r.Node, registry.Drain{By: r.By, Reason: r.Reason}, r.Force)
}

func (s *Server) undrain(ctx context.Context, r DrainRequest) (registry.Moves, error) {
	return s.Registry.Undrain(ctx, r.Node)
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if err := s.Reload(r.Context()); err != nil {
		Fail(w, http.StatusConflict, err)
		return
	}
	Reply(w, s.Config())
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	snap := s.Registry.Snapshot()
	st := Status{
		Version: s.Version, Started: s.Started, Change: snap.Change, Config: s.Config(),
		Store: StoreStatus{Path: s.StorePath, Error: textOf(snap.StoreErr)}, Roles: []Role{},
		Drained: map[string]registry.Drain{}, Claims: map[string]uint64{},
	}
	for role := range snap.Roles() {
		st.Roles = append(st.Roles, RoleOf(role))
	}
	for _, n := range snap.World.Nodes {
		st.Nodes = append(st.Nodes, Node{n.Name, n.Cluster, n.Site, n.Public})
		if d, is := snap.Drained(n.Name); is {
			st.Drained[n.Name] = d
		}
	}
	if s.Zones != nil {
		st.Zones = s.Zones()
	}
	counts := s.Registry.Counts()
	for _, o := range registry.Outcomes {
		st.Claims[o.String()] = counts.Claims[o]
	}
	st.Policy = s.policy()
	if s.Checks != nil {
		st.Checks = s.Checks()
	}
	if s.Listen != nil {
		st.Listen = s.Listen()
	}
	if s.WINS != nil {
		st.WINS = s.WINS()
	}
	if s.UpdatesStatus != nil {
		st.Updates = s.UpdatesStatus()
	}
	if s.Push != nil {
		st.Push = s.Push()
	}
	if s.Stream != nil {
		st.Stream = s.Stream()
	}
	Reply(w, st)
}

func (s *Server) policy() PolicyStatus {
	if s.Policy == nil {
		return PolicyStatus{}
	}
	return s.Policy()
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// watch streams changes by level: a reader that is slow sees the latest state, not every step.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	var last *registry.Snapshot
	for {
		snap := s.Registry.Snapshot()
		ev := Event{
			Time: time.Now(), Change: snap.Change, Config: s.Config().Error, Policy: s.policy().Error, Store: textOf(snap.StoreErr), Roles: []Role{},
		}
		for role := range snap.ChangedSince(last) {
			ev.Roles = append(ev.Roles, RoleOf(role))
		}
		if enc.Encode(ev) != nil || flush.Flush() != nil {
			return
		}
		last = snap
		select {
		case <-snap.Superseded():
		case <-r.Context().Done():
			return
		}
	}
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	e, err := Explain(s.Registry.Snapshot(), r.URL.Query().Get("name"), s.Names, s.Updates)
	if err != nil {
		Fail(w, http.StatusBadRequest, err)
		return
	}
	if e.asked != "" && s.Told != nil {
		s.Told(&e, e.asked)
	}
	Reply(w, e)
}
