package nbns

import (
	"testing"

	"github.com/nameward/nameward/netbios"
)

func TestErrorTexts(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&NegativeError{Name: mail, Rcode: netbios.RcodeRefused, From: server}, "192.0.2.2:137 answers for MAIL<20>: RFS_ERR"},
		{&RedirectError{Name: mail, Server: node1.Addr(), From: server}, "192.0.2.2:137 redirects the query for MAIL<20> to 192.0.2.11"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
