package push

import "fmt"

// Stage is how far a delivery is.
type Stage uint8

// The stages. Stale and Foreign are found by asking; the delivery goes on.
const (
	Queued     Stage = iota // it is to be told
	Sent                    // it is being told
	Acked                   // the target has confirmed it
	Verified                // the target was asked afterwards, and answers right
	Stale                   // the target was asked and answers with what was right before
	Foreign                 // the target was asked and answers what nobody told it from here
	Failed                  // the last try did not succeed
	Superseded              // a newer state stands before this one was carried out
)

var stages = [...]string{"queued", "sent", "acked", "verified", "stale", "foreign", "failed", "superseded"}

// Stages lists the stages, for those who count them.
var Stages = []Stage{Queued, Sent, Acked, Verified, Stale, Foreign, Failed, Superseded}

func (s Stage) String() string { return stages[s] }

// MarshalText writes the word.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Stage) UnmarshalText(text []byte) error {
	for i, word := range stages {
		if word == string(text) {
			*s = Stage(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no stage of a delivery", text)
}
