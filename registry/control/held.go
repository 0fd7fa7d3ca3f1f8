package control

import (
	"fmt"
	"strings"
	"time"
)

// Occurrence is why something is held that was asked for, and when that was. Words that are "" are left out.
type Occurrence struct {
	Reason, Role, Rule, Decision string
	First, Last                  time.Time
	Count                        uint64
}

// After puts the occurrence behind what was asked for and what became of it, as a step of an explanation.
func (o Occurrence) After(text string) string {
	var why []string
	for _, w := range []struct{ before, word string }{{"", o.Reason}, {"role ", o.Role}, {"rule ", o.Rule}, {"decision ", o.Decision}} {
		if w.word != "" {
			why = append(why, w.before+w.word)
		}
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, ", ") + ")"
	}
	if o.Count > 1 {
		return fmt.Sprintf("%s; %d times since %s, last at %s", text, o.Count, TimeText(o.First), TimeText(o.Last))
	}
	return text + "; at " + TimeText(o.Last)
}

// TimeText is a time as explanations have it.
func TimeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
