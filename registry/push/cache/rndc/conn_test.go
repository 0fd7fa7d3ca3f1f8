package rndc

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

func key(t testing.TB, algorithm string) tsig.Key {
	t.Helper()
	k, err := tsig.New(algorithm, "rndc-key", base64.StdEncoding.EncodeToString([]byte("secret")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// named answers commands as named does, as far as reply lets it.
type named struct {
	t        *testing.T
	signer   signer
	commands []string
	reply    func(command string, ctrl, data []field) []byte // nil: as named
	ended    chan struct{}
}

func (n *named) start() netip.AddrPort {
	n.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	n.ended = make(chan struct{})
	n.t.Cleanup(func() { ln.Close(); <-n.ended })
	go func() {
		defer close(n.ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n.serve(conn)
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func (n *named) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	for {
		var head [4]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		q, err := n.signer.unpack(b)
		if err != nil {
			return // as named does
		}
		command := q["_data.type"]
		n.commands = append(n.commands, command)
		ctrl := []field{{"_ser", q["_ctrl._ser"]}, {"_tim", q["_ctrl._tim"]}, {"_rpl", "1"}, {"_nonce", "4711"}}
		data := []field{{"type", command}, {"result", "0"}}
		if command != "null" && q["_ctrl._nonce"] != "4711" {
			return
		}
		reply := n.signer.pack(ctrl, data)
		if n.reply != nil && command != "null" {
			reply = n.reply(command, ctrl, data)
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

func TestDo(t *testing.T) {
	for _, algorithm := range []string{dns.HmacSHA1, dns.HmacSHA224, dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512} {
		k := key(t, algorithm)
		s, err := newSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		n := &named{t: t, signer: s}
		c, err := Dial(t.Context(), n.start(), k)
		if err != nil {
			t.Fatal(algorithm, err)
		}
		for _, command := range []string{"flushname a.example.", "flushname b.example. internal"} {
			if text, err := c.Do(command); err != nil || text != "" {
				t.Errorf("%s: %q, %v", algorithm, text, err)
			}
		}
		c.Close()
		if want := []string{"null", "flushname a.example.", "flushname b.example. internal"}; !slices.Equal(n.commands, want) {
			t.Errorf("%s: named got %q", algorithm, n.commands)
		}
	}
}

// TestHostile has a named that says something else than it should.
func TestHostile(t *testing.T) {
	k := key(t, "")
	s, _ := newSigner(k)
	other, _ := newSigner(key(t, dns.HmacSHA512))
	with := func(fields []field, key, value string) []field {
		out := slices.Clone(fields)
		for i := range out {
			if out[i].key == key {
				out[i].value = value
			}
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		reply func(command string, ctrl, data []field) []byte
		want  string
	}{
		{"refuses", func(_ string, ctrl, data []field) []byte {
			return s.pack(ctrl, append(with(data, "result", "23"), field{"err", "no\x1b such\nview"}))
		}, `flushname x.: named says: no\x1b such view`},
		{"refuses without a word", func(_ string, ctrl, data []field) []byte { return s.pack(ctrl, with(data, "result", "23")) }, "flushname x.: named says: result 23"},
		{"no result", func(_ string, ctrl, _ []field) []byte { return s.pack(ctrl, nil) }, "flushname x.: named says: result "},
		{"another serial", func(_ string, ctrl, data []field) []byte { return s.pack(with(ctrl, "_ser", "1"), data) }, "the reply is to another message"},
		{"no reply but a request", func(_ string, ctrl, data []field) []byte { return s.pack(with(ctrl, "_rpl", "0"), data) }, "the reply is to another message"},
		{"another nonce", func(_ string, ctrl, data []field) []byte { return s.pack(with(ctrl, "_nonce", "1"), data) }, "the reply is of another connection"},
		{"another key", func(_ string, ctrl, data []field) []byte { return other.pack(ctrl, data) }, errSignature.Error()},
		{"a bit is flipped", func(_ string, ctrl, data []field) []byte {
			b := s.pack(ctrl, data)
			b[len(b)-1] ^= 1
			return b
		}, errSignature.Error()},
		{"not signed", func(_ string, ctrl, _ []field) []byte {
			b := appendTable(binary.BigEndian.AppendUint32(nil, version), "_ctrl", ctrl)
			return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
		}, "the reply is not signed"},
		{"huge", func(string, []field, []field) []byte { return []byte{0xff, 0xff, 0xff, 0xff} }, "a reply of 4294967295 octets is too long"},
		{"empty", func(string, []field, []field) []byte { return []byte{0, 0, 0, 0} }, errCut.Error()},
		{"cut", func(_ string, ctrl, data []field) []byte { return s.pack(ctrl, data)[:40] }, "context deadline exceeded"},
		{"silent", func(string, []field, []field) []byte { return nil }, "context deadline exceeded"},
		{"version 2", func(string, []field, []field) []byte { return []byte{0, 0, 0, 4, 0, 0, 0, 2} }, "the message has version 2, not 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			n := &named{t: t, signer: s, reply: tt.reply}
			c, err := Dial(ctx, n.start(), k)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Do("flushname x.")
			if ctx.Err() != nil {
				err = ctx.Err() // as the caller does
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if refused := (*Refused)(nil); errors.As(err, &refused) != strings.HasPrefix(tt.want, "flushname") {
				t.Errorf("%v is refused: %t", err, refused != nil)
			}
		})
	}
}

// TestStranger: named hangs up on a signature that is not right, and the error says what to look at.
func TestStranger(t *testing.T) {
	s, _ := newSigner(key(t, dns.HmacSHA512))
	n := &named{t: t, signer: s}
	if _, err := Dial(t.Context(), n.start(), key(t, "")); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
	if _, err := Dial(t.Context(), netip.MustParseAddrPort("127.0.0.1:1"), tsig.Key{Algorithm: "hmac-md5."}); err == nil || !strings.Contains(err.Error(), "knows no algorithm") {
		t.Errorf("MD5: %v", err)
	}
}

// FuzzUnpack has replies of everybody: with the signature made right, so that what is behind it is parsed too.
func FuzzUnpack(f *testing.F) {
	s, _ := newSigner(key(f, ""))
	whole := s.pack([]field{{"_ser", "1"}, {"_rpl", "1"}}, []field{{"type", "null"}, {"result", "0"}})
	f.Add(whole[4:], []byte(nil))
	f.Add([]byte{}, appendTable(nil, "_data", []field{{"result", "0"}}))
	f.Add([]byte{}, []byte("\x01a\x02\x00\x00\x00\x08\x01a\x02\x00\x00\x00\x01\x00"))
	f.Add([]byte{}, []byte("\x01a\x03\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b, signed []byte) {
		_, _ = s.unpack(b)
		auth := appendTable(binary.BigEndian.AppendUint32(nil, version), "_auth", []field{{"hsha", string(s.digest(signed))}})
		parsed, err := s.unpack(append(auth, signed...))
		if errors.Is(err, errSignature) {
			t.Error("a right signature is not taken")
		}
		total := 0
		for k, v := range parsed {
			total += len(v)
			if strings.Count(k, ".") > 0 && len(k) > maxDepth*256 {
				t.Errorf("key %q", k)
			}
		}
		if total > len(signed) {
			t.Errorf("%d octets of values out of %d", total, len(signed))
		}
	})
}
