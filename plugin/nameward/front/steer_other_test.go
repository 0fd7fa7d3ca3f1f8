//go:build !linux

package front

import (
	"errors"
	"testing"

	"github.com/rs/zerolog"
)

func TestUnsupported(t *testing.T) {
	if err := New(zerolog.Nop()).Listen(1, []string{"127.0.0.1:0"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
