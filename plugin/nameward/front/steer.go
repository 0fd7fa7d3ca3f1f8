package front

import (
	"github.com/miekg/dns"
	"golang.org/x/net/bpf"
)

// The programs run over what follows the UDP or TCP header and return the index of a socket in the
// group. A load behind the end of the packet ends them with index 0, which is somebody who serves.

// maxLabels is how many labels a name of 255 octets has at most (RFC 1035, Section 2.3.4), and the root.
const maxLabels = 128

// takeUDP sends UPDATE messages and queries of type TKEY to index, all else to the others.
func takeUDP(index, others uint32) []bpf.Instruction {
	elsewhere := leave(index, others)
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 2, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x78},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: dns.OpcodeUpdate << 3, SkipTrue: 1},
		bpf.RetConstant{Val: index},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: dns.OpcodeQuery << 3, SkipTrue: uint8(len(elsewhere))},
	}
	program = append(program, elsewhere...)
	program = append(program, bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	// There are no loops: one round for each label that a name can have, X is where it begins.
	for i := range uint32(maxLabels) {
		program = append(program,
			bpf.LoadIndirect{Off: headerSize, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
			bpf.Jump{Skip: roundLength*(maxLabels-i) - 3},
			bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
			bpf.ALUOpX{Op: bpf.ALUOpAdd},
			bpf.TAX{},
		)
	}
	program = append(program,
		bpf.LoadIndirect{Off: headerSize + 1, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(dns.TypeTKEY), SkipTrue: 1},
		bpf.RetConstant{Val: index},
	)
	return append(program, elsewhere...)
}

// roundLength is how many instructions takeUDP has for a label.
const roundLength = 6

// takeTCP sends every connection to index.
func takeTCP(index, _ uint32) []bpf.Instruction {
	return []bpf.Instruction{bpf.RetConstant{Val: index}}
}

// leave sends everything to the others: each of them as likely when there are several (multisocket).
func leave(index, others uint32) []bpf.Instruction {
	if others <= 1 {
		if index == 0 {
			return []bpf.Instruction{bpf.RetConstant{Val: 1}}
		}
		return []bpf.Instruction{bpf.RetConstant{Val: 0}}
	}
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtRand},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: others},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: index, SkipTrue: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
		bpf.RetA{},
	}
}

// seek sends a probe with the token to the socket that its last octet names, and else does as then says.
func seek(t token, then []bpf.Instruction) []bpf.Instruction {
	program := []bpf.Instruction{}
	for i := range uint32(len(t) / 4) {
		program = append(program,
			bpf.LoadAbsolute{Off: headerSize + 4*i, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: t.word(i), SkipTrue: uint8(2*(len(t)/4-int(i)-1) + 2)},
		)
	}
	program = append(program, bpf.LoadAbsolute{Off: headerSize + uint32(len(t)), Size: 1}, bpf.RetA{})
	return append(program, then...)
}
