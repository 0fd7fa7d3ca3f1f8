package boltfile

import (
	"fmt"
	"runtime/debug"
)

// Guard runs do, which reads or writes a file that may be damaged, and turns what bbolt does on damage
// into an error: it panics, or reads beyond the end of a file that was cut short, which is a memory
// fault. What do calls in other goroutines is not guarded, and a panic of the caller's own code would
// be taken for damage: keep that out of do.
func Guard(do func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			err = Damaged(fmt.Errorf("%v", r))
		}
	}()
	return do()
}

// Damaged is the error of a file in which what was found.
func Damaged(what error) error {
	return fmt.Errorf("it is damaged (%w); %s", what, HowToGoOn)
}
