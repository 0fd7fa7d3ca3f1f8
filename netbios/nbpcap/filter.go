package nbpcap

import (
	"golang.org/x/net/bpf"

	"github.com/nameward/nameward/netbios"
)

// Where the parts of IP are that the filter looks at, RFC 791 and RFC 8200.
const (
	ip4Fragment = 6
	ip4Protocol = 9
	ip6Next     = 6
	ip6Header   = 40

	protocolTCP = 6
	protocolUDP = 17
)

// filter returns the program that takes the name services out of IP packets: UDP port 137, and with dns
// port 53 of UDP and TCP. IPv4 fragments behind the first one have no ports and are taken, for they may
// belong to one; IPv6 packets with extension headers are not.
func filter(dns bool) []bpf.Instruction {
	udp, tcp := []uint32{netbios.Port}, []uint32{}
	if dns {
		udp, tcp = append(udp, dnsPort), append(tcp, dnsPort)
	}
	var p program
	p.add(bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	p.branch(4, "ip4")
	p.branch(6, "ip6")
	p.add(bpf.RetConstant{Val: 0})

	p.label("ip4")
	p.add(bpf.LoadAbsolute{Off: ip4Protocol, Size: 1})
	p.transports("4")
	for _, t := range []transport{{"udp4", udp}, {"tcp4", tcp}} {
		p.label(t.name)
		p.add(bpf.LoadAbsolute{Off: ip4Fragment, Size: 2})
		p.jump(bpf.JumpBitsSet, 0x1fff, "take")
		p.add(bpf.LoadMemShift{Off: 0}) // X is the length of the header
		p.ports(t.ports, bpf.LoadIndirect{Off: 0, Size: 2}, bpf.LoadIndirect{Off: 2, Size: 2})
	}

	p.label("ip6")
	p.add(bpf.LoadAbsolute{Off: ip6Next, Size: 1})
	p.transports("6")
	for _, t := range []transport{{"udp6", udp}, {"tcp6", tcp}} {
		p.label(t.name)
		p.ports(t.ports, bpf.LoadAbsolute{Off: ip6Header, Size: 2}, bpf.LoadAbsolute{Off: ip6Header + 2, Size: 2})
	}

	p.label("take")
	p.add(bpf.RetConstant{Val: maxFrame})
	return p.resolve()
}

type transport struct {
	name  string
	ports []uint32
}

// program is a filter with names to jump to.
type program struct {
	steps  []bpf.Instruction
	labels map[string]int
	jumps  map[int]string // of the steps that jump
}

func (p *program) add(steps ...bpf.Instruction) { p.steps = append(p.steps, steps...) }

func (p *program) label(name string) {
	if p.labels == nil {
		p.labels = map[string]int{}
	}
	p.labels[name] = len(p.steps)
}

func (p *program) jump(cond bpf.JumpTest, val uint32, to string) {
	if p.jumps == nil {
		p.jumps = map[int]string{}
	}
	p.jumps[len(p.steps)] = to
	p.add(bpf.JumpIf{Cond: cond, Val: val})
}

func (p *program) branch(val uint32, to string) { p.jump(bpf.JumpEqual, val, to) }

// transports goes on by the protocol that was loaded.
func (p *program) transports(family string) {
	p.branch(protocolUDP, "udp"+family)
	p.branch(protocolTCP, "tcp"+family)
	p.add(bpf.RetConstant{Val: 0})
}

// ports takes the packet if one of its ports, which the loads load, is in the list.
func (p *program) ports(list []uint32, loads ...bpf.Instruction) {
	for _, load := range loads {
		p.add(load)
		for _, port := range list {
			p.branch(port, "take")
		}
	}
	p.add(bpf.RetConstant{Val: 0})
}

// resolve makes the names distances.
func (p *program) resolve() []bpf.Instruction {
	for at, to := range p.jumps {
		j := p.steps[at].(bpf.JumpIf)
		j.SkipTrue = uint8(p.labels[to] - at - 1)
		p.steps[at] = j
	}
	return p.steps
}
