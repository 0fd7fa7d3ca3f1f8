package nameward

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wrepl"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/servetest"
)

func replicationConfig(t *testing.T, listen string, partners string) string {
	return netbiosConfig("GUARD", fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))) +
		"  wins: {mode: own}\n  wrepl: {address: 192.0.2.53, listen: \"" + listen + "\", partners: [" + partners + "]}\n"
}

// wreplPeer is a partner that asks by hand.
type wreplPeer struct {
	t      *testing.T
	conn   net.Conn
	handle uint32
}

// say sends a message and returns the answer.
func (p *wreplPeer) say(b wrepl.Body) wrepl.Message {
	p.t.Helper()
	if _, err := p.conn.Write(wrepl.Message{Handle: p.handle, Body: b}.Append(nil)); err != nil {
		p.t.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(p.conn, length[:]); err != nil {
		p.t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(p.conn, body); err != nil {
		p.t.Fatal(err)
	}
	m, err := wrepl.Parse(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func newWreplPeer(t *testing.T, to string) *wreplPeer {
	t.Helper()
	conn, err := net.Dial("tcp4", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	p := &wreplPeer{t: t, conn: conn}
	start := p.say(&wrepl.Start{Handle: 1, Major: wrepl.Major, Minor: wrepl.Minor})
	p.handle = start.Body.(*wrepl.Start).Handle
	return p
}

// records are those of this server from a version on: "MAIL<20> active 192.0.2.11".
func (p *wreplPeer) records(least uint64) (text string, version uint64) {
	p.t.Helper()
	q := &wrepl.RecordQuery{Owner: wrepl.Owner{Addr: wins.IPv4{192, 0, 2, 53}, Min: least}}
	var out []string
	for _, r := range p.say(q).Body.(*wrepl.RecordReply).Records {
		name, err := r.Name()
		if err != nil {
			p.t.Fatal(err)
		}
		var addrs []string
		for _, m := range r.Members {
			addrs = append(addrs, m.Addr.String())
		}
		out = append(out, fmt.Sprintf("%s %s %s", name, r.Flags.State(), strings.Join(addrs, ",")))
		version = max(version, r.Version)
	}
	slices.Sort(out)
	return strings.Join(out, "; "), version
}

func TestReplication(t *testing.T) {
	listen := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	path := writeConfig(t, replicationConfig(t, listen, "{address: 127.0.0.1, name: peer, pull: off}"))
	g := startGuard(t, path)
	peer := newWreplPeer(t, listen)
	const first = "MAIL<00> active 192.0.2.11; MAIL<03> active 192.0.2.11; MAIL<20> active 192.0.2.11"
	var version uint64
	eventually(t, "the role's names are records", func() bool {
		var text string
		text, version = peer.records(0)
		return text == first
	})
	switchTo := func(node string) {
		t.Helper()
		if _, err := g.reg.Switch(t.Context(), registry.SwitchRequest{Roles: []string{"mailbox"}, To: node}); err != nil {
			t.Fatal(err)
		}
	}
	switchTo("ex2")
	eventually(t, "with new versions after a switch", func() bool {
		text, _ := peer.records(version + 1)
		return text == strings.ReplaceAll(first, "192.0.2.11", "198.51.100.12")
	})
	eventually(t, "status says that the partner has them", func() bool {
		p, ok := g.replicas.status()
		return ok && len(p.Partners) == 1 && p.Partners[0].Connections == 1 && p.Partners[0].Version == p.Version
	})
	targets := g.replicas.targets(g.cfg.NetBIOS.Replication)
	if len(targets) != 1 || targets[0].Name != "peer" || targets[0].Kind != "wrepl" {
		t.Errorf("targets %+v", targets)
	}
	st := g.winsControl().Status()
	if st.Partners != 1 {
		t.Errorf("WINS status %+v", st)
	}
	_, version = peer.records(0)

	// After a restart the records are the same, and nobody has to ask again.
	closeGuard(t, g)
	g = startGuard(t, path)
	peer = newWreplPeer(t, listen)
	eventually(t, "the database follows", func() bool {
		g.replicas.mu.Lock()
		defer g.replicas.mu.Unlock()
		return g.replicas.change > 0
	})
	if text, _ := peer.records(version + 1); text != "" {
		t.Errorf("newer after a restart: %s", text)
	}
}

// TestRoleNames: partners learn what nameward itself answers, and nothing about a role that nobody has claimed yet.
func TestRoleNames(t *testing.T) {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, a := range list {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	nodes := []*registry.Node{
		{Name: "ex1", Cluster: "mail", Public: addrs("2001:db8::1", "192.0.2.11", "198.51.100.11")},
		{Name: "ex2", Cluster: "mail", Public: addrs("192.0.2.12")},
	}
	role := func(name string, mode registry.Mode, src registry.Source) *registry.Role {
		return &registry.Role{
			Name: name, Cluster: "mail", Mode: mode, NetBIOS: []netbios.Name{netbios.MustParseName(strings.ToUpper(name) + "<20>")},
			Nodes: nodes, Source: src,
		}
	}
	operator := registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}
	w := &registry.World{Nodes: nodes, Roles: []*registry.Role{
		role("one", registry.Single, operator), role("each", registry.All, operator),
		role("unseen", registry.Single, registry.Source{Kind: "file", Detail: "/nowhere"}),
	}}
	reg, err := registry.Open(w, &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	const want = "[{ONE<20> [192.0.2.11] false} {EACH<20> [192.0.2.11 198.51.100.11] false} {UNSEEN<20> [] true}]"
	if got := fmt.Sprint(roleNames(reg.Snapshot().Roles())); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReplicationReload(t *testing.T) {
	first, second := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	const peer = "{address: 127.0.0.1, pull: off, push: true}"
	path := writeConfig(t, replicationConfig(t, first, peer))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, new string) { write(t, path, strings.Replace(string(content), old, new, 1)) }
	g := startGuard(t, path)
	newWreplPeer(t, first)

	busy, err := net.Listen("tcp4", second)
	if err != nil {
		t.Fatal(err)
	}
	with(first, second)
	if err := g.Reload(); err == nil || !strings.Contains(err.Error(), "listening for WINS partners") {
		t.Errorf("another one listens there: %v", err)
	}
	newWreplPeer(t, first)
	busy.Close()
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	newWreplPeer(t, second)
	if conn, err := net.Dial("tcp4", first); err == nil {
		conn.Close()
		t.Error("it still listens where it did before")
	}
	with(peer, "")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.replicas.status(); ok {
		t.Error("there are partners")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.replicas.has(ended, 1<<40); err == nil {
		t.Error("it says that it has a change to come")
	}
	if err := g.replicas.tell(t.Context(), netip.MustParseAddr("127.0.0.1"), 1, func() {}); err != errNoReplication {
		t.Errorf("telling nobody: %v", err)
	}
	if st := g.winsControl().Status(); st.Partners != 0 {
		t.Errorf("status %+v", st)
	}
}
