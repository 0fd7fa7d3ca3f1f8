//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/push/stream/streamtest"
	"github.com/nameward/nameward/registry/push/watch"
)

// streaming is a world of two nodes with DNS Push for its zone.
func streaming(t *testing.T, l *Lab) string {
	t.Helper()
	cert, key, err := streamtest.WritePair(l.path(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return pair + fmt.Sprintf("push:\n  stream: {listen: %q, certificate: %s, key: %s, name: ns1.corp.example.}\n", guardAddr, cert, key)
}

// watcher is a client of DNS Push in a host, with what it was told.
type watcher struct {
	mu    sync.Mutex
	addrs []string // of mail.corp.example. now
	keys  bytes.Buffer
}

// watch subscribes until the test ends.
func (h *Host) watch(t *testing.T, rrtype uint16, names ...string) *watcher {
	t.Helper()
	w := &watcher{}
	c := &watch.Client{
		Tell: w.tell,
		Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := h.dial("tcp4", guardAddr+":853")
			if err != nil {
				return nil, err
			}
			secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &w.keys})
			return secured, secured.HandshakeContext(ctx)
		},
	}
	for _, name := range names {
		c.Questions = append(c.Questions, dso.Question{Name: name, Type: rrtype, Class: dns.ClassINET})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *watcher) tell(e watch.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Kind {
	case watch.Lost:
		w.addrs = nil
	case watch.Added, watch.Removed:
		a, ok := e.Record.(*dns.A)
		if !ok {
			return
		}
		w.addrs = slices.DeleteFunc(w.addrs, func(o string) bool { return o == a.A.String() })
		if e.Kind == watch.Added {
			w.addrs = append(w.addrs, a.A.String())
		}
	}
}

func (w *watcher) now() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.addrs, " ")
}

// TestStream subscribes to a role, moves it, kills the server and brings it back. What goes over the wire is read
// by an independent dissector as well.
func TestStream(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.nameward(t, streaming(t, l))
	dump := l.path("stream.pcap")
	tcpdump := client.start(t, "tcpdump", "-i", "e0", "-U", "--immediate-mode", "-s", "0", "-Z", "root", "-w", dump, "tcp port 853")
	soon(t, "tcpdump listens", 10*time.Second, "true", func() string { return fmt.Sprint(strings.Contains(tcpdump.output(), "listening on")) })

	w := client.watch(t, dns.TypeANY, "mail.corp.example.", "corp.example.")
	soon(t, "the first PUSH", 5*time.Second, "192.0.2.11", w.now)
	var delays []time.Duration
	for i := range 40 {
		node, addr := "ex2", "192.0.2.12"
		if i%2 == 1 {
			node, addr = "ex1", "192.0.2.11"
		}
		start := time.Now()
		if _, err := n.move("mailbox", node); err != nil {
			t.Fatal(err)
		}
		for w.now() != addr {
			if time.Since(start) > 5*time.Second {
				t.Fatalf("%s is not pushed, the client has %q", addr, w.now())
			}
			time.Sleep(100 * time.Microsecond)
		}
		delays = append(delays, time.Since(start))
	}
	t.Logf("from the request to move the role until a client has the address: %s", quantiles(delays))

	r := client.try(t, nil, nameward, "watch", "mail.corp.example", "--server", guardAddr, "--ca", l.path("cert.pem"), "--name", "localhost", "--for", "500ms")
	holds(t, "nameward watch", r.out, "connected to "+guardAddr+":853", "+ mail.corp.example. 5 IN A 192.0.2.11")

	n.kill()
	soon(t, "the connection is lost", 10*time.Second, "", w.now)
	n.up(t)
	soon(t, "the state after kill -9", 20*time.Second, "192.0.2.11", w.now)
	n.signal(syscall.SIGTERM)
	if !n.wait(10 * time.Second) {
		t.Fatal("nameward does not end")
	}
	soon(t, "the connection is lost", 10*time.Second, "", w.now)
	tcpdump.signal(syscall.SIGINT)
	tcpdump.wait(10 * time.Second)
	w.dissected(t, l, dump)
}

// dissected reads the capture with tshark, which shares no code with us. The TLVs of RFC 8765 it shows as octets: these
// are a question, or records, and read as such once more.
func (w *watcher) dissected(t *testing.T, l *Lab, dump string) {
	t.Helper()
	w.mu.Lock()
	keys := l.write("keys.log", w.keys.String())
	w.mu.Unlock()
	out, err := command("tshark", "-r", dump, "-o", "tls.keylog_file:"+keys, "-Y", "dns", "-T", "json", "-e", "dns.length", "-e", "dns.flags.opcode", "-e", "dns.dso.tlv.type",
		"-e", "dns.dso.tlv.data", "-e", "dns.dso.tlv.keepalive.interval", "-e", "dns.dso.tlv.retrydelay.retrydelay", "-e", "_ws.malformed")
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, out)
	}
	var packets []struct {
		Source struct {
			Layers struct {
				Length    []string `json:"dns.length"`
				Opcode    []string `json:"dns.flags.opcode"`
				Type      []string `json:"dns.dso.tlv.type"`
				Data      []string `json:"dns.dso.tlv.data"` // of those types that tshark does not know
				Interval  []string `json:"dns.dso.tlv.keepalive.interval"`
				Delay     []string `json:"dns.dso.tlv.retrydelay.retrydelay"`
				Malformed []string `json:"_ws.malformed"`
			}
		} `json:"_source"`
	}
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &packets); err != nil { // root is warned first
		t.Fatal(err)
	}
	seen := map[string]int{}
	var messages [][]byte
	for _, p := range packets {
		f := p.Source.Layers
		// A response without a TLV, RFC 8490, Section 5.4.2, is more than tshark 4.0 expects.
		if len(f.Malformed) > 0 && !slices.Contains(f.Length, "12") || slices.ContainsFunc(f.Opcode, func(o string) bool { return o != "6" }) {
			t.Errorf("not all of it are sound DSO messages: %+v", f)
		}
		for _, v := range f.Interval {
			seen["interval "+v]++
		}
		if len(f.Delay) > 0 {
			seen["retry delay"]++
		}
		for _, v := range f.Type {
			if v != "64" && v != "65" && v != "66" {
				continue
			}
			seen["type "+v]++
			data, err := hex.DecodeString(f.Data[0])
			if err != nil {
				t.Fatal(err)
			}
			f.Data = f.Data[1:]
			messages = append(messages, ordinary(data, v == "64"))
		}
	}
	if seen["interval 15000"] == 0 || seen["retry delay"] != 1 || seen["type 64"] != 4 || seen["type 65"] < 40 {
		t.Errorf("tshark saw %v", seen)
	}
	holds(t, "the TLVs as ordinary DNS", redissected(t, l, messages),
		"mail.corp.example|255||||||\n", "corp.example|255||||||\n",
		"mail.corp.example,mail.corp.example,mail.corp.example|1,1,28|192.0.2.11,192.0.2.12|2001:db8::12|4294967295,5,5|\n",
		"mail.corp.example,mail.corp.example,mail.corp.example|1,28,1|192.0.2.12,192.0.2.11|2001:db8::12|4294967295,4294967295,5|\n",
	)
}

// ordinary makes a DNS message of what a TLV has: a question, or records, whose names are not compressed.
func ordinary(data []byte, isQuestion bool) []byte {
	header := []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if isQuestion {
		header[5] = 1
		return append(header, data...)
	}
	header[2] = 0x84
	for at := 0; at < len(data); header[7]++ {
		for data[at] != 0 {
			at += 1 + int(data[at])
		}
		at += 1 + 10 + int(data[at+9])<<8 + int(data[at+10])
	}
	return append(header, data...)
}

// redissected has messages read as packets of DNS, a line for each.
func redissected(t *testing.T, l *Lab, messages [][]byte) string {
	t.Helper()
	var dump strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&dump, "000000 % x\n\n", m)
	}
	text, pcap := l.write("tlvs.txt", dump.String()), l.path("tlvs.pcap")
	if out, err := command("text2pcap", "-q", "-u", "53,40000", text, pcap); err != nil {
		t.Fatalf("text2pcap: %v\n%s", err, out)
	}
	out, err := command("tshark", "-r", pcap, "-T", "fields", "-E", "separator=|", "-e", "dns.qry.name", "-e", "dns.qry.type", "-e", "dns.resp.name",
		"-e", "dns.resp.type", "-e", "dns.a", "-e", "dns.aaaa", "-e", "dns.resp.ttl", "-e", "_ws.malformed")
	if err != nil || strings.Contains(out, "Malformed") {
		t.Fatalf("tshark: %v\n%s", err, out)
	}
	return out
}
