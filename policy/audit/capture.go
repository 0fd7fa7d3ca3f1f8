package audit

import (
	"errors"
	"io"
	"iter"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbpcap"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
)

// readCapture reads what is registered, updated, answered and transferred in a capture. A malformed
// packet is a problem and passed over; a damaged file is a fatal one behind everything that was read.
func readCapture(file string, r io.Reader) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		c := newCapture(file, yield)
		reader, err := nbpcap.NewReader(r, nbpcap.WithDNS())
		if err != nil {
			c.fatal(err)
			return
		}
		c.packets(reader.All())
	}
}

// capture is one pass over packets, and the record that is built and given again and again.
type capture struct {
	file    string
	yield   func(*Record, error) bool
	stopped bool // by the one who asks, or by a fatal problem

	packet    nbpcap.Packet
	rec       Record
	rrs       []namedRR // of one section of a message
	transfers capturedTransfers
}

func newCapture(file string, yield func(*Record, error) bool) *capture {
	return &capture{file: file, yield: yield, transfers: capturedTransfers{}}
}

// packets reads all of them.
func (c *capture) packets(all iter.Seq2[nbpcap.Packet, error]) {
	for p, err := range all {
		c.packet = p
		switch {
		case err != nil:
			c.fatal(err)
		case p.Err != nil:
			c.problem(p.Err)
		case p.Protocol == nbpcap.DNS:
			c.dns()
		default:
			c.nameService()
		}
		if c.stopped {
			return
		}
	}
}

// nameService reads a packet of the NetBIOS name service, RFC 1002, Section 4.2.
func (c *capture) nameService() {
	m := &c.packet.Message
	form := m.Form()
	claim, ok := m.Claim()
	switch form {
	case netbios.FormRegistration, netbios.FormMultihomed, netbios.FormOverwrite, netbios.FormRefresh:
		if !ok || !claim.Name.IsValid() || claim.Name.IsDomain() {
			c.problem(errNoClaim)
			return
		}
	case netbios.FormPositiveQuery:
		if !ok || claim.Name.IsDomain() {
			return
		}
	default:
		return
	}
	r := c.begin(c.nameServiceChannel(form))
	r.setName(claim.Name)
	r.Detail = form.String()
	for _, a := range claim.Addrs {
		r.Group = r.Group || a.Flags.IsGroup()
		r.add(a.Addr)
	}
	// The answer for a group has the address of everybody: that publishes nobody's.
	if r.Channel != policy.Answer || len(r.Addrs) > 0 {
		c.emit()
	}
}

var errNoClaim = errors.New("the registration has no NB record")

// nameServiceChannel trusts the B flag, RFC 1002, Section 4.2.1.1; what is sent to everybody without it
// is a broadcast too.
func (c *capture) nameServiceChannel(form netbios.Form) policy.Channel {
	switch {
	case form == netbios.FormPositiveQuery:
		return policy.Answer
	case c.packet.Message.Flags&netbios.FlagBroadcast != 0, c.packet.Dst.Addr() == limitedBroadcast:
		return policy.Broadcast
	}
	return policy.WINS
}

// begin clears the record for something that is in the packet.
func (c *capture) begin(channel policy.Channel) *Record {
	addrs := c.rec.Addrs[:0]
	c.rec = Record{Place: c.place(), Since: c.packet.Time}
	c.rec.Channel, c.rec.Addrs = channel, addrs
	c.rec.Source, c.rec.Time = c.packet.Src.Addr(), c.packet.Time
	return &c.rec
}

func (c *capture) emit() {
	if !c.stopped {
		c.stopped = !c.yield(&c.rec, nil)
	}
}

func (c *capture) place() finding.Place {
	return finding.Place{File: c.file, Packet: c.packet.Number}
}

// problem reports something of the present packet.
func (c *capture) problem(err error) { c.report(&Problem{Place: c.place(), Err: withoutNumber(err)}) }

// fatal reports something behind which nothing is read.
func (c *capture) fatal(err error) {
	place := finding.Place{File: c.file}
	if frame, ok := errors.AsType[*nbpcap.FrameError](err); ok {
		place.Packet = frame.Number
	}
	c.report(&Problem{Place: place, Err: withoutNumber(err), Fatal: true})
}

func (c *capture) report(p *Problem) {
	if !c.stopped {
		c.stopped = !c.yield(nil, p) || p.Fatal
	}
}

// withoutNumber takes off the packet's number, for the place has it.
func withoutNumber(err error) error {
	if frame, ok := errors.AsType[*nbpcap.FrameError](err); ok {
		return frame.Err
	}
	return err
}
