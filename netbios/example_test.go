package netbios_test

import (
	"fmt"
	"net/netip"

	"github.com/nameward/nameward/netbios"
)

func ExampleParseName() {
	n, err := netbios.ParseName("mail<20>.scope.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n.Base(), n.Suffix(), n.Scope())
	fmt.Println(n.Fold())
	// Output:
	// mail 32 scope.example
	// MAIL<20>.SCOPE.EXAMPLE
}

// A server answers a query with a buffer of its own.
func ExampleParseQuestion() {
	packet, _ := netbios.NewQuery(0x2a, netbios.MustParseName("MAIL<20>")).Append(nil)

	h, q, err := netbios.ParseQuestion(packet)
	if err != nil {
		fmt.Println(netbios.Reason(err))
		return
	}
	buf := make([]byte, 0, netbios.MaxDatagram)
	addr := netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("192.0.2.11")}
	buf = netbios.AppendPositiveQueryResponse(buf, h.ID, q.Name, 300, addr)

	answer, _ := netbios.Parse(buf)
	fmt.Println(answer.Form(), answer.Answers[0].Name, answer.Answers[0].Data)
	// Output: positive-query MAIL<20> [192.0.2.11 (H unique)]
}
