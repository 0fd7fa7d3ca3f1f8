package wins

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
)

// TestScenarios plays testdata/*.txt in fake time. A scenario is a file of steps, one a line; # begins a
// comment.
//
//	register NAME [group] ADDR... [from ADDR] [ttl N] => [wack] OUTCOME [rcode N] [ttl N]
//	    also multihomed, refresh, release: send a request and wait for the last word on it
//	LABEL: register ...      send, and go on
//	LABEL waits              it was told to wait and has no last word yet
//	LABEL again => OUTCOME   the same packet once more
//	LABEL => ...             wait for the last word
//	query NAME => ADDR... [ttl N] or -
//	record NAME => KIND STATE vVERSION ADDR...[@OWNER] [static], or -
//	put KIND NAME ADDR[@OWNER]... [static] [for DURATION] => ok or error: TEXT
//	remove NAME [ADDR] => true or false
//	held NAME => FATE WHAT SOURCE REASON xCOUNT; ... or -
//	owner silent | owner denies | owner has ADDR... | owner cannot be asked
//	guard NAME publish | park | quarantine | refuse | only ADDR | by-rule
//	vet
//	pass DURATION            time passes; d is a day
//	restart [after DURATION]
//	disk full | disk ok
//	limit WHAT N             records, per-address, challenges, queue
//	timers MIN MAX INTERVAL TIMEOUT [VERIFY]
//	err => TEXT or -         why changes cannot be saved
//	for A..B STEP            with % for the number
//
// Those about replication are in replica_test.go.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				s := scenario{lab: newLab(t), labels: map[string]*Request{}, guards: map[netbios.Name]string{}}
				s.admit = s.guard
				defer s.stop()
				for i, line := range strings.Split(string(text), "\n") {
					line, _, _ = strings.Cut(line, "#")
					if line = strings.TrimSpace(line); line != "" {
						s.at = fmt.Sprintf("%s:%d: %s", f, i+1, line)
						s.step(line)
					}
				}
				s.stop()
				s.db.Snapshot().checkIndex(t)
				s.eachHasOneAnswer()
			})
		})
	}
}

type scenario struct {
	*lab
	at     string
	labels map[string]*Request
	guards map[netbios.Name]string
	hidden []IPv4
}

func (s *scenario) step(line string) {
	s.t.Helper()
	if rest, ok := strings.CutPrefix(line, "for "); ok {
		s.loop(rest)
		return
	}
	do, want, hasWant := strings.Cut(line, " => ")
	words := strings.Fields(do)
	args := words[1:]
	got := ""
	switch words[0] {
	case "register", "multihomed", "refresh", "release":
		got = s.lastWord(s.send(do), want)
	case "query":
		got = s.queried(args[0], strings.Contains(want, "ttl "))
	case "record":
		got = s.record(args[0])
	case "put":
		got = s.put(args)
	case "remove":
		got = s.remove(args)
	case "held":
		got = s.heldOf(args[0])
	case "err":
		got = "-"
		if err := s.db.Snapshot().Err; err != nil {
			got = err.Error()
		}
	default:
		var ok bool
		if got, ok = s.replication(words, do); !ok {
			got = s.other(words, do, want)
		}
	}
	if hasWant && got != want {
		s.t.Errorf("%s\n got: %s\nwant: %s", s.at, got, want)
	}
}

// other is a step that changes the world, or one with a label.
func (s *scenario) other(words []string, do, want string) string {
	s.t.Helper()
	args := words[1:]
	set := s.db.Settings()
	switch words[0] {
	case "owner":
		s.setOwner(args)
	case "guard":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.guards[netbios.MustParseName(args[0])] = strings.Join(args[1:], " ")
	case "vet":
		if err := s.db.Vet(s.t.Context()); err != nil {
			s.t.Errorf("%s: %v", s.at, err)
		}
	case "pass":
		time.Sleep(s.duration(args[0]))
		synctest.Wait()
	case "restart":
		s.stop()
		if len(args) > 0 {
			time.Sleep(s.duration(args[1]))
		}
		s.start(set)
	case "disk":
		s.journal.Fail(map[string]error{"full": errors.New("no space left"), "ok": nil}[args[0]])
	case "limit":
		n, _ := strconv.Atoi(args[1])
		*map[string]*int{
			"records": &set.Limits.Records, "per-address": &set.Limits.PerAddress, "challenges": &set.Limits.Challenges,
			"queue": &set.Limits.Queue,
		}[args[0]] = n
		s.db.Configure(set)
	case "timers":
		for i, d := range []*time.Duration{
			&set.Timers.MinTTL, &set.Timers.MaxTTL, &set.Timers.ExtinctionInterval, &set.Timers.ExtinctionTimeout, &set.Timers.Verify,
		} {
			if i < len(args) {
				*d = s.duration(args[i])
			}
		}
		s.db.Configure(set)
		s.restart() // the snapshot has the old ones until something changes
	default:
		return s.labelled(words, do, want)
	}
	return ""
}

func (s *scenario) labelled(words []string, do, want string) string {
	s.t.Helper()
	if label, ok := strings.CutSuffix(words[0], ":"); ok {
		s.labels[label] = s.send(strings.TrimSpace(strings.TrimPrefix(do, words[0])))
		synctest.Wait()
		return ""
	}
	r := s.labels[words[0]]
	if r == nil {
		s.t.Fatalf("%s: no such step", s.at)
	}
	if len(words) == 1 {
		return s.lastWord(r, want)
	}
	switch words[1] {
	case "waits":
		synctest.Wait()
		if got := s.said(r); len(got) != 1 || !got[0].Wack {
			s.t.Errorf("%s: it was answered %+v", s.at, got)
		}
	case "again":
		same := *r
		same.Waits = false
		if a := s.db.Submit(&same); a.Outcome != Waiting {
			s.Answer(&same, a)
		}
		return s.lastWord(&same, want)
	default:
		s.t.Fatalf("%s: no such step", s.at)
	}
	return ""
}

func (s *scenario) loop(rest string) {
	s.t.Helper()
	bounds, step, _ := strings.Cut(rest, " ")
	from, to, _ := strings.Cut(bounds, "..")
	a, _ := strconv.Atoi(from)
	b, _ := strconv.Atoi(to)
	for i := a; i <= b; i++ {
		s.step(strings.ReplaceAll(step, "%", strconv.Itoa(i)))
	}
}

func (s *scenario) duration(text string) time.Duration {
	s.t.Helper()
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			s.t.Fatal(s.at, err)
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(s.at, err)
	}
	return d
}

func (s *scenario) lastWord(r *Request, want string) string {
	s.t.Helper()
	for range 10 * 60 * 10 {
		synctest.Wait()
		got := s.said(r)
		if n := len(got); n > 0 && !got[n-1].Wack {
			text := got[n-1].Outcome.String()
			for range n - 1 {
				text = "wack " + text
			}
			if c := got[n-1].Rcode; c != 0 {
				text += fmt.Sprintf(" rcode %d", c)
			}
			if strings.Contains(want, "ttl ") {
				text += fmt.Sprintf(" ttl %d", got[n-1].TTL)
			}
			return text
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "nothing"
}

func (s *scenario) queried(name string, ttl bool) string {
	got := s.query(name)
	if ttl {
		found, _ := s.db.Snapshot().Query(nil, netbios.MustParseName(name), StampOf(time.Now()))
		got += fmt.Sprintf(" ttl %d", found.TTL)
	}
	return got
}

func (s *scenario) record(name string) string {
	snap := s.db.Snapshot()
	r, ok := snap.Find(netbios.MustParseName(name))
	if !ok {
		return "-"
	}
	state, _ := snap.StateAt(&r, StampOf(time.Now()))
	text := fmt.Sprintf("%s %s v%d", r.Kind, state, r.Version)
	for _, m := range r.Members() {
		text += " " + m.Addr.String()
		if m.Owner != (IPv4{}) {
			text += "@" + serverName(m.Owner)
		}
	}
	if r.Static {
		text += " static"
	}
	return text
}

func (s *scenario) put(args []string) string {
	s.t.Helper()
	r := Record{Name: netbios.MustParseName(args[1]), Node: netbios.HNode}
	r.Kind = map[string]Kind{"unique": Unique, "group": Group, "internet": Internet, "multihomed": Multihomed}[args[0]]
	ends := StampOf(time.Now().Add(6 * 24 * time.Hour))
	var members []Member
	for rest := args[2:]; len(rest) > 0; rest = rest[1:] {
		switch rest[0] {
		case "static":
			r.Static, ends = true, 0
		case "for":
			ends, rest = StampOf(time.Now().Add(s.duration(rest[1]))), rest[1:]
		default:
			addr, owner, _ := strings.Cut(rest[0], "@")
			m := Member{Addr: IPv4Of(netip.MustParseAddr(addr))}
			if owner != "" {
				m.Owner = IPv4Of(netip.MustParseAddr(owner))
			}
			members = append(members, m)
		}
	}
	for i := range members {
		members[i].Ends = ends
	}
	r.SetMembers(members)
	r.Ends = ends
	errs, err := s.db.Put(s.t.Context(), []Record{r})
	if err = cmp.Or(err, errs[0]); err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}

func (s *scenario) remove(args []string) string {
	var addr netip.Addr
	if len(args) > 1 {
		addr = netip.MustParseAddr(args[1])
	}
	removed, err := s.db.Remove(s.t.Context(), netbios.MustParseName(args[0]), addr)
	if err != nil {
		return "error: " + err.Error()
	}
	return strconv.FormatBool(removed)
}

func (s *scenario) heldOf(name string) string {
	var out []string
	for _, h := range s.db.Held() {
		if h.Name == netbios.MustParseName(name) {
			out = append(out, fmt.Sprintf("%s %s %s %s x%d", h.Fate, h.What, h.Source, cmp.Or(h.Reason, "-"), h.Count))
		}
	}
	slices.Sort(out)
	return cmp.Or(strings.Join(out, "; "), "-")
}

func (s *scenario) setOwner(args []string) {
	var lists []IPv4
	for _, a := range args[1:] {
		if ip, err := netip.ParseAddr(a); err == nil {
			lists = append(lists, IPv4Of(ip))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner = func(_ netbios.Name, addrs []IPv4) []Challenged {
		if args[0] == "silent" {
			time.Sleep(3 * time.Second)
			return nil
		}
		time.Sleep(time.Second)
		var out []Challenged
		for _, a := range addrs {
			out = append(out, Challenged{Addr: a, Has: args[0] == "has", Lists: lists})
		}
		return out
	}
	s.cannotAsk = nil
	if args[0] == "cannot" {
		s.cannotAsk = errors.New("no socket")
	}
}

// guard is the registration policy of a scenario.
func (s *scenario) guard(r *Request) Verdict {
	s.mu.Lock()
	word := s.guards[r.Name]
	s.mu.Unlock()
	v := Verdict{Addrs: r.Addrs}
	word, only, _ := strings.Cut(word, " ")
	switch word {
	case "park":
		v.Action, v.Guarded, v.Role, v.Reason = Park, true, "mailbox", "role"
	case "quarantine":
		v.Action, v.Reason, v.Addrs = Quarantine, "policy", nil
	case "refuse":
		v.Action, v.Reason, v.Addrs = Refuse, "policy", nil
	case "by-rule":
		v.ByRule = true
	case "only":
		v.Reason = "policy"
		v.Addrs = slices.DeleteFunc(slices.Clone(r.Addrs), func(a netbios.Address) bool { return a.Addr != netip.MustParseAddr(only) })
	}
	return v
}

func (s *scenario) eachHasOneAnswer() {
	s.t.Helper()
	for r, got := range s.answers {
		if err := oneAnswer(got); err != nil {
			s.t.Errorf("%s %s from %s: %v: %+v", r.Op, r.Name, r.Source, err, got)
		}
	}
}

// oneAnswer reports what is wrong with the answers to one request: right are one WACK at the most and then
// one other.
func oneAnswer(got []Answer) error {
	if n := len(got); n == 2 && got[0].Wack && !got[1].Wack || n == 1 && !got[0].Wack {
		return nil
	}
	return fmt.Errorf("%d answers, want one, after one WACK at the most", len(got))
}
