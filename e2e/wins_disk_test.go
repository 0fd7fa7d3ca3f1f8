//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins/winsctl"
)

// smallDiskName is the directory of a lab in which nameward keeps its state.
const smallDiskName = "run"

// smallDisk mounts a file system of the given size over that directory.
func (l *Lab) smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := l.path(smallDiskName)
	if err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 512, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

// metric is a metric's value as text; "" when there is none.
func (n *Nameward) metric(t *testing.T, name string) string {
	t.Helper()
	t.Helper()
	text := scrape(t, n.host)
	if m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// TestWINSFullDisk fills the disk under the server and makes room again.
func TestWINSFullDisk(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	disk := l.smallDisk(t, "8m")
	guard, client, member := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("member", "192.0.2.11")
	n := guard.nameward(t, winsWorld("{mode: own, min_ttl: 1m, limits: {per_address: 100000}}"))
	node, mail, a := client.speaker(t, clientAddr, 0), member.speaker(t, "192.0.2.11", 0), client.asker(t, guardAddr)
	renew := func(name string, ttl uint32) string {
		return node.claim(netbios.NewRefresh(0, netbios.MustParseName(name), ttl, at(clientAddr)))
	}
	ends := func(name string) time.Time {
		rs := n.registrations(t, winsctl.Filter{Name: name, Held: winsctl.NoneHeld})
		if len(rs) != 1 {
			t.Fatalf("%s has %d records", name, len(rs))
		}
		return rs[0].Ends
	}
	for _, name := range []string{"KNOWN<20>", "LEAVES<20>"} {
		same(t, "a registration", node.register(name), "granted 3600")
	}
	same(t, "failing, in the beginning", n.metric(t, "coredns_nameward_wins_failing"), "0")

	fill(t, disk+"/filler")
	accepted := 0
	for ; accepted < 20_000; accepted++ { // what the file has room for already is no full disk
		if said := node.register(fmt.Sprintf("NEW%05d<20>", accepted)); said != "granted 3600" {
			same(t, "a new name, the disk being full", said, "rcode 2")
			break
		}
	}
	t.Logf("%d registrations were accepted on a full disk before the file needed room", accepted)
	same(t, "a query", a.netbios("KNOWN<20>"), clientAddr)
	same(t, "a query of a name that was refused", a.netbios(fmt.Sprintf("NEW%05d<20>", accepted)), "negative")
	before := ends("KNOWN<20>")
	same(t, "a refresh of a known owner", renew("KNOWN<20>", 7200), "granted 7200")
	renewed := ends("KNOWN<20>")
	if renewed.Sub(before) < time.Hour-time.Minute {
		t.Errorf("the record ends at %s, it was renewed from %s for an hour more", renewed, before)
	}
	same(t, "a registration of a known owner", node.register("KNOWN<20>"), "granted 3600")
	same(t, "another refresh", renew("KNOWN<20>", 7200), "granted 7200")
	same(t, "a release: not done, and so not acknowledged", node.release("LEAVES<20>"), "rcode 2")
	same(t, "a query of what was to be released", a.netbios("LEAVES<20>"), clientAddr)
	same(t, "the role's name", mail.register("MAIL<20>")+" "+a.netbios("MAIL<20>"), "granted 3600 192.0.2.11")
	same(t, "a management address for the role's name", mail.register("MAIL<03>", at("10.9.0.11"))+" "+a.netbios("MAIL<03>"), "granted 3600 192.0.2.11")
	holds(t, "status", n.status(t).WINS.Error, "no space left on device")
	holds(t, "nameward status", n.do(t, "status"), "no space left on device")
	same(t, "failing", n.metric(t, "coredns_nameward_wins_failing"), "1")

	if err := os.Remove(disk + "/filler"); err != nil {
		t.Fatal(err)
	}
	took := soon(t, "a new name when there is room again", 5*time.Second, "granted 3600", func() string { return node.register("AFTER<20>") })
	t.Logf("a new name is accepted %s after there is room", took.Round(time.Millisecond))
	same(t, "status", n.status(t).WINS.Error, "")
	same(t, "failing, in the end", n.metric(t, "coredns_nameward_wins_failing"), "0")
	same(t, "the release", node.release("LEAVES<20>"), "released")
	n.kill()
	n.up(t)
	a = client.asker(t, guardAddr)
	same(t, "after a restart", a.netbios("KNOWN<20>")+" "+a.netbios("AFTER<20>")+" "+a.netbios("LEAVES<20>"), clientAddr+" "+clientAddr+" negative")
	if now := ends("KNOWN<20>"); now.Before(renewed) {
		t.Errorf("the record ends at %s after a restart, it was renewed until %s", now, renewed)
	}
	holds(t, "the role's name", n.held(t, "MAIL<20>"), "MAIL<20> registration published 192.0.2.11")
}
