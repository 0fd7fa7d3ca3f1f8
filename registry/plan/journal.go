package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Step is what a run did, or is about to do.
type Step string

// The steps in their order. Those of a way back have Back set.
const (
	Begun     Step = "begun"     // all was checked
	Lowered   Step = "lowered"   // the TTLs
	Told      Step = "told"      // every target has the lowered TTLs
	Switching Step = "switching" // what follows may have happened
	Switched  Step = "switched"
	Proven    Step = "proven" // targets have the new addresses
	Raised    Step = "raised" // the TTLs
	Done      Step = "done"
	Stopped   Step = "stopped" // before the switch; the TTLs are raised
)

// Entry is a line of the journal.
type Entry struct {
	Time   time.Time `json:"time"`
	Plan   string    `json:"plan"` // its id
	Step   Step      `json:"step"`
	Back   bool      `json:"back,omitempty"`   // on the way back
	Change uint64    `json:"change,omitempty"` // that the step made
	Why    string    `json:"why,omitempty"`
}

// Journal is what was done with a plan, in a file beside it: JSON, one entry a line, each on stable storage before the next
// step. It is read once; one process at a time should write it, and two do no harm.
type Journal struct {
	path    string
	plan    string
	Entries []Entry
}

// JournalOf is the path of the journal of a plan's file.
func JournalOf(path string) string { return path + ".run" }

// OpenJournal reads the journal of a plan, if there is one. A last line that a kill has cut short is passed over.
func OpenJournal(path string, p *Plan) (*Journal, error) {
	j := &Journal{path: path, plan: p.ID}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	} else if err != nil {
		return nil, err
	}
	n := 0
	for line := range bytes.Lines(raw) {
		if n++; !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s:%d:1: not a line of a plan's journal (%w), put the file back as it was or move it away", path, n, err)
		}
		if e.Plan != p.ID {
			return nil, fmt.Errorf("%s:%d:1: this is of plan %s, and the plan beside it is %s: move it away", path, n, e.Plan, p.ID)
		}
		j.Entries = append(j.Entries, e)
	}
	return j, nil
}

// write adds an entry and returns when it is on stable storage.
func (j *Journal) write(e Entry) error {
	e.Time, e.Plan = time.Now().UTC().Truncate(time.Millisecond), j.plan
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := j.append(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.Entries = append(j.Entries, e)
	return nil
}

// append adds a line behind the whole ones: what a kill has left of another is cut off.
func (j *Journal) append(line []byte) error {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	end := int64(bytes.LastIndexByte(old, '\n') + 1)
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(line, end); err != nil {
		return err
	}
	return f.Sync()
}

// last finds the last entry of a step on the way there or back.
func (j *Journal) last(step Step, back bool) (Entry, bool) {
	return j.latest(func(e Entry) bool { return e.Step == step && e.Back == back })
}

func (j *Journal) latest(is func(Entry) bool) (Entry, bool) {
	for _, e := range slices.Backward(j.Entries) {
		if is(e) {
			return e, true
		}
	}
	return Entry{}, false
}

// MayHaveSwitched reports whether the switch there, or back, was asked for and not refused.
func (j *Journal) MayHaveSwitched(back bool) bool {
	e, _ := j.latest(func(e Entry) bool {
		return e.Back == back && (e.Step == Switching || e.Step == Switched || e.Step == Stopped)
	})
	return e.Step == Switching || e.Step == Switched
}
