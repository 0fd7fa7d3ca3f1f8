package audit

import (
	"cmp"
	"embed"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/registry"
)

//go:embed pages/*.md
var pages embed.FS

// The kinds of findings about records. Their ids never change and are never used again.
var (
	MustNotBePublished = kind("NW401", finding.Error)
	PartlyPublished    = kind("NW402", finding.Error)
	NotTheHolder       = kind("NW403", finding.Warning)
	Forwarded          = kind("NW404", finding.Note)
	Shadowed           = kind("NW405", finding.Note)
	Unreadable         = kind("NW406", finding.Warning)
)

// FindingKinds are all kinds of findings of this package, by id.
var FindingKinds []*finding.Kind

func kind(id string, severity finding.Severity) *finding.Kind {
	k := finding.MustKind(pages, id, severity)
	FindingKinds = append(FindingKinds, k)
	return k
}

// Columns are the keys of the fields of this package's findings.
var Columns = []string{"name", "type", "address", "class", "verdict", "rule", "channel", "source", "since", "detail", "shadow", "mend", "decision"}

// Judge holds records against a policy. It is for one goroutine.
type Judge struct {
	Policy *policy.Policy
	State  *registry.Snapshot
	Now    time.Time // exceptions that expired before do not count

	Records int // looked at
	Found   int // of them, findings
	byName  map[string]int
	others  int // findings of names beyond maxNames
	byClass map[classAction]int
	scratch []netip.Addr
}

type classAction struct {
	class  string
	action policy.Action
}

// maxNames bounds the memory of the summary.
const maxNames = 100_000

// Look returns what is wrong with a record, or false when the policy has nothing against it. The
// finding shares nothing with the record.
func (j *Judge) Look(r *Record, kind Kind) (finding.Finding, bool) {
	j.Records++
	r.Time = j.Now
	d := j.Policy.Decide(j.State, &r.Request)
	k := kindOf(&d)
	if k == nil {
		return finding.Finding{}, false
	}
	j.Found++
	bad, class := j.offending(&d)
	j.count(r.Name(), class, d.Verdict)
	return finding.Finding{
		Kind: k, Severity: k.Severity, Place: r.Place, Message: message(r, &d, bad, class),
		Fields: fields(r, kind, &d, bad, class),
	}, true
}

func kindOf(d *policy.Decision) *finding.Kind {
	switch d.Verdict {
	case policy.Strip:
		return PartlyPublished
	case policy.Quarantine, policy.Refuse:
		return MustNotBePublished
	case policy.Forward:
		return Forwarded
	case policy.Rewrite:
		if keepsAll(d) {
			return nil
		}
		return NotTheHolder
	}
	if d.Shadow != nil {
		return Shadowed
	}
	return nil
}

func keepsAll(d *policy.Decision) bool {
	return !slices.ContainsFunc(d.Fates(), func(f policy.Fate) bool { return !f.Kept })
}

// offending are the addresses that are not kept, with the class of the first that has one.
func (j *Judge) offending(d *policy.Decision) (bad []netip.Addr, class string) {
	j.scratch = j.scratch[:0]
	for _, f := range d.Fates() {
		if f.Kept {
			continue
		}
		j.scratch = append(j.scratch, f.Addr)
		if class == "" {
			class = f.Class
		}
	}
	return j.scratch, class
}

func (j *Judge) count(name, class string, verdict policy.Action) {
	if j.byName == nil {
		j.byName, j.byClass = map[string]int{}, map[classAction]int{}
	}
	if _, ok := j.byName[name]; ok || len(j.byName) < maxNames {
		j.byName[name]++
	} else {
		j.others++
	}
	j.byClass[classAction{class, verdict}]++
}

func message(r *Record, d *policy.Decision, bad []netip.Addr, class string) string {
	text := r.Name()
	if len(bad) > 0 {
		text += " has " + withClasses(d, bad, class)
	}
	switch d.Verdict {
	case policy.Rewrite:
		text += ", and the holder has " + joined(d.AppendPublished(nil))
	case policy.Forward:
		text += ", which is another server's matter"
	case policy.Publish:
		return text + ": rule " + d.Shadow.ID + ", which is in shadow mode, would " + d.Shadow.Action.String() + " it"
	default:
		text += ", which must not be published"
	}
	if d.Reason == policy.NoHolder {
		return text + ": nobody holds role " + d.Role + ", whose address would stand for it"
	}
	if reason := d.Rule.Reason; reason != "" {
		return text + ": " + reason
	}
	return text + ": rule " + d.Rule.ID + " says " + d.Rule.Action.String()
}

// withClasses names the addresses that are not kept: "10.9.0.11 of class management", and each with its
// own class when they differ.
func withClasses(d *policy.Decision, bad []netip.Addr, class string) string {
	differ := slices.ContainsFunc(d.Fates(), func(f policy.Fate) bool { return !f.Kept && f.Class != class })
	switch {
	case class == "":
		return joined(bad)
	case !differ:
		return joined(bad) + " of class " + class
	}
	var out []string
	for _, f := range d.Fates() {
		switch {
		case f.Kept:
		case f.Class == "":
			out = append(out, f.Addr.String())
		default:
			out = append(out, f.Addr.String()+" ("+f.Class+")")
		}
	}
	return strings.Join(out, ", ")
}

func joined(l []netip.Addr) string {
	if len(l) == 1 {
		return l[0].String()
	}
	out := make([]string, len(l))
	for i, a := range l {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

func fields(r *Record, kind Kind, d *policy.Decision, bad []netip.Addr, class string) []finding.Field {
	out := make([]finding.Field, 0, len(Columns))
	add := func(key, value string) {
		if value != "" {
			out = append(out, finding.Field{Key: key, Value: value})
		}
	}
	add("name", r.Name())
	add("type", r.TypeName())
	add("address", joined(bad))
	add("class", class)
	add("verdict", d.Verdict.String())
	add("rule", d.Rule.ID)
	add("channel", r.Channel.String())
	if r.Source.IsValid() {
		add("source", r.Source.String())
	}
	if !r.Since.IsZero() {
		add("since", r.Since.UTC().Format(time.RFC3339))
	}
	add("detail", r.Detail)
	if d.Shadow != nil {
		add("shadow", d.Shadow.ID+" would "+d.Shadow.Action.String())
	}
	if d.Verdict != policy.Publish && d.Verdict != policy.Forward {
		add("mend", Mend(r, kind, bad...))
	}
	add("decision", d.ID.String())
	return out
}

// topNames is how many names the summary shows.
const topNames = 20

// Summary is the findings by name and by class.
func (j *Judge) Summary() []finding.Table {
	if j.Found == 0 {
		return nil
	}
	classes := finding.Table{Title: "by class", Columns: []string{"class", "verdict", "records"}}
	keys := slices.SortedFunc(maps.Keys(j.byClass), func(a, b classAction) int {
		return cmp.Or(j.byClass[b]-j.byClass[a], cmp.Compare(a.class, b.class), cmp.Compare(a.action, b.action))
	})
	for _, k := range keys {
		classes.Rows = append(classes.Rows, []string{orDash(k.class), k.action.String(), strconv.Itoa(j.byClass[k])})
	}
	names := finding.Table{Title: "by name", Columns: []string{"name", "records"}}
	order := slices.SortedFunc(maps.Keys(j.byName), func(a, b string) int { return cmp.Or(j.byName[b]-j.byName[a], cmp.Compare(a, b)) })
	rest := j.others
	for i, n := range order {
		if i < topNames {
			names.Rows = append(names.Rows, []string{n, strconv.Itoa(j.byName[n])})
		} else {
			rest += j.byName[n]
		}
	}
	if rest > 0 {
		names.Rows = append(names.Rows, []string{"all others", strconv.Itoa(rest)})
	}
	return []finding.Table{classes, names}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ProblemFinding is a problem of a source as a finding.
func ProblemFinding(p *Problem) finding.Finding {
	f := finding.Finding{Kind: Unreadable, Severity: Unreadable.Severity, Place: p.Place, Message: p.Err.Error()}
	if p.Fatal {
		f.Severity, f.Message = finding.Error, f.Message+"; nothing behind it was read"
	}
	return f
}
