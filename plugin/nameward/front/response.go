package front

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

// response is the dns.ResponseWriter of one request. It does what the one of the DNS library does, and
// signs with our provider.
type response struct {
	door    *door
	server  *dnsserver.Server // may be nil
	session *dns.SessionUDP   // nil: TCP
	conn    *conn             // nil: UDP
	status  error
	mac     string // of the request, then of the reply before
	timers  bool   // replies after the first are signed over the timers only
	closed  bool
	hijack  bool
	// repeated is told the answer before it is sent, for the same request may come right after; it may be nil.
	repeated func(answer []byte)
}

var errClosed = errors.New("the response was closed")

// signer uses the provider of this moment, so that it can be changed while requests are served.
func (w *response) signer() signer {
	s := signer{secrets: w.server.TsigSecret}
	if p := w.door.front.provider.Load(); p != nil {
		s.provider = *p
	}
	return s
}

// WriteMsg implements dns.ResponseWriter. A reply that ends with a TSIG stub is signed.
func (w *response) WriteMsg(m *dns.Msg) (err error) {
	var data []byte
	if m.IsTsig() != nil && w.server != nil {
		data, w.mac, err = w.signer().sign(m, w.mac, w.timers)
	} else {
		data, err = m.Pack()
	}
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Write implements dns.ResponseWriter. Over UDP the reply leaves from the address that was asked.
func (w *response) Write(data []byte) (int, error) {
	if w.repeated != nil {
		w.repeated(slices.Clone(data))
	}
	switch {
	case w.closed:
		return 0, errClosed
	case w.session != nil:
		return dns.WriteToSessionUDP(w.door.udp, data, w.session)
	case len(data) > dns.MaxMsgSize:
		return 0, errors.New("the message does not fit into 65535 octets")
	}
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(data)), uint16(len(data)))
	// A client that does not read must not hold us.
	if err := w.conn.SetWriteDeadline(time.Now().Add(timeoutsOf(w.server).write)); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(append(frame, data...))
	return max(n-2, 0), err
}

// Close implements dns.ResponseWriter. Over UDP there is nothing but this response to close.
func (w *response) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	if w.conn == nil {
		return nil
	}
	return w.conn.end()
}

// LocalAddr implements dns.ResponseWriter.
func (w *response) LocalAddr() net.Addr {
	if w.conn != nil {
		return w.conn.LocalAddr()
	}
	return w.door.udp.LocalAddr()
}

// RemoteAddr implements dns.ResponseWriter.
func (w *response) RemoteAddr() net.Addr {
	if w.conn != nil {
		return w.conn.RemoteAddr()
	}
	return w.session.RemoteAddr()
}

// TsigStatus implements dns.ResponseWriter.
func (w *response) TsigStatus() error { return w.status }

// TsigTimersOnly implements dns.ResponseWriter.
func (w *response) TsigTimersOnly(only bool) { w.timers = only }

// Hijack implements dns.ResponseWriter: the handler goes on with the connection and closes it.
func (w *response) Hijack() { w.hijack = true }
