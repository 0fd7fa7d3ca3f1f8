package held

import (
	"fmt"
	"slices"
)

// Fate is what became of it.
type Fate uint8

// The fates.
const (
	Parked      Fate = iota + 1 // published while the node holds the role
	Quarantined                 // quiet accept
	Refused                     // a negative answer
	Ignored                     // without effect
)

// Fates lists the fates.
var Fates = []Fate{Parked, Quarantined, Refused, Ignored}

var fateWords = []string{"none", "parked", "quarantined", "refused", "ignored"}

// IsValid reports whether it is one of the fates.
func (f Fate) IsValid() bool { return f >= Parked && f <= Ignored }

func (f Fate) String() string { return fateWords[f] }

// MarshalText writes the word.
func (f Fate) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the word of a fate.
func (f *Fate) UnmarshalText(text []byte) error {
	i := slices.Index(fateWords, string(text))
	if !Fate(max(i, 0)).IsValid() {
		return fmt.Errorf("%q is none of parked, quarantined, refused, ignored", text)
	}
	*f = Fate(i)
	return nil
}
