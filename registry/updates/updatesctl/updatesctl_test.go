package updatesctl

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

const owns = "; owned are 2.0.192.in-addr.arpa., corp.example., lab.example."

func full(t *testing.T) *lab {
	l := newLab(t)
	l.register("corp.example.", "pc1.corp.example. 300 A 192.0.2.71", "pc1.corp.example. 300 AAAA 2001:db8::71", `pc1.corp.example. 300 TXT "seat 12"`,
		"*.apps.corp.example. 30 A 192.0.2.80", "corp.example. 60 MX 10 mail.corp.example.")
	l.register("lab.example.", "pc1.lab.example. 300 A 192.0.2.91")
	l.hold("mail.corp.example.", "192.0.2.12", "192.0.2.12", held.Parked)
	l.hold("pc1.corp.example.", "10.9.0.71", "192.0.2.77", held.Quarantined)
	l.hold("wpad.corp.example.", "192.0.2.66", "192.0.2.66", held.Refused)
	return l
}

func TestRecords(t *testing.T) {
	l := full(t)
	const (
		apex = "corp.example. MX 10 mail.corp.example.\n"
		apps = "*.apps.corp.example. A 192.0.2.80\n"
		pc1  = "pc1.corp.example. A 192.0.2.71\npc1.corp.example. TXT \"seat 12\"\npc1.corp.example. AAAA 2001:db8::71\n"
		lab  = "pc1.lab.example. A 192.0.2.91\n"
	)
	for _, tt := range []struct {
		name string
		f    RecordFilter
		want string
	}{
		{"all", RecordFilter{}, apex + apps + pc1 + lab},
		{"a zone", RecordFilter{Zone: "LAB.example"}, lab},
		{"of a zone", RecordFilter{Of: "corp.example"}, apex + apps + pc1},
		{"of a name", RecordFilter{Of: "pc1.corp.example"}, pc1},
		{"the apex", RecordFilter{Name: "corp.example"}, apex},
		{"a name", RecordFilter{Name: "PC1.corp.example."}, pc1},
		{"many names", RecordFilter{Name: "pc1.*"}, pc1 + lab},
		{"below", RecordFilter{Of: "*.apps.corp.example"}, apps},
		{"a name in another zone", RecordFilter{Zone: "lab.example", Name: "pc1.corp.example"}, ""},
		{"no such name", RecordFilter{Name: "pc2.corp.example"}, ""},
		{"no such zone", RecordFilter{Zone: "crop.example"}, "zone crop.example. is not owned" + owns},
		{"no zone of ours", RecordFilter{Of: "www.elsewhere.example"}, "www.elsewhere.example. lies in no owned zone" + owns},
		{"no name", RecordFilter{Zone: "a..b"}, `"a..b" is not a DNS name, as in www.corp.example`},
		{"both", RecordFilter{Zone: "lab.example", Of: "corp.example"}, "of says both, what zone and what name; leave it or them out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := l.records(tt.f); got != strings.TrimSuffix(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestUpdates(t *testing.T) {
	l := full(t)
	const (
		mail = "mail.corp.example. add A 192.0.2.12 parked 192.0.2.12\n"
		pc1  = "pc1.corp.example. add A 10.9.0.71 quarantined 192.0.2.77\n"
		wpad = "wpad.corp.example. add A 192.0.2.66 refused 192.0.2.66\n"
	)
	for _, tt := range []struct {
		name string
		f    Filter
		want string
	}{
		{"all", Filter{}, mail + pc1 + wpad},
		{"a name", Filter{Name: "WPAD.corp.example"}, wpad},
		{"names", Filter{Name: "*a*.corp.example"}, mail + wpad},
		{"a source", Filter{Source: l.book.List()[1].Source}, pc1},
		{"a fate", Filter{Fate: "parked"}, mail},
		{"all at once", Filter{Zone: "corp.example", Name: "*", Source: l.book.List()[1].Source, Fate: "refused"}, ""},
		{"a zone", Filter{Zone: "corp.example."}, mail + pc1 + wpad},
		{"another zone", Filter{Zone: "lab.example."}, ""},
		{"no such zone", Filter{Zone: "crop.example."}, "zone crop.example. is not owned" + owns},
		{"no such fate", Filter{Fate: "shelved"}, `fate "shelved" is none of parked, quarantined, refused, ignored`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := l.held(tt.f); got != strings.TrimSuffix(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	for path, want := range map[string]string{
		"/v1/updates?nmae=a":      `unknown parameter "nmae", known are zone, name, source, fate`,
		"/v1/updates?source=here": `source "here" is no address, as in 192.0.2.1`,
		"/v1/records?type=A":      `unknown parameter "type", known are zone, name, of`,
	} {
		if got := l.get(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestRemove(t *testing.T) {
	l := full(t)
	serial := l.zones.View("corp.example.").Serial
	for _, tt := range []struct{ name, rrtype, data, want string }{
		{"pc1.corp.example", "AAAA", "2001:DB8:0::71", "pc1.corp.example. AAAA 2001:db8::71"},
		{"pc1.corp.example", "txt", "seat 12", `pc1.corp.example. TXT "seat 12"`},
		{"pc1.corp.example", "MX", "", "pc1.corp.example. has no MX registered; it has A"},
		{"pc1.corp.example", "A", "192.0.2.99", "pc1.corp.example. has no A 192.0.2.99 registered; it has 192.0.2.71"},
		{"pc1.corp.example", "A", "nonsense", "pc1.corp.example. has no A nonsense registered; it has 192.0.2.71"},
		{"pc1.corp.example", "", "192.0.2.71", "say which type the record has, as in A"},
		{"pc1.corp.example", "TYPE70000", "", `"TYPE70000" is not the type of a record, as in A, AAAA or TXT`},
		{"PC1.CORP.example.", "", "", "pc1.corp.example. A 192.0.2.71"},
		{"pc1.corp.example", "", "", "nothing is registered at pc1.corp.example.; updates of it are held: nameward updates --name pc1.corp.example. lists them"},
		{"*.apps.corp.example", "TYPE1", "", "*.apps.corp.example. A 192.0.2.80"},
		{"corp.example", "", "", "corp.example. MX 10 mail.corp.example."},
		{"corp.example", "", "", "nothing is registered at corp.example."},
		{"mail.corp.example", "A", "", "nothing is registered at mail.corp.example.; it belongs to role mailbox, whose state decides what is answered"},
		{"ex1.corp.example", "", "", "nothing is registered at ex1.corp.example.; its records come from the configuration"},
		{"www.elsewhere.example", "", "", "www.elsewhere.example. lies in no owned zone" + owns},
		{"", "", "", "say which name"},
		{"a..b", "", "", `"a..b" is not a DNS name, as in www.corp.example`},
	} {
		if got := l.removed(tt.name, tt.rrtype, tt.data); got != tt.want {
			t.Errorf("%s %s %s: %s, want %s", tt.name, tt.rrtype, tt.data, got, tt.want)
		}
	}
	v := l.zones.View("corp.example.")
	if v.Records() != 0 || v.Serial != serial+5 || l.records(RecordFilter{Zone: "lab.example"}) == "" {
		t.Errorf("%d records are left, serial %d after %d", v.Records(), v.Serial, serial)
	}
	if log := l.log.String(); strings.Count(log, `"by":"root@ex1"`) != 5 || !strings.Contains(log, `"record":"pc1.corp.example.\t300\tIN\tA\t192.0.2.71"`) {
		t.Error(log)
	}
	// What went is not there after a kill.
	again, err := zone.Open(l.zoneJournal.Copy(), zone.DefaultLimits, l.zones.State, zerolog.Nop())
	if err != nil || again.View("corp.example.").Records() != 0 {
		t.Errorf("%v, or records are there again", err)
	}
}

func TestForget(t *testing.T) {
	l := full(t)
	forget := func(f Filter) string {
		reply, err := l.client.Forget(t.Context(), f)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(reply.Forgotten)
	}
	for _, tt := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "say what to forget: a name, or * for all"},
		{Filter{Name: "pc1.corp.example"}, "1"},
		{Filter{Name: "pc1.corp.example"}, "nothing like that is held: nameward updates lists what is"},
		{Filter{Name: "*", Fate: "dead"}, `fate "dead" is none of parked, quarantined, refused, ignored`},
		{Filter{Name: "*"}, "2"},
	} {
		if got := forget(tt.f); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.f, got, tt.want)
		}
	}
	again, err := updates.Open(l.bookJournal.Copy(), updates.DefaultLimits, zerolog.Nop())
	if err != nil || len(again.List()) != 0 {
		t.Errorf("%v, %v", err, again.List())
	}
}

// TestDiskFails: an operator is not told that something is done which is not.
func TestDiskFails(t *testing.T) {
	l := full(t)
	if err := l.book.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.zoneJournal.Fail(errDisk)
	l.bookJournal.Fail(errDisk)
	if got := l.removed("pc1.corp.example", "", ""); got != "nothing was removed: it cannot be saved: the disk is full" {
		t.Error(got)
	}
	if _, err := l.client.Forget(t.Context(), Filter{Name: "*"}); err == nil || err.Error() != "it is forgotten in memory, and that cannot be saved: the disk is full" {
		t.Error(err)
	}
	if l.records(RecordFilter{Name: "pc1.corp.example"}) == "" {
		t.Error("the records are gone nevertheless")
	}
	mux, w := http.NewServeMux(), httptest.NewRecorder()
	l.server.Mount(mux)
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/records/remove", strings.NewReader(`{"name":"pc1.corp.example"}`)))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
}

// TestNothing: a nameward without zones, or without updates, says so.
func TestNothing(t *testing.T) {
	l := &lab{t: t}
	reg, err := registry.Open(&registry.World{}, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	l.client = l.serve(&Server{}, reg)
	if got := l.records(RecordFilter{}); got != errNoZones.Error() {
		t.Error(got)
	}
	if got := l.removed("pc1.corp.example", "", ""); got != errNoZones.Error() {
		t.Error(got)
	}
	if got := l.held(Filter{}); got != errNoBook.Error() {
		t.Error(got)
	}
	if _, err := l.client.Forget(t.Context(), Filter{Name: "*"}); err == nil || err.Error() != errNoBook.Error() {
		t.Error(err)
	}
}

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "a.example.", true}, {"*", "a.example.", true}, {"a.example", "a.example.", true}, {"A.example.", "a.example.", true},
		{"a.example", "b.a.example.", false}, {"*.example", "a.example.", true}, {"*.example", "example.", false}, {"a*", "a.example.", true},
		{"a*", "ba.example.", false}, {"*a*b*", "xaxbx.example.", true}, {"*b*a*", "axb.", false}, {"a*a.", "a.", false}, {"a*.example", "ab.c.example.", true},
		{"*.apps.example", "*.apps.example.", true},
	} {
		if got := parsePattern(tt.pattern).matches(tt.name); got != tt.want {
			t.Errorf("%q, %q: %t", tt.pattern, tt.name, got)
		}
	}
}
