package wins

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nameward/nameward/netbios"
)

// The servers of the tables.
var servers = map[string]IPv4{"own": {}, "S": {192, 0, 2, 201}, "T": {192, 0, 2, 202}, "U": {192, 0, 2, 203}}

func serverName(a IPv4) string {
	for name, ip := range servers {
		if ip == a {
			return name
		}
	}
	return a.String()
}

// rowRecord reads a record such as "S internet active 1 2@T static v5", nil for "-".
func rowRecord(t *testing.T, text string) *Record {
	t.Helper()
	words := strings.Fields(text)
	if words[0] == "-" {
		return nil
	}
	owner, ok := servers[words[0]]
	kind := slices.Index([]string{"unique", "group", "internet", "multihomed"}, words[1])
	state := slices.Index([]string{"active", "released", "tombstone"}, words[2])
	if !ok || kind < 0 || state < 0 {
		t.Fatalf("%q is no record", text)
	}
	r := &Record{Name: netbios.MustParseName("FS1<20>"), Kind: Kind(kind), State: State(state), Node: netbios.HNode, Owner: owner, Ends: 1000}
	var members []Member
	for _, word := range words[3:] {
		if word == "static" {
			r.Static, r.Ends = true, 0
			continue
		}
		if v, ok := strings.CutPrefix(word, "v"); ok {
			r.Version, _ = strconv.ParseUint(v, 10, 64)
			continue
		}
		number, by, found := strings.Cut(word, "@")
		m := Member{Addr: rowAddr(t, number), Owner: owner, Ends: 1000}
		if found {
			m.Owner = servers[by]
		}
		members = append(members, m)
	}
	r.SetMembers(members)
	return r
}

func rowAddr(t *testing.T, number string) IPv4 {
	t.Helper()
	n, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		t.Fatal(err)
	}
	return IPv4{192, 0, 2, byte(n)}
}

// rows calls do with the parts of each row of a table and reports what it makes of it.
func rows(t *testing.T, file string, do func(*testing.T, []string) string) {
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) == "" {
			continue
		}
		row, want, _ := strings.Cut(line, " => ")
		if got := do(t, strings.Split(row, " | ")); got != want {
			t.Errorf("%s:%d: %s\n got: %s\nwant: %s", file, i+1, line, got, want)
		}
	}
}

func meetingWord(m meeting) string {
	return [...]string{"keeps", "raises", "replaces", "joins", "demands", "asks", "spans", "objects"}[m]
}

func TestMeet(t *testing.T) {
	rows(t, "meet.rows", func(t *testing.T, parts []string) string {
		cur, o := rowRecord(t, parts[0]), rowRecord(t, parts[1])
		state := gone
		if cur != nil {
			state = cur.State
		}
		return meetingWord(meet(cur, state, o))
	})
}

// TestMeetByTime has the state that time has made of a record decide, and not the one that was written.
func TestMeetByTime(t *testing.T) {
	cur, o := rowRecord(t, "own unique active 1"), rowRecord(t, "S unique active 2")
	if got := meet(cur, Released, o); got != replaces {
		t.Errorf("a record that has run out: %s", meetingWord(got))
	}
}

func TestAnswered(t *testing.T) {
	rows(t, "answered.rows", func(t *testing.T, parts []string) string {
		var said []Challenged
		for _, answer := range strings.Split(parts[2], ";") {
			words := strings.Fields(answer)
			c := Challenged{Has: words[0] == "has"}
			for _, w := range words[1:] {
				if c.Has {
					c.Lists = append(c.Lists, rowAddr(t, w))
				}
			}
			said = append(said, c)
		}
		return meetingWord(rowRecord(t, parts[0]).answered(rowRecord(t, parts[1]), said))
	})
}

func TestJoined(t *testing.T) {
	rows(t, "joined.rows", func(t *testing.T, parts []string) string {
		r, isOwn := rowRecord(t, parts[0]).joinedWith(rowRecord(t, parts[1]))
		text := "own"
		if !isOwn {
			text = fmt.Sprintf("%s v%d", serverName(r.Owner), r.Version)
		}
		members := r.Members()
		slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Addr[3], b.Addr[3]) })
		for _, m := range members {
			text += fmt.Sprintf(" %d", m.Addr[3])
			if m.Owner != (IPv4{}) {
				text += "@" + serverName(m.Owner)
			}
		}
		if len(members) == 0 && r.State == Tombstone {
			text += " none"
		}
		return text
	})
}

func TestSpanned(t *testing.T) {
	r := rowRecord(t, "own unique active 1 v5").spannedWith(rowRecord(t, "S unique active 2 v9"))
	if r.Kind != Multihomed || r.Owner != servers["S"] || r.Version != 9 || r.Len() != 2 || r.At(1).Addr != (IPv4{192, 0, 2, 1}) || r.At(1).Owner != (IPv4{}) {
		t.Errorf("%+v", r)
	}
}
