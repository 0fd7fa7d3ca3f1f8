package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/dnsask"
	"github.com/nameward/nameward/registry/push/notice"
)

// Driver runs the program. It implements push.Driver.
type Driver struct {
	command []string
	timeout time.Duration
}

// New makes the driver of a target.
func New(c *config.Hook) push.Driver {
	return dnsask.With(&Driver{c.Command, c.Timeout}, c.Verify.DNS)
}

// Content implements push.Driver.
func (*Driver) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	return notice.Content(role)
}

// Patience implements push.Patient.
func (d *Driver) Patience() time.Duration { return d.timeout + grace }

// Push runs the program once for all items.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	for _, it := range items {
		it.Sent()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("it did not end within %s", d.timeout))
	defer cancel()
	err := d.run(ctx, append(notice.New(items).JSON(), '\n'))
	for _, it := range items {
		if err != nil {
			it.Fail(err)
		} else {
			it.Acked()
		}
	}
}

const (
	// grace is between the polite word to a program and its end.
	grace = time.Second
	// lingering is how long the standard error is read that a child of the program has inherited.
	lingering = 200 * time.Millisecond
)

// run is nil when the program ends by itself with exit code 0.
func (d *Driver) run(ctx context.Context, input []byte) error {
	// The program lives as long as the thread that starts it, where the system can do that.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The context of exec.Cmd knows the program only, and end has the whole group in mind.
	cmd := exec.Command(d.command[0], d.command[1:]...)
	var said tail
	cmd.Stdin, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(input), &said, lingering
	cmd.Env, cmd.SysProcAttr = environment(), ownGroup()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		end(cmd.Process, done)
		return withLine(fmt.Errorf("%s was ended: %w", d.command[0], context.Cause(ctx)), said.line())
	}
	if cmd.ProcessState.Success() {
		return nil // whatever its children still hold open
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		err = errors.New(cmd.ProcessState.String())
	}
	return withLine(fmt.Errorf("%s: %w", d.command[0], err), said.line())
}

func withLine(err error, line string) error {
	if line == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, line)
}

// environment is all that the program gets to know of ours.
func environment() []string {
	env := []string{} // nil would be everything
	for _, key := range []string{"PATH", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return env
}
