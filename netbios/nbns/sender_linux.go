package nbns

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender sends replies in batches. Many replies in sequence that go the same way and have one length leave
// as one packet that the kernel cuts up (UDP_SEGMENT, udp(7)): the way through the system is four fifths of
// what a reply costs, and a guard in front, a proxy or a flood asks many questions at once. A capture on
// this machine shows them in one piece, as it does with TCP; what a node asks for at its start stays below.
type sender struct {
	mmsg   // the i-th iov is the i-th reply; a head has one or several in sequence
	raw    syscall.RawConn
	bound  bool // to one address, so that replies need not say theirs
	queued int
	local  [batch][4]byte
	begin  [batch]int // the first reply of a head
	oobs   [batch][]byte
	least  int  // how many replies there have to be in sequence
	single bool // the kernel cuts nothing up
}

// How many replies leave as one packet at the least: a node asks for fewer names than this at once, and for
// fewer registrations when it starts, so that a capture of an ordinary day shows every reply by itself.
const (
	leastAnswers       = 4
	leastRegistrations = 16
)

func (s *sender) init(raw syscall.RawConn, bound bool, least int) {
	s.raw, s.bound, s.least = raw, bound, least
	s.call, s.try = unix.SYS_SENDMMSG, s.tryOnce
	for i := range s.oobs {
		if !bound {
			s.oobs[i] = sourceOOB()
		}
		s.oobs[i] = append(s.oobs[i], segmentOOB()...)
	}
}

// segmentLen is the room for the length of segments.
var segmentLen = unix.CmsgSpace(2)

// segmentOOB returns a control message with the length of segments, udp(7).
func segmentOOB() []byte {
	oob := make([]byte, segmentLen)
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(oob)))
	h.SetLen(unix.CmsgLen(2))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	return oob
}

// queue sends a reply, which must stay as it is until then, with the next flush; there is room for batch
// replies.
func (s *sender) queue(r route, reply []byte) {
	i := s.queued
	s.addrs[i], s.local[i] = r.to, r.local.As4()
	s.iovs[i].Base = unsafe.SliceData(reply)
	s.iovs[i].SetLen(len(reply))
	s.queued++
}

// flush sends what is queued. A reply that cannot be sent, to whatever address its request claimed, does
// not keep back the others; the last error is returned.
func (s *sender) flush() (last error) {
	n := s.queued
	s.queued = 0
	for from := 0; from < n; {
		heads := s.group(from, n)
		from = n
		for s.first = 0; s.first < heads; s.first += max(1, s.n) {
			s.end, s.n = heads, 0
			if err := s.raw.Write(s.try); err != nil {
				return err
			}
			if s.errno == 0 {
				continue
			}
			if s.heads[s.first].hdr.Iovlen > 1 && refusesSegments(s.errno) {
				s.single, from = true, s.begin[s.first]
				break
			}
			last = os.NewSyscallError("sendmmsg", s.errno)
		}
	}
	return last
}

// refusesSegments reports whether an error may be about the segments and not about the way: a kernel, a
// device or an MTU that is not up to it.
func refusesSegments(e syscall.Errno) bool {
	return e == unix.EIO || e == unix.EINVAL || e == unix.EMSGSIZE || e == unix.ENOPROTOOPT || e == unix.EOPNOTSUPP
}

// group makes the heads for the replies from one to before another, and returns how many.
func (s *sender) group(from, n int) (heads int) {
	for i := from; i < n; {
		j := i + 1
		for j < n && !s.single && s.follows(i, j) {
			j++
		}
		step := 1
		if j-i >= s.least {
			step = j - i
		}
		for ; i < j; i += step {
			s.head(heads, i, i+step)
			heads++
		}
	}
	return heads
}

// follows reports whether reply j may leave in one packet with i and those between: all but the last have
// one length, and the last is no longer.
func (s *sender) follows(i, j int) bool {
	return s.addrs[i] == s.addrs[j] && s.local[i] == s.local[j] && s.iovs[j-1].Len == s.iovs[i].Len && s.iovs[j].Len <= s.iovs[i].Len
}

func (s *sender) head(k, i, j int) {
	oob, h := s.oobs[k], &s.heads[k].hdr
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&s.addrs[i])), unix.SizeofSockaddrInet4
	h.Iov = &s.iovs[i]
	h.SetIovlen(j - i)
	n := 0
	if !s.bound {
		setSource(oob, netip.AddrFrom4(s.local[i]))
		n = oobLen
	}
	if j-i > 1 {
		binary.NativeEndian.PutUint16(oob[n+unix.SizeofCmsghdr:], uint16(s.iovs[i].Len))
		n += segmentLen
	}
	h.Control = unsafe.SliceData(oob)
	h.SetControllen(n)
	s.begin[k] = i
}
