package storetest_test

import (
	"errors"
	"testing"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, storetest.Backend{
		Open:   func(*testing.T) registry.Store { return &registry.Memory{} },
		Reopen: func(_ *testing.T, s registry.Store) registry.Store { return s },
		Break: func(_ *testing.T, s registry.Store) func() {
			m := s.(*registry.Memory)
			m.Err = errors.New("no space left on device")
			return func() { m.Err = nil }
		},
	})
}
