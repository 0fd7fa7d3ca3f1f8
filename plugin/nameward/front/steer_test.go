package front

import (
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/bpf"
)

// TestPrograms runs them as the kernel does; with one other socket they do not draw lots.
func TestPrograms(t *testing.T) {
	tok := newToken()
	const ours, theirs = 3, 0
	for _, tt := range []struct {
		name string
		m    *dns.Msg
		want int
	}{
		{"update", new(dns.Msg).SetUpdate("corp.example."), ours},
		{"query", new(dns.Msg).SetQuestion("corp.example.", dns.TypeA), theirs},
		{"TKEY", new(dns.Msg).SetQuestion("1.corp.example.", dns.TypeTKEY), ours},
		{"TKEY of the root", new(dns.Msg).SetQuestion(".", dns.TypeTKEY), ours},
		{"TKEY in another place", new(dns.Msg).SetQuestion("\\000\\249.\\000\\249\\000.", dns.TypeA), theirs},
		{"TSIG", new(dns.Msg).SetQuestion("corp.example.", dns.TypeTSIG), theirs},
		{"notify", new(dns.Msg).SetNotify("corp.example."), theirs},
		{"NOTIFY of type TKEY", &dns.Msg{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeNotify}, Question: []dns.Question{{Name: "a.", Qtype: dns.TypeTKEY, Qclass: 1}}}, theirs},
	} {
		raw, err := tt.m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got := runProgram(t, takeUDP(ours, 1), raw); got != tt.want {
			t.Errorf("%s: to %d, want %d", tt.name, got, tt.want)
		}
		if got := runProgram(t, seek(tok, takeUDP(ours, 1)), raw); got != tt.want {
			t.Errorf("%s while we seek: to %d, want %d", tt.name, got, tt.want)
		}
		if got := runProgram(t, leave(ours, 1), raw); got != theirs {
			t.Errorf("%s: to %d after we left", tt.name, got)
		}
	}
	if got := runProgram(t, leave(0, 1), nil); got != 1 {
		t.Errorf("as the first we leave everything to %d", got)
	}
	if got := runProgram(t, seek(tok, takeUDP(ours, 1)), tok.probe(77)); got != 77 {
		t.Errorf("a probe goes to %d", got)
	}
	other := newToken()
	if got := runProgram(t, seek(tok, takeUDP(ours, 1)), other.probe(77)); got != ours {
		t.Errorf("the probe of another goes to %d", got)
	}
}

func runProgram(t *testing.T, program []bpf.Instruction, raw []byte) int {
	t.Helper()
	if _, err := bpf.Assemble(program); err != nil || len(program) > 4096 {
		t.Fatalf("%d instructions: %v", len(program), err)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(raw)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
