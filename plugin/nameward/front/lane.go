package front

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/net/bpf"
)

// lane is one of the two sockets of a door and how packets are steered to it.
type lane struct {
	door   *door
	over   network
	socket syscall.Conn
	take   func(index, others uint32) []bpf.Instruction
	index  uint32 // of our socket in its group, as far as is known
	probes chan uint8
	proved atomic.Bool // the last probe came to us
	failed bool        // that the probes do not come was logged
}

// steer sends to our socket what is for us if take is true, and nothing if not.
func (l *lane) steer(take bool, others uint32) error {
	if !take {
		l.proved.Store(false)
		return attach(l.socket, leave(l.index, others))
	}
	if err := attach(l.socket, l.take(l.index, others)); err != nil {
		return err
	}
	if l.arrives(0) {
		l.proved.Store(true)
		return nil
	}
	index, ok := l.locate(others)
	if !ok {
		l.lost()
	} else {
		l.index, l.failed = index, false
		l.proved.Store(true)
	}
	return attach(l.socket, l.take(l.index, others))
}

// lost keeps the index: whatever stops the probes, a packet filter for one, need not stop requests.
func (l *lane) lost() {
	l.proved.Store(false)
	if !l.failed {
		l.failed = true
		l.door.front.log.Warn().Str("listen", l.door.addr).Stringer("network", l.over).
			Msg("probes to our own address do not come back; DNS UPDATE and TKEY may not be seen as they came")
	}
}
