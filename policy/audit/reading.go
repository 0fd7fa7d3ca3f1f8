package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
)

const (
	bufferSize = 64 << 10
	maxLine    = 1 << 20 // octets of a line, or of what lines join to
	maxAddrs   = 1 << 10 // addresses of one record; an RRset that is larger is given in parts
)

// reading is one pass over a source: where it is, and the record that is built and given again and again.
type reading struct {
	file   string
	opts   *Options
	passed *atomic.Int64
	yield  func(*Record, error) bool

	in      *bufio.Reader
	text    []byte // of the line, without its end
	line    int
	open    bool // the line has no end: the file ends in it
	stopped bool // by the one who asks, or by a fatal problem
	long    []byte

	rec Record
}

// next reads a line into text. It is false at the end and when the reading has stopped. Lines that are
// too long are problems and passed over.
func (x *reading) next() bool {
	for !x.stopped {
		text, err := x.readLine()
		if len(text) == 0 && err != nil {
			if err != io.EOF {
				x.failRead(err)
			}
			return false
		}
		x.line++
		x.open = err != nil
		x.text = trimEnd(text)
		if len(text) <= maxLine {
			return true
		}
		x.problem(0, "the line is longer than %d octets and was passed over", maxLine)
	}
	return false
}

// readLine gives a line with its end, or more than maxLine octets of it.
func (x *reading) readLine() ([]byte, error) {
	text, err := x.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, err
	}
	x.long = append(x.long[:0], text...)
	for errors.Is(err, bufio.ErrBufferFull) {
		text, err = x.in.ReadSlice('\n')
		if len(x.long) <= maxLine {
			x.long = append(x.long, text...)
		}
	}
	return x.long, err
}

func trimEnd(text []byte) []byte {
	text = bytes.TrimSuffix(text, []byte("\n"))
	return bytes.TrimSuffix(text, []byte("\r"))
}

// problem reports something of the current line. Col counts octets from 1; 0 is none.
func (x *reading) problem(col int, format string, args ...any) {
	x.report(&Problem{Place: x.place(x.line, col), Err: fmt.Errorf(format, args...)})
}

func (x *reading) problemAt(line int, format string, args ...any) {
	x.report(&Problem{Place: x.place(line, 0), Err: fmt.Errorf(format, args...)})
}

// fatal reports something of the current line behind which nothing is read.
func (x *reading) fatal(format string, args ...any) {
	x.report(&Problem{Place: x.place(x.line, 0), Err: fmt.Errorf(format, args...), Fatal: true})
}

func (x *reading) failRead(err error) { x.fatal("reading the file: %w", err) }

func (x *reading) report(p *Problem) {
	if x.stopped {
		return
	}
	x.stopped = !x.yield(nil, p) || p.Fatal
}

func (x *reading) place(line, col int) finding.Place {
	return finding.Place{File: x.file, Line: line, Col: col}
}

// begin clears the record for something that stands in the given line.
func (x *reading) begin(channel policy.Channel, line int) *Record {
	addrs := x.rec.Addrs[:0]
	x.rec = Record{Place: x.place(line, 0)}
	x.rec.Channel, x.rec.Addrs = channel, addrs
	return &x.rec
}

// emit gives the record.
func (x *reading) emit() {
	if !x.stopped {
		x.stopped = !x.yield(&x.rec, nil)
	}
}

// setName makes it the record of a NetBIOS name.
func (r *Record) setName(name netbios.Name) {
	r.NetBIOS, r.Type = name.Fold(), policy.TypeNB
}

// setFolded is setName for a name that is folded already.
func (r *Record) setFolded(name netbios.Name) { r.NetBIOS, r.Type = name, policy.TypeNB }

// setDNS makes it the record of a DNS name and type.
func (r *Record) setDNS(owner string, rrtype uint16) {
	r.DNS, r.Type = dns.CanonicalName(owner), rrtype
}

// add adds an address, if it is one: what stands for none or for everybody is none.
func (r *Record) add(addr netip.Addr) {
	addr = addr.Unmap().WithZone("")
	if addr.IsValid() && !addr.IsUnspecified() && addr != limitedBroadcast {
		r.Addrs = append(r.Addrs, addr)
	}
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// typeOf is the type of the record that holds an address.
func typeOf(addr netip.Addr) uint16 {
	if addr.Is4() || addr.Is4In6() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// parseIPv4 is netip.ParseAddr for the dotted form in octets, without an allocation.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var addr [4]byte
	for i := range addr {
		part, rest, dot := bytes.Cut(b, []byte{'.'})
		if i == 3 {
			part, rest, dot = b, nil, true
		}
		value, ok := parseDecimal(part, 255)
		if !ok || !dot || len(part) > 3 || len(part) > 1 && part[0] == '0' {
			return netip.Addr{}, false
		}
		addr[i], b = byte(value), rest
	}
	return netip.AddrFrom4(addr), true
}

func parseDecimal(b []byte, limit uint64) (uint64, bool) {
	var value uint64
	for _, c := range b {
		if c < '0' || c > '9' || value > limit {
			return 0, false
		}
		value = value*10 + uint64(c-'0')
	}
	return value, len(b) > 0 && value <= limit
}

func parseHexByte(b []byte) (byte, bool) {
	var value byte
	for _, c := range b {
		digit := strings.IndexByte("0123456789abcdefABCDEF", c)
		if digit < 0 {
			return 0, false
		}
		if digit > 15 {
			digit -= 6
		}
		value = value<<4 | byte(digit)
	}
	return value, len(b) > 0 && len(b) <= 2
}

// nameOf is the NetBIOS name with this text, in which every octet stands for itself.
func nameOf(base []byte, suffix byte) (netbios.Name, error) {
	base = bytes.TrimRight(base, " ")
	switch {
	case len(base) == 0:
		return netbios.Name{}, errors.New("the NetBIOS name is empty, 1 to 15 octets would be right")
	case len(base) > netbios.BaseLen:
		return netbios.Name{}, fmt.Errorf("the NetBIOS name %q has %d octets, at most 15 would be right", clip(base), len(base))
	}
	octets := blankName
	copy(octets[:], base)
	octets[netbios.BaseLen] = suffix
	return netbios.NameFromOctets(octets).Fold(), nil
}

var blankName = [netbios.BaseLen + 1]byte([]byte("                "))

// clip shortens what a message quotes.
func clip[T ~string | ~[]byte](text T) string {
	const most = 60
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}

// stamp writes a time into a detail.
func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

const stampLayout = time.DateTime + " UTC"
