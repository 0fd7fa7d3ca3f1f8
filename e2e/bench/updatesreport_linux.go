package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// What is required of updates.
const (
	updateFlatRequired      = 1.3 // times the cost at 1,000 records
	updateSecondaryRequired = 100 // ms, median
)

// reportUpdates writes the rows. Servers stand as they were made: by size, and by kind.
func (b *bench) reportUpdates(all []*updateServer) {
	kinds := len(updateKinds)
	few, many := all[:kinds], all[kinds:]
	for _, servers := range [][]*updateServer{few, many} {
		for _, l := range updateLoads {
			b.reportLoad(l, servers)
		}
		b.reportFirst(servers)
		b.reportSecondary(servers)
		b.reportPaced(servers[kindOurs])
	}
	b.reportFlat(few, many)
	b.reportRegistered(few[kindOurs], many[kindOurs])
	b.note()
	for _, s := range all {
		b.keepUpdates(s)
	}
}

func (b *bench) note() {
	b.table.note("An update adds or deletes one A record, signed with HMAC-SHA256. NOERROR means that it is on stable storage: nameward has it %s; BIND %s; dynupdate %s.",
		updateKinds[kindOurs].durable, updateKinds[kindBIND].durable, updateKinds[kindDynupdate].durable)
}

// reportLoad compares the servers of one size under one load.
func (b *bench) reportLoad(l updateLoad, servers []*updateServer) {
	ours := servers[kindOurs].loads[l]
	var rates, speeds, costs, cheaper, times []string
	for _, s := range servers[1:] {
		f := s.loads[l]
		if f == nil {
			continue
		}
		rates = append(rates, fmt.Sprintf("%s (%s%s)", figure(f.rate.median()), s.name, f.trouble()))
		speeds = append(speeds, figure(ratios(ours.rate, f.rate).median())+"x")
		costs = append(costs, fmt.Sprintf("%s (%s)", figure(f.cpu.median()), s.name))
		cheaper = append(cheaper, figure(ratios(f.cpu, ours.cpu).median())+"x")
		times = append(times, fmt.Sprintf("%s (%s)", f.spread(), s.name))
	}
	what := fmt.Sprintf("%s records, %s", thousands(servers[0].records), l)
	b.table.inform(row{
		what: "durable updates a second and core, " + what, ours: figure(ours.rate.median()) + ours.trouble(),
		peer: strings.Join(rates, ", "), ratio: strings.Join(speeds, ", "),
	})
	b.table.inform(row{
		what: "CPU for each update in µs, " + what, ours: figure(ours.cpu.median()), peer: strings.Join(costs, ", "), ratio: strings.Join(cheaper, ", "),
	})
	b.table.inform(row{what: "ms to NOERROR, p50 / p99, " + what, ours: ours.spread(), peer: strings.Join(times, ", ")})
}

func (f *updateFigures) spread() string {
	return fmt.Sprintf("%s / %s", figure(f.p50.median()), figure(f.p99.median()))
}

// trouble names what was not answered with NOERROR, "" if there is nothing.
func (f *updateFigures) trouble() string {
	var out []string
	for rcode, n := range f.others {
		out = append(out, fmt.Sprintf("%d %s", n, dns.RcodeToString[rcode]))
	}
	slices.Sort(out)
	if f.lost > 0 {
		out = append(out, fmt.Sprintf("%d lost", f.lost))
	}
	if len(out) == 0 {
		return ""
	}
	return "; " + strings.Join(out, ", ")
}

func brief(s samples) string { return figure(s.median()) + " / " + figure(s.p99()) }

// peers lists a figure of those that have it.
func peers(servers []*updateServer, of func(*updateServer) samples) string {
	var out []string
	for _, s := range servers[1:] {
		if values := of(s); len(values) > 0 {
			out = append(out, fmt.Sprintf("%s (%s)", brief(values), s.name))
		}
	}
	return strings.Join(out, ", ")
}

func (b *bench) reportFirst(servers []*updateServer) {
	b.table.inform(row{
		what: fmt.Sprintf("ms from an update to the first changed answer, p50 / p99, %s records", thousands(servers[0].records)),
		ours: brief(servers[kindOurs].first), peer: peers(servers, func(s *updateServer) samples { return s.first }),
	})
}

func (b *bench) reportSecondary(servers []*updateServer) {
	ours, records := servers[kindOurs], thousands(servers[0].records)
	b.table.require(ours.acked.median() < updateSecondaryRequired, row{
		what: fmt.Sprintf("ms from NOERROR to a BIND secondary that serves it, p50 / p99, %s records", records),
		ours: brief(ours.acked), peer: peers(servers, func(s *updateServer) samples { return s.acked }),
		required: fmt.Sprintf("p50 < %d ms", updateSecondaryRequired),
	})
	b.table.inform(row{
		what: fmt.Sprintf("the same from the update on, %s records", records),
		ours: brief(ours.told), peer: peers(servers, func(s *updateServer) samples { return s.told }),
	})
}

func (b *bench) reportPaced(s *updateServer) {
	r := s.paced
	what := fmt.Sprintf("%s updates a second and %s queries for %s, %s records", thousands(pacedUpdates), thousands(pacedQueries), pacedSpan, thousands(s.records))
	b.table.inform(row{
		what: what + ": acknowledged", ours: fmt.Sprintf("%.4g %% of %s", 100*float64(r.noerror)/float64(r.sent), thousands(r.sent)),
	})
	b.table.inform(row{what: what + ": ms to NOERROR, p50 / p99", ours: brief(r.updates)})
	b.table.inform(row{
		what: what + ": ms to an answer, p50 / p99", ours: fmt.Sprintf("%s, %d of %d", brief(r.queries), r.answered, r.asked),
	})
	b.table.inform(row{
		what: what + ": resident MB before and after, share of the core",
		ours: fmt.Sprintf("%s, %s, %.0f %%", figure(r.before), figure(r.after), 100*r.cpu),
	})
}

// reportFlat compares ours with itself.
func (b *bench) reportFlat(few, many []*updateServer) {
	for _, l := range updateLoads {
		small, large := few[kindOurs].loads[l].cpu, many[kindOurs].loads[l].cpu
		ratio := ratios(large, small).median()
		b.table.require(ratio < updateFlatRequired, row{
			what: fmt.Sprintf("CPU for each update, %s records against %s, %s", thousands(many[0].records), thousands(few[0].records), l),
			ours: figure(large.median()) + " µs", peer: figure(small.median()) + " µs (ours)", ratio: figure(ratio) + "x",
			required: fmt.Sprintf("< %gx", updateFlatRequired),
		})
	}
	first := many[kindOurs].first.median() / few[kindOurs].first.median()
	b.table.inform(row{
		what: fmt.Sprintf("median from an update to the first changed answer, %s records against %s", thousands(many[0].records), thousands(few[0].records)),
		ours: figure(many[kindOurs].first.median()) + " ms", peer: figure(few[kindOurs].first.median()) + " ms (ours)", ratio: figure(first) + "x",
	})
}

func (b *bench) reportRegistered(few, many *updateServer) {
	b.table.require(many.starts.median() < float64(startRequired.Milliseconds()), row{
		what: fmt.Sprintf("start (exec) to first right answer, %s registered records", thousands(many.records)),
		ours: fmt.Sprintf("median %s ms", figure(many.starts.median())), required: "< 2 s",
	})
	each := (many.rss.median() - few.rss.median()) * 1e6 / float64(many.records-few.records)
	b.table.inform(row{
		what: fmt.Sprintf("resident memory for each of %s registered records, after a start", thousands(many.records)),
		ours: figure(each) + " octets",
	})
}

func (b *bench) keepUpdates(s *updateServer) {
	for _, l := range updateLoads {
		f := s.loads[l]
		if f == nil {
			continue
		}
		for _, k := range []struct {
			unit string
			of   samples
		}{{"NOERROR/s", f.rate}, {"CPU µs/update", f.cpu}, {"p99 ms", f.p99}} {
			b.table.keep(fmt.Sprintf("updates, %s, %s", s, l), k.unit, k.of)
		}
	}
	b.table.keep(fmt.Sprintf("update to first changed answer, %s", s), "ms", s.first)
	b.table.keep(fmt.Sprintf("NOERROR to secondary, %s", s), "ms", s.acked)
	if s.kind == kindOurs {
		b.table.keep(fmt.Sprintf("start, %s", s), "ms", s.starts)
		b.table.keep(fmt.Sprintf("resident memory after a start, %s", s), "MB", s.rss)
	}
}
