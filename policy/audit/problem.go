package audit

import (
	"fmt"

	"github.com/nameward/nameward/policy/finding"
)

// Problem is something in a source that could not be read.
type Problem struct {
	Place finding.Place
	Err   error
	// Fatal: nothing behind it was read. Otherwise one line or packet was passed over.
	Fatal bool
}

func (p *Problem) Error() string { return fmt.Sprintf("%s: %v", p.Place, p.Err) }

func (p *Problem) Unwrap() error { return p.Err }
