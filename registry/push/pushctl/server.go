package pushctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
)

// Server serves the part of the control API that is about pushing changes.
type Server struct {
	Pusher *push.Pusher
	// Drill names the role that drills move; nil for none.
	Drill func() string
}

// Mount adds the handlers, for [control.Server.Mount].
func (s *Server) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/push", s.status)
	mux.HandleFunc("POST /v1/push/wait", control.Verb(statusOf, s.wait))
	mux.HandleFunc("POST /v1/push/retry", control.Verb(statusOf, s.retry))
}

func statusOf(error) int { return http.StatusConflict }

// longest is for how long one request may wait.
const longest = time.Minute

func (s *Server) wait(ctx context.Context, r WaitRequest) (WaitReply, error) {
	if n := len(s.Pusher.Standing()); r.Quorum > n {
		return WaitReply{}, fmt.Errorf("a quorum of %d is more than the %d targets that there are", r.Quorum, n)
	}
	ctx, cancel := context.WithTimeout(ctx, min(r.Timeout, longest))
	defer cancel()
	targets, done := s.Pusher.Wait(ctx, r.Change, r.Roles, r.Quorum)
	return WaitReply{done, targets}, nil
}

func (s *Server) retry(ctx context.Context, r RetryRequest) (RetryReply, error) {
	snap := s.Pusher.Snapshot()
	for _, role := range r.Roles {
		if _, ok := snap.Role(role); !ok {
			return RetryReply{}, fmt.Errorf("no role is named %q; nameward status lists the roles", role)
		}
	}
	n, err := s.Pusher.Retry(ctx, r.Targets, r.Roles, r.All)
	return RetryReply{n}, err
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	f, err := filterOf(r.URL.Query())
	if err != nil {
		control.Fail(w, http.StatusBadRequest, err)
		return
	}
	st := Status{Standby: !s.Pusher.Leading(), Targets: []Target{}}
	if err := s.Pusher.Ledger.Err(); err != nil {
		st.Error = err.Error()
	}
	if s.Drill != nil {
		st.Drill = s.Drill()
	}
	for _, t := range s.Pusher.Standing() {
		st.Targets = append(st.Targets, targetOf(t))
	}
	st.Deliveries = s.Pusher.Ledger.Rows(func(d *push.Delivery) bool { return f.wants(d) && (f.Done || !d.IsDone()) })
	slices.SortFunc(st.Deliveries, func(a, b push.Delivery) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Role, b.Role))
	})
	if f.History > 0 {
		st.History = slices.DeleteFunc(s.Pusher.Ledger.History(f.History), func(d push.Delivery) bool { return !f.wants(&d) })
	}
	control.Reply(w, st)
}

func targetOf(t push.TargetStatus) Target {
	out := Target{
		Name: t.Name, Kind: t.Kind, Stages: map[string]int{}, Lacks: t.Lacks(), Change: t.Seen, Superseded: t.Counts.Superseded, Failures: t.Counts.Failures,
		Delivered: t.Counts.Delivered.Count,
	}
	for stage, n := range t.Stages {
		out.Stages[stage.String()] = n
	}
	if n := t.Counts.Delivered.Count; n > 0 {
		out.MeanSec = t.Counts.Delivered.Sum.Seconds() / float64(n)
	}
	return out
}

func (f *Filter) wants(d *push.Delivery) bool {
	return (f.Target == "" || d.Target == f.Target) && (f.Role == "" || d.Role == f.Role)
}

func filterOf(q url.Values) (Filter, error) {
	f := Filter{Target: q.Get("target"), Role: q.Get("role"), Done: q.Get("done") == "true"}
	if n := q.Get("history"); n != "" {
		var err error
		if f.History, err = strconv.Atoi(n); err != nil || f.History < 0 {
			return f, errors.New("history is how many deliveries that are over are asked for, such as 100")
		}
	}
	return f, nil
}
