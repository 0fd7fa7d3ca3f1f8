package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push/stream/streamtest"
	"github.com/nameward/nameward/registry/servetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"nameward":   func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
		"winslab":    winslab,
		"updateslab": updateslab,
	})
}

// TestScripts runs testdata/script: what a person types and what they see.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DNS", strconv.Itoa(servetest.FreePort(t)))
			env.Setenv("NBNS", strconv.Itoa(servetest.FreePort(t)))
			env.Setenv("STREAM", strconv.Itoa(servetest.FreePort(t)))
			env.Setenv("NAMEWARD_SOCKET", filepath.Join(env.WorkDir, "run", "c.sock"))
			captures, err := filepath.Abs("../../netbios/testdata")
			env.Setenv("CAPTURES", captures)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":       await,
			"certificate": certificate,
			"exits":       exits,
			"expand":      expand,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// await waits until the nameward of the script answers, or until the words that follow stand in the
// status of a role: await [ROLE WORD].
func await(ts *testscript.TestScript, _ bool, args []string) {
	client := control.NewClient(ts.Getenv("NAMEWARD_SOCKET"))
	var last string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := client.Status(ctx)
		cancel()
		if err != nil {
			last = err.Error()
			continue
		}
		if len(args) == 0 {
			return
		}
		for _, r := range st.Roles {
			last = r.State + " " + strings.Join(r.Served, ",") + " " + r.Why + " " + st.Config.Error + " " + st.Policy.Error
			if r.Lowered != nil {
				last += " lowered"
			}
			if r.Role == args[0] && strings.Contains(last, args[1]) {
				return
			}
		}
	}
	ts.Fatalf("waited for %q, saw: %s", args, last)
}

// certificate writes cert.pem and key.pem of a server on the loopback.
func certificate(ts *testscript.TestScript, _ bool, _ []string) {
	_, _, err := streamtest.WritePair(ts.MkAbs("."), 1)
	ts.Check(err)
}

// exits runs a program that has to end with an exit code: exits CODE PROGRAM [ARGUMENT...].
func exits(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got := strconv.Itoa(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// expand writes the environment's values into files.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, f := range files {
		path := ts.MkAbs(f)
		ts.Check(os.WriteFile(path, []byte(os.Expand(ts.ReadFile(f), ts.Getenv)), 0o644))
	}
}
