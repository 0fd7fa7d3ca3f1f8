package updates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nameward/nameward/registry/held"
)

// line is an entry of the journal, in JSON. A batch and a piece of the base are some lines.
type line struct {
	Held *Held `json:"held,omitempty"`
	Gone *key  `json:"gone,omitempty"`
}

type change = held.Change[key, Held]

// maxBatch is how large a batch becomes before the rest goes into the next one; an entry is some 10 KiB at most.
const maxBatch = 512 << 10

// pack writes down as many changes as a batch has room for, and says how many these are.
func pack(changes []change) (batch []byte, n int) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for n < len(changes) && b.Len() < maxBatch {
		l := line{Held: changes[n].Entry}
		if l.Held == nil {
			l.Gone = &changes[n].Key
		}
		if err := enc.Encode(l); err != nil {
			panic(err) // there is nothing in it that has no form in JSON
		}
		n++
	}
	return b.Bytes(), n
}

// allOf lists the entries as if all had changed.
func allOf(t *table) []change {
	all := t.All()
	out := make([]change, len(all))
	for i := range all {
		out[i] = change{Key: all[i].key(), Entry: &all[i]}
	}
	return out
}

var errLine = errors.New("a line says neither what is held nor what has gone")

// unpack puts the changes of a batch into a table.
func unpack(batch []byte, to *table) error {
	dec := json.NewDecoder(bytes.NewReader(batch))
	dec.DisallowUnknownFields()
	for n := 1; ; n++ {
		var l line
		err := dec.Decode(&l)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil && (l.Held == nil) == (l.Gone == nil):
			err = errLine
		case err == nil && l.Held != nil && !l.Held.Fate.IsValid():
			err = errors.New("an entry has no fate")
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if l.Gone != nil {
			to.LoadGone(*l.Gone)
		} else {
			to.Load(*l.Held)
		}
	}
}
