//go:build unix

package cache

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// bus is a message bus with a resolved at it, made from the specification of D-Bus and org.freedesktop.resolve1(5).
type bus struct {
	t     *testing.T
	reply func(call *dbus.Message) *dbus.Message // nil: none
	mu    sync.Mutex
	calls []string
}

func (b *bus) start() string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "bus, system")
	ln, err := net.Listen("unix", path)
	if err != nil {
		b.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer conn.Close(); b.serve(conn) })
		}
	})
	b.t.Cleanup(func() { ln.Close(); wg.Wait() })
	return path
}

func (b *bus) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	if _, err := r.ReadByte(); err != nil { // the NUL that begins
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case word == "BEGIN":
			b.messages(conn, r)
			return
		case word == "AUTH" && strings.Contains(line, "EXTERNAL"):
			_, _ = io.WriteString(conn, "DATA\r\n")
		case word == "DATA":
			_, _ = io.WriteString(conn, "OK 0123456789abcdef0123456789abcdef\r\n")
		case word == "NEGOTIATE_UNIX_FD":
			_, _ = io.WriteString(conn, "ERROR\r\n")
		default:
			_, _ = io.WriteString(conn, "REJECTED EXTERNAL\r\n")
		}
	}
}

func (b *bus) messages(conn net.Conn, r io.Reader) {
	for {
		call, err := dbus.DecodeMessage(r)
		if err != nil {
			return
		}
		member, _ := call.Headers[dbus.FieldMember].Value().(string)
		to, _ := call.Headers[dbus.FieldDestination].Value().(string)
		b.mu.Lock()
		b.calls = append(b.calls, to+" "+member)
		b.mu.Unlock()
		answer := b.reply(call)
		if member == "Hello" {
			answer = reply(call, dbus.TypeMethodReply, dbus.FieldSignature, dbus.SignatureOf(""), ":1.7")
		}
		if answer == nil {
			continue
		}
		if err := answer.EncodeTo(conn, binary.LittleEndian); err != nil {
			return
		}
	}
}

// reply makes a reply with one more field.
func reply(call *dbus.Message, kind dbus.Type, field dbus.HeaderField, value any, body ...any) *dbus.Message {
	m := &dbus.Message{Type: kind, Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(call.Serial())}, Body: body}
	if value != nil {
		m.Headers[field] = dbus.MakeVariant(value)
	}
	return m
}

func TestResolved(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply func(call *dbus.Message) *dbus.Message
		want  string
	}{
		{"flushed", func(call *dbus.Message) *dbus.Message { return reply(call, dbus.TypeMethodReply, 0, nil) }, "<nil>"},
		{"not there", func(call *dbus.Message) *dbus.Message {
			return reply(call, dbus.TypeError, dbus.FieldErrorName, "org.freedesktop.DBus.Error.ServiceUnknown")
		}, "org.freedesktop.DBus.Error.ServiceUnknown"},
		{"silent", func(*dbus.Message) *dbus.Message { return nil }, "context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			b := &bus{t: t, reply: tt.reply}
			got := fmt.Sprint((&resolved{b.start()}).flush(ctx, []string{"a.", "b."})[1])
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if calls := strings.Join(b.calls, ", "); calls != "org.freedesktop.DBus Hello, org.freedesktop.resolve1 FlushCaches" {
				t.Errorf("calls: %s", calls)
			}
		})
	}
	if err := (&resolved{filepath.Join(t.TempDir(), "none")}).flush(t.Context(), []string{"a."})[0]; err == nil {
		t.Error("no bus, and no error")
	}
}

// TestResolvedMute: a bus that does not greet costs no more than the time there is.
func TestResolvedMute(t *testing.T) {
	path := unboundFake(t, func(_ string, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := (&resolved{path}).flush(ctx, []string{"a."})[0]; err != context.DeadlineExceeded || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
