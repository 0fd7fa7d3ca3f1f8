package notice_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/registry/push/notice"
	"github.com/nameward/nameward/registry/push/pushtest"
)

func TestNotice(t *testing.T) {
	reg := pushtest.Pair(t, 1, false)
	reg.Switch("ex2")
	got := string(notice.New(reg.Items("192.0.2.11")).JSON())
	want := `{"change":2,"roles":[{"role":"role0","cluster":"mail","epoch":2,"holder":["ex2"],"served":["ex2"],"state":"fresh",` +
		`"dns":["role0.corp.example."],"netbios":["ROLE0<20>"],"addresses":["192.0.2.12","2001:db8::12"],"ttl":5,"told":["192.0.2.11"]}]}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNothingIsNull: a list without elements is [], so that readers need no second case.
func TestNothingIsNull(t *testing.T) {
	reg := pushtest.Pair(t, 1, false)
	if got := string(notice.New(reg.Items()).JSON()); strings.Contains(got, "null") {
		t.Error(got)
	}
	if got := string(notice.New(nil).JSON()); got != `{"change":0,"roles":[]}` {
		t.Error(got)
	}
}

// TestID is the same for each try, and another one when a role moved to and fro.
func TestID(t *testing.T) {
	reg := pushtest.Pair(t, 2, false)
	first := reg.Items()
	if a, b := notice.ID(first), notice.ID(reg.Items("192.0.2.11")); a != b {
		t.Errorf("two tries have ids %s and %s", a, b)
	}
	if a, b := notice.ID(first), notice.ID(first[:1]); a == b {
		t.Error("a smaller batch has the same id")
	}
	reg.Switch("ex2")
	reg.Switch("ex1")
	if a, b := notice.ID(first), notice.ID(reg.Items()); a == b {
		t.Error("the role moved to and fro, and the id is the same")
	}
}
