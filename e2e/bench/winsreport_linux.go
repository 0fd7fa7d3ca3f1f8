package main

import (
	"fmt"
	"math"
	"time"
)

// What is required of the WINS server.
const (
	winsQueryRequired     = 5  // times less CPU for a query than nmbd's with few records
	winsQueryManyRequired = 30 // the same with many
	winsRateRequired      = 3  // times nmbd's registrations a second
	winsRateADRequired    = 30 // times the AD-style server's
	winsTakeOverRequired  = 3 * time.Second
)

// reportWINS compares the three. A server that is missing is a note and sets no requirement; the figures
// of one that has failed meet none.
func (b *bench) reportWINS(ours, nmbd, ad *winsServer) {
	for _, s := range []*winsServer{nmbd, ad} {
		if s.missing() {
			b.table.note("%s was not measured: %s", s.what, firstLine(s.failed))
		}
	}
	b.reportQueries(ours, nmbd, winsQueryFew, winsFew, winsQueryRequired)
	b.reportQueries(ours, nmbd, winsQueryMany, nmbd.records, winsQueryManyRequired)
	b.reportQueries(ours, ad, winsQueryFew, winsFew, 0)
	b.reportQueries(ours, ad, winsQueryMany, ad.records, 0)
	for _, key := range []winsKey{winsRegister, winsRefresh, winsRelease} {
		b.reportRates(ours, nmbd, key, winsRateRequired)
		b.reportRates(ours, ad, key, winsRateADRequired)
	}
	for _, key := range []winsKey{winsRegister1, winsRegister32, winsRegister256} {
		b.reportTimes(key, ours, nmbd, ad)
	}
	b.reportTakeOver(ours, nmbd, ad)
	b.reportBurst(winsBurstQuery, ours, nmbd, ad)
	b.reportBurst(winsBurstRegister, ours, nmbd, ad)
	b.reportErrors(ours, nmbd, ad)
	for _, s := range []*winsServer{ours, nmbd, ad} {
		b.keepWINS(s)
	}
}

func (b *bench) reportQueries(ours, peer *winsServer, key winsKey, records, required int) {
	mine, other := ours.of(key), peer.of(key)
	ratio := ratios(other.cpu, mine.cpu).median()
	r := row{
		what: fmt.Sprintf("CPU for each WINS query, %s records, against %s", thousands(records), peer.what),
		ours: cell(mine.cpu.median(), " µs"), peer: cell(other.cpu.median(), " µs"), ratio: cell(ratio, "x"),
	}
	b.report(peer, ratio, required, r)
}

var plural = map[winsKey]string{winsRegister: "registrations", winsRefresh: "refreshes", winsRelease: "releases"}

func (b *bench) reportRates(ours, peer *winsServer, key winsKey, required int) {
	mine, other := ours.of(key), peer.of(key)
	ratio := ratios(mine.rate, other.rate).median()
	r := row{
		what: fmt.Sprintf("WINS %s a second, %s names, %d outstanding, against %s (%s, %d)",
			plural[key], thousands(ours.records), ours.claims, peer.what, thousands(peer.records), peer.claims),
		ours: cell(mine.rate.median(), ""), peer: cell(other.rate.median(), ""), ratio: cell(ratio, "x"),
	}
	b.report(peer, ratio, required, r)
}

// report adds a row with the least ratio that is required; 0 for none.
func (b *bench) report(peer *winsServer, ratio float64, required int, r row) {
	if required == 0 || peer.missing() {
		b.table.inform(r)
		return
	}
	r.required = fmt.Sprintf(">= %dx", required)
	b.table.require(ratio >= float64(required), r)
}

// cell is a figure with its unit, empty if it was not measured.
func cell(v float64, unit string) string {
	if math.IsNaN(v) {
		return ""
	}
	return figure(v) + unit
}

// both are the figures of the two peers.
func both(a, b string) string { return dash(a) + ", " + dash(b) }

// reportTimes has both peers in one row.
func (b *bench) reportTimes(key winsKey, ours, nmbd, ad *winsServer) {
	times := func(s *winsServer) string {
		f := s.of(key)
		if len(f.p50) == 0 {
			return ""
		}
		return fmt.Sprintf("%s / %s", figure(f.p50.median()), figure(f.p99.median()))
	}
	b.table.inform(row{
		what: fmt.Sprintf("WINS %s: ms to the answer, p50 / p99; peer: %s, then %s", key, nmbd.what, ad.what),
		ours: times(ours), peer: both(times(nmbd), times(ad)),
	})
}

func (b *bench) reportTakeOver(ours, nmbd, ad *winsServer) {
	seconds := func(s *winsServer) string { return cell(s.of(winsTakeOver).p50.max()/1000, " s") }
	worst := ours.of(winsTakeOver).p50.max()
	b.table.require(worst <= float64(winsTakeOverRequired/time.Millisecond), row{
		what: fmt.Sprintf("WINS name of a dead owner registered, slowest of %d at once; peer: %s, then %s", winsDead, nmbd.what, ad.what),
		ours: seconds(ours), peer: both(seconds(nmbd), seconds(ad)), required: "<= 3 s",
	})
}

func (b *bench) reportBurst(key winsKey, ours, nmbd, ad *winsServer) {
	lost := func(s *winsServer) string { return cell(s.of(key).lost.max(), "") }
	b.table.require(ours.of(key).lost.max() == 0, row{
		what: fmt.Sprintf("%s at a WINS server, %s packets at once, %s records: most that were lost; peer: %s, then %s (%s)",
			key, thousands(winsBurst), thousands(ours.records), nmbd.what, ad.what, thousands(ad.records)),
		ours: lost(ours), peer: both(lost(nmbd), lost(ad)), required: "0",
	})
}

// reportErrors counts what went wrong in all the other loads.
func (b *bench) reportErrors(ours, nmbd, ad *winsServer) {
	count := func(s *winsServer) (lost, wrong, resent int) {
		for key, f := range s.figures {
			if key != winsBurstQuery && key != winsBurstRegister {
				for _, n := range f.lost {
					lost += int(n)
				}
			}
			wrong, resent = wrong+f.wrong, resent+f.resent
		}
		return lost, wrong, resent
	}
	text := func(s *winsServer) string {
		if len(s.of(winsQueryFew).cpu) == 0 {
			return ""
		}
		lost, wrong, resent := count(s)
		return fmt.Sprintf("%d / %d / %d", lost, wrong, resent)
	}
	lost, wrong, _ := count(ours)
	b.table.require(lost+wrong == 0 && len(ours.of(winsQueryFew).cpu) > 0, row{
		what: fmt.Sprintf("WINS requests lost / answered wrong / packets sent again, all other loads; peer: %s, then %s", nmbd.what, ad.what),
		ours: text(ours), peer: both(text(nmbd), text(ad)), required: "0 / 0 / any",
	})
}

func (b *bench) keepWINS(s *winsServer) {
	for _, key := range []winsKey{
		winsQueryFew, winsQueryMany, winsRegister, winsRegister1, winsRegister32, winsRegister256, winsRefresh, winsRelease, winsBurstQuery, winsBurstRegister,
	} {
		f, what := s.of(key), fmt.Sprintf("WINS, %s, %s", s.what, key)
		if len(f.rate) == 0 {
			continue
		}
		b.table.keep(what, "1/s", f.rate)
		if key != winsBurstQuery && key != winsBurstRegister { // which are too short for the clock of the system
			b.table.keep(what, "CPU µs", f.cpu)
		}
		b.table.keep(what, "p50 ms", f.p50)
		b.table.keep(what, "p99 ms", f.p99)
	}
	if f := s.of(winsTakeOver); len(f.p50) > 0 {
		b.table.keep(fmt.Sprintf("WINS, %s, %s", s.what, winsTakeOver), "ms", f.p50)
	}
}
