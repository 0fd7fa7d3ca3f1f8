//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// nbWorld is pair with a role of several members and a name service; its listeners are listen.
func nbWorld(listen string) string {
	roles := `      - {name: files, dns: [files.corp.example.], netbios: ["FILES<20>"], mode: all, source: {file: files.role}}
zones:
`
	return strings.Replace(pair, "zones:\n", roles, 1) + fmt.Sprintf(`
netbios:
  name: GUARD1
  listen: [%s]
  forward: [%s]
  node_status: {full: [192.0.2.100/32], others: short}
`, listen, winsAddr)
}

// nmblookup runs Samba's tool, with no configuration of the system's.
func (h *Host) nmblookup(t *testing.T, args ...string) string {
	t.Helper()
	conf := h.lab.write("nmblookup.conf", "[global]\nworkgroup = E2E\nnetbios name = CLIENT\n")
	return h.try(t, nil, append([]string{"nmblookup", "-s", conf}, args...)...).out
}

func TestNetBIOS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, stranger := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("stranger", "192.0.2.101")
	l.write("files.role", "ex1\nex2\n")
	wins := startWINS(t, l.host("wins", winsAddr))
	n := guard.nameward(t, nbWorld(`{address: "0.0.0.0:137", broadcast: [e0]}`))
	guard.capture(t)

	t.Run("broadcast", func(t *testing.T) {
		holds(t, "nmblookup", client.nmblookup(t, "-B", everybody, "MAIL#20"), "192.0.2.11 MAIL<20>")
		holds(t, "nmblookup, lower case and suffix 00", client.nmblookup(t, "-B", everybody, "mail"), "192.0.2.11 mail<00>")
		holds(t, "nmblookup, mode all", client.nmblookup(t, "-B", everybody, "FILES#20"), "192.0.2.11 FILES<20>", "192.0.2.12 FILES<20>")
		holds(t, "nmblookup, not guarded", client.nmblookup(t, "-B", everybody, "NOBODY#20"), "failed to find name NOBODY")
		holds(t, "nmblookup, suffix not guarded", client.nmblookup(t, "-B", everybody, "MAIL#1B"), "failed to find name MAIL")
	})
	t.Run("unicast", func(t *testing.T) {
		holds(t, "nmblookup", client.nmblookup(t, "-U", guardAddr, "--recursion", "MAIL#20"), "192.0.2.11 MAIL<20>")
		n.do(t, "switch", "mailbox", "--to", "ex2")
		holds(t, "nmblookup after a switch", client.nmblookup(t, "-U", guardAddr, "--recursion", "MAIL#20"), "192.0.2.12 MAIL<20>")
		holds(t, "nmblookup by broadcast after a switch", client.nmblookup(t, "-B", everybody, "MAIL#20"), "192.0.2.12 MAIL<20>")
		n.do(t, "switch", "mailbox", "--to", "ex1")
	})
	t.Run("node status", func(t *testing.T) {
		text := client.nmblookup(t, "-A", guardAddr)
		holds(t, "nmblookup -A", text, "GUARD1", "MAIL            <00>", "MAIL            <03>", "MAIL            <20>", "FILES           <20>")
		text = stranger.nmblookup(t, "-A", guardAddr)
		holds(t, "nmblookup -A of a stranger", text, "GUARD1")
		if strings.Contains(text, "MAIL") {
			t.Errorf("a stranger gets every name:\n%s", text)
		}
		holds(t, "nbtscan", client.run(t, "nbtscan", "-r", guardAddr), guardAddr, "GUARD1")
		holds(t, "nbtscan -v", client.run(t, "nbtscan", "-v", "-r", guardAddr), "GUARD1           <00>", "MAIL             <20>")
		holds(t, "nmap", client.run(t, "nmap", "-n", "-Pn", "-sU", "-p137", "--script", "nbstat", "-v", guardAddr),
			"137/udp open", "GUARD1<00>", "MAIL<20>", "FILES<20>")
	})
	t.Run("WINS server for other names", func(t *testing.T) { forwarded(t, client, wins, n) })
	t.Run("registration of a guarded name", func(t *testing.T) {
		reply := client.register(t, guardAddr, "MAIL<20>", "10.9.0.11")
		if f := reply.Form(); f != netbios.FormPositiveRegistration {
			t.Errorf("reply is %s, want a positive registration: a refusal fails a cluster's resource", f)
		}
		holds(t, "nmblookup afterwards", client.nmblookup(t, "-U", guardAddr, "--recursion", "MAIL#20"), "192.0.2.11 MAIL<20>")
	})
	t.Run("broadcasts switched off", func(t *testing.T) {
		writeAtomic(t, n.config, nbWorld(`{address: "0.0.0.0:137"}`)+place)
		n.do(t, "reload")
		holds(t, "nmblookup by broadcast", client.nmblookup(t, "-B", everybody, "MAIL#20"), "failed to find name MAIL")
		holds(t, "nmblookup by unicast", client.nmblookup(t, "-U", guardAddr, "--recursion", "MAIL#20"), "192.0.2.11 MAIL<20>")
	})
}

// forwarded looks at names that only the WINS server knows.
func forwarded(t *testing.T, client *Host, wins *Process, n *Nameward) {
	for name, addr := range map[string]string{"PRINTER<20>": "192.0.2.77", "LEAK<20>": "10.9.0.77"} {
		deadline := time.Now().Add(40 * time.Second)
		for client.register(t, winsAddr, name, addr).Form() != netbios.FormPositiveRegistration {
			if time.Now().After(deadline) {
				t.Fatalf("nmbd does not register %s\n%s", name, wins.output())
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	upstream := func(name string) string { return client.nmblookup(t, "-U", winsAddr, "--recursion", name) }
	ours := func(name string) string { return client.nmblookup(t, "-U", guardAddr, "--recursion", name) }
	holds(t, "nmblookup at nmbd", upstream("LEAK#20"), "10.9.0.77 LEAK<20>")
	holds(t, "nmblookup here", ours("PRINTER#20"), "192.0.2.77 PRINTER<20>")
	holds(t, "nmblookup here, unknown there", ours("NOBODY#20"), "failed to find name NOBODY")
	text := ours("LEAK#20")
	holds(t, "nmblookup here, management address", text, "failed to find name LEAK")
	if strings.Contains(text, "10.9.") {
		t.Errorf("a management address is passed on:\n%s", text)
	}
	same(t, "nameward query of a name that the WINS server knows", asked(n.cli(t, "query", "PRINTER", "--domain", "corp.example").out), "192.0.2.77")
}

// asked picks the NetBIOS answer out of what `nameward query` prints.
func asked(text string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "answer" {
			return f[len(f)-1]
		}
	}
	return text
}

// register sends a registration as a P-node does and returns the reply; the zero message when nobody
// replies.
func (h *Host) register(t *testing.T, server, name, addr string) netbios.Message {
	t.Helper()
	conn, err := h.dial("udp", net.JoinHostPort(server, "137"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := netbios.NewRegistration(0x4e57, netbios.MustParseName(name), 3600,
		netbios.Address{Flags: netbios.PNode, Addr: netip.MustParseAddr(addr)})
	packet, err := request.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 576)
	for range 3 {
		if _, err := conn.Write(packet); err != nil {
			continue // the server is not up yet: its host says so
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := conn.Read(reply); err == nil {
			m, err := netbios.Parse(reply[:n])
			if err != nil {
				t.Fatalf("reply of %s: %v", server, err)
			}
			return m
		}
	}
	return netbios.Message{}
}

// startWINS starts Samba's nmbd as a WINS server.
func startWINS(t *testing.T, h *Host) *Process {
	t.Helper()
	return h.nmbd(t, "WINS1", "interfaces = "+winsAddr+"/24", "wins support = yes")
}

// nmbd starts Samba's nmbd under a name, with more lines of its configuration. Everything of it lies in
// the lab's directory.
func (h *Host) nmbd(t *testing.T, name string, lines ...string) *Process {
	t.Helper()
	sub := "nmbd-" + h.name
	dir := h.lab.path(sub)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "[global]\nnetbios name = %s\nworkgroup = E2E\nserver role = standalone server\n", name)
	conf.WriteString("bind interfaces only = yes\ndns proxy = no\ndisable spoolss = yes\n")
	for _, key := range []string{"state directory", "cache directory", "lock directory", "pid directory", "private dir", "ncalrpc dir"} {
		fmt.Fprintf(&conf, "%s = %s\n", key, dir)
	}
	// The socket of stray packets is in one place for all that run on a machine, unless it is said.
	fmt.Fprintf(&conf, "nmbd:socket dir = %s/sock\n%s\n", dir, strings.Join(lines, "\n"))
	return h.start(t, "nmbd", "-F", "--no-process-group", "--debug-stdout", "-s", h.lab.write(sub+"/smb.conf", conf.String()))
}
