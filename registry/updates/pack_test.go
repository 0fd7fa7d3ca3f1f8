package updates

import (
	"reflect"
	"strings"
	"testing"
)

func TestUnpackBad(t *testing.T) {
	const good = `{"held":{"zone":"corp.example.","name":"a.corp.example.","type":1,"fate":"parked","first":"2026-01-02T03:04:05Z","last":"2026-01-02T03:04:05Z","count":1}}` + "\n"
	for name, tt := range map[string]struct{ batch, want string }{
		"no JSON":        {"x", "entry 1: invalid character"},
		"cut short":      {good + good[:40], "entry 2: unexpected EOF"},
		"nothing said":   {good + "{}", "entry 2: " + errLine.Error()},
		"both":           {strings.Replace(good, "{", `{"gone":{},`, 1), "entry 1: " + errLine.Error()},
		"unknown fate":   {strings.Replace(good, "parked", "shelved", 1), `"shelved" is none of parked`},
		"no fate":        {strings.Replace(good, `"fate":"parked",`, "", 1), "entry 1: an entry has no fate"},
		"unknown member": {strings.Replace(good, `"type"`, `"rrtype"`, 1), `unknown field "rrtype"`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := unpack([]byte(tt.batch), newTable(DefaultLimits)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	table := newTable(DefaultLimits)
	if err := unpack([]byte(good+good), table); err != nil || len(table.All()) != 1 {
		t.Errorf("%v, %d entries", err, len(table.All()))
	}
}

// FuzzUnpack: nothing panics, and what was read is written such that it is read again.
func FuzzUnpack(f *testing.F) {
	h := update(1, 1)
	batch, _ := pack([]change{{Entry: &h}, {Key: h.key()}})
	f.Add(batch)
	f.Fuzz(func(t *testing.T, batch []byte) {
		once := newTable(DefaultLimits)
		if unpack(batch, once) != nil {
			return
		}
		once.Loaded()
		again := newTable(DefaultLimits)
		for all := allOf(once); len(all) > 0; {
			b, n := pack(all)
			if err := unpack(b, again); err != nil {
				t.Fatal(err)
			}
			all = all[n:]
		}
		if a, b := once.Counts(), again.Counts(); !reflect.DeepEqual(a, b) {
			t.Errorf("%+v, again %+v", a, b)
		}
	})
}
