package boltfile_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/nameward/nameward/registry/store/boltfile"
	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
)

var layout = boltfile.Layout{Kind: "a test file", Format: `"test 1"`, Buckets: [][]byte{[]byte("one"), []byte("two")}}

var file = boltfiletest.File{
	Layout: layout,
	Open: func(path string) (io.Closer, error) {
		db, err := layout.Open(path)
		if err != nil {
			return nil, fmt.Errorf("opening test %s: %w", path, err)
		}
		return db, nil
	},
	Opening: "opening test",
}

func TestOpenMakesPrivateFiles(t *testing.T) { file.Private(t) }

func TestOpenRefuses(t *testing.T) { file.Refuses(t) }
