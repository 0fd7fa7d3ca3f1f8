package wins

import (
	"context"
	"errors"
)

// ErrKnown is what Take says of a name that has a record.
var ErrKnown = errors.New("there is a record of the name")

// Take is Put for records that another database had. The record that is here stays, whatever its state:
// it may be the newer word of the node itself. It is replaced by an operator's, unless it is one, and
// renewed by one with the same addresses that lasts longer. A dry run changes nothing and tells the
// same, but that it looks at the limits for each batch alone.
func (d *Database) Take(ctx context.Context, records []Record, dryRun bool) ([]error, error) {
	return d.inBatches(ctx, records, (*work).takeOver, dryRun)
}

func (w *work) takeOver(r *Record) error {
	if cur, state := w.find(r.Name); cur != nil && !cur.renewedBy(r, state) {
		return ErrKnown
	}
	return w.place(r)
}

// renewedBy reports whether a record that comes from elsewhere is to take the place of this one: an
// operator's does, and one that says the same and lasts longer.
func (r *Record) renewedBy(o *Record, state State) bool {
	if r.Static || o.Static {
		return !r.Static
	}
	if state != Active || o.State != Active || r.Kind != o.Kind || r.Len() != o.Len() || o.Ends <= r.Ends {
		return false
	}
	for i := range o.Len() {
		if r.Index(o.At(i).Addr) < 0 {
			return false
		}
	}
	return true
}
