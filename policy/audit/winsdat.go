package audit

import (
	"bytes"
	"math"
	"strings"
	"time"

	"github.com/nameward/nameward/policy"
)

// Samba's nmbd keeps its WINS database as text:
//
//	VERSION 1 0
//	"MAIL#20" 1795628948 10.9.0.11 64R
//
// The number is when the record expires, in Unix time, 0 for never. The flags are hexadecimal and
// padded with a blank, as in RFC 1002, Section 4.2.1.3, but for the low octet of that word; the letter
// tells how the record came. A normal group has the address 0.0.0.0. Names are in the file's character
// set and not escaped: a quotation mark in a name stands as it is.
const (
	winsVersion   = "VERSION 1"
	winsGroupFlag = 0x80
)

// nodeTypes are the words for the bits of the node's type, RFC 1002, Section 4.2.1.3.
var nodeTypes = [...]string{"b", "p", "m", "h"}

// winsLine is what a line says, as octets of it.
type winsLine struct {
	base, suffix, expiry, addrs, flags []byte
}

func (x *reading) readWinsDat() {
	if !x.winsHead() {
		return
	}
	var expiry expiryText
	for x.next() {
		if len(x.text) > 0 {
			x.winsRecord(&expiry)
		}
	}
}

// winsHead checks the first line.
func (x *reading) winsHead() bool {
	if !x.next() {
		return false
	}
	if !strings.HasPrefix(string(x.text)+" ", winsVersion+" ") {
		x.fatal("the first line is %q, %q would be right: this is no wins.dat, or of an nmbd that is not known", clip(x.text), winsVersion+" 0")
		return false
	}
	return true
}

func (x *reading) winsRecord(expiry *expiryText) {
	line, ok := splitWinsLine(x.text)
	if !ok {
		x.winsProblem()
		return
	}
	suffix, ok := parseHexByte(line.suffix)
	if !ok || len(line.suffix) != 2 {
		x.problem(0, "the suffix %q is not two hexadecimal digits", clip(line.suffix))
		return
	}
	name, err := nameOf(line.base, suffix)
	if err != nil {
		x.problem(1, "%w", err)
		return
	}
	ends, ok := parseDecimal(line.expiry, math.MaxUint32)
	if !ok {
		x.problem(0, "the expiry %q is not a Unix time of at most %d", clip(line.expiry), uint32(math.MaxUint32))
		return
	}
	flags, ok := winsFlags(line.flags)
	if !ok {
		x.problem(0, "the flags %q are not one or two hexadecimal digits and a letter, as in 64R", clip(line.flags))
		return
	}
	r := x.begin(policy.WINS, x.line)
	r.setFolded(name)
	r.Static, r.Group, r.Detail = ends == 0, flags&winsGroupFlag != 0, expiry.text(ends)
	r.Node = nodeTypes[flags>>5&3]
	if ends > 0 {
		r.Ends = time.Unix(int64(ends), 0)
	}
	if x.winsAddrs(line.addrs) {
		x.emit()
	}
}

// winsProblem tells a line that is cut off from one that is wrong.
func (x *reading) winsProblem() {
	if x.open {
		x.fatal("the file is cut off in this line")
		return
	}
	x.problem(0, `the line is not "NAME#20" EXPIRY ADDRESS... FLAGS: %q`, clip(x.text))
}

// splitWinsLine takes a line apart.
func splitWinsLine(text []byte) (line winsLine, ok bool) {
	last := bytes.LastIndexByte(text, '"')
	if last < 4 || text[0] != '"' || text[last-3] != '#' {
		return line, false
	}
	line.base, line.suffix = text[1:last-3], text[last-2:last]
	line.expiry, line.addrs, ok = bytes.Cut(trimBlanks(text[last+1:]), []byte{' '})
	line.addrs = trimBlanks(line.addrs)
	at := bytes.LastIndexByte(line.addrs, ' ')
	if !ok || at < 0 {
		return line, false
	}
	line.flags, line.addrs = line.addrs[at+1:], line.addrs[:at]
	return line, len(line.flags) > 1
}

// winsFlags reads the flags; the letter behind them is of no account.
func winsFlags(b []byte) (byte, bool) {
	letter := b[len(b)-1]
	flags, ok := parseHexByte(b[:len(b)-1])
	return flags, ok && 'A' <= letter && letter <= 'Z'
}

func (x *reading) winsAddrs(list []byte) bool {
	for list = trimBlanks(list); len(list) > 0; list = trimBlanks(list) {
		var one []byte
		one, list, _ = bytes.Cut(list, []byte{' '})
		addr, ok := parseIPv4(one)
		if !ok {
			x.problem(0, "the address %q is not an IPv4 address", clip(one))
			return false
		}
		if len(x.rec.Addrs) < maxAddrs {
			x.rec.add(addr)
		}
	}
	return true
}

func trimBlanks(b []byte) []byte { return bytes.Trim(b, " \t") }

// expiryText makes the detail of an expiry. Neighbours often have the same, so the last one is kept.
type expiryText struct {
	ends   uint64
	last   string
	buffer []byte
}

func (e *expiryText) text(ends uint64) string {
	if ends == 0 {
		return "static"
	}
	if ends != e.ends {
		e.buffer = time.Unix(int64(ends), 0).UTC().AppendFormat(e.buffer[:0], "expires "+stampLayout)
		e.ends, e.last = ends, string(e.buffer)
	}
	return e.last
}
