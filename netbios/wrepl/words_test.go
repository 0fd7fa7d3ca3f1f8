package wrepl

import (
	"strconv"
	"testing"

	"github.com/nameward/nameward/netbios"
)

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func mustName(t testing.TB, s string) netbios.Name {
	t.Helper()
	n, err := netbios.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
