package wins

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestVersionsModel compares the versions of an owner with a sorted list, over random edits, and has every older
// edition stay as it was.
func TestVersionsModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var v *versions
	var model []numbered
	type edition struct {
		v     *versions
		model []numbered
	}
	var old []edition
	top := uint64(0)
	for edit := uint64(2); edit < 2000; edit++ {
		v = v.forEdit(edit)
		for range rnd.IntN(20) {
			k := numbered{top, rnd.Uint32()}
			switch {
			case rnd.IntN(4) > 0 && edit < 1000 || len(model) == 0:
				top++
				k.version = top
			case rnd.IntN(3) == 0:
				k.version = rnd.Uint64N(top + 1)
			default:
				k = model[rnd.IntN(len(model))]
			}
			i, found := slices.BinarySearchFunc(model, k, numbered.compare)
			if found {
				v.remove(k)
				model = slices.Delete(slices.Clone(model), i, i+1)
			} else {
				v.add(k)
				model = slices.Insert(slices.Clone(model), i, k)
			}
			v.remove(numbered{top + 1, 0})
		}
		if edit%100 == 0 {
			old = append(old, edition{v, model})
		}
		v.check(t, model)
	}
	for _, e := range old {
		e.v.check(t, e.model)
	}
	for low := uint64(0); low < top; low += 37 {
		high := low + rnd.Uint64N(500)
		var want []numbered
		for _, k := range model {
			if k.version >= low && k.version <= high {
				want = append(want, k)
			}
		}
		if got := slices.Collect(v.between(low, high)); !slices.Equal(got, want) {
			t.Fatalf("from %d to %d: %d entries, want %d", low, high, len(got), len(want))
		}
	}
}

func (v *versions) check(t *testing.T, model []numbered) {
	t.Helper()
	if got := slices.Collect(v.between(0, math.MaxUint64)); !slices.Equal(got, model) || v.len != len(model) {
		t.Fatalf("%d entries (%d), want %d", len(got), v.len, len(model))
	}
	if last := v.last(); len(model) > 0 && last != model[len(model)-1].version || len(model) == 0 && last != 0 {
		t.Fatalf("the last is %d", last)
	}
	if few := len(model)/(blockLen/4) + 2; len(v.blocks) > few {
		t.Fatalf("%d blocks for %d entries", len(v.blocks), len(model))
	}
	for _, b := range v.blocks {
		if b.n == 0 {
			t.Fatal("an empty block")
		}
	}
}

func TestVersionsPacked(t *testing.T) {
	for _, n := range []int{0, 1, blockLen - 1, blockLen, blockLen + 1, 5 * blockLen} {
		var list []numbered
		for i := range n {
			list = append(list, numbered{uint64(i) * 3, uint32(i)})
		}
		v := packed(list, 1)
		v.check(t, list)
		next := v.forEdit(2)
		next.add(numbered{4, 4})
		v.check(t, list)
	}
}

// checkIndex compares the versions of all owners with the records.
func (s *Snapshot) checkIndex(t testing.TB) {
	t.Helper()
	if !s.ordered {
		for ip, o := range s.owners {
			if o.versions != nil {
				t.Fatalf("owner %s has %d versions", ip, o.versions.len)
			}
		}
		return
	}
	want := versionsOf(s.Table, s.roles)
	for ip, o := range s.owners {
		var list []numbered
		if v := want[ip]; v != nil {
			list = slices.Collect(v.between(0, math.MaxUint64))
		}
		if got := slices.Collect(o.versions.between(0, math.MaxUint64)); !slices.Equal(got, list) || o.versions.len != len(list) {
			t.Fatalf("owner %s: %d versions (%d), want %d", ip, len(got), o.versions.len, len(list))
		}
	}
	for ip := range want {
		if s.owners[ip] == nil {
			t.Fatalf("owner %s is not known", ip)
		}
	}
}

// BenchmarkVersions is what the versions cost beside a table: to add the next one, to give a record another one, and
// for a partner to ask for the last ten.
func BenchmarkVersions(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		v, octets := heapOf(func() *versions {
			list := make([]numbered, n)
			for i := range list {
				list[i] = numbered{uint64(i) + 1, uint32(i)}
			}
			return packed(list, 1)
		})
		b.Run(fmt.Sprintf("move-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			v, i := v, uint64(1)
			for b.Loop() {
				i++
				v = v.forEdit(i)
				at := i * 7919 % uint64(n)
				v.remove(numbered{at + 1, uint32(at)})
				v.add(numbered{uint64(n) + i, uint32(at)})
			}
			b.ReportMetric(float64(octets)/float64(n), "heapB/record")
		})
		b.Run(fmt.Sprintf("last-%d", n), func(b *testing.B) {
			for b.Loop() {
				if got := len(slices.Collect(v.between(uint64(n)-9, math.MaxUint64))); got != 10 {
					b.Fatal(got)
				}
			}
		})
	}
}
