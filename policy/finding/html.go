package finding

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the style and the script of a page
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed report.css
var reportStyle string

//go:embed report.js
var reportScript string

// htmlDoc is one page that needs nothing else: its policy allows its own style and script, by their
// hashes, and no other source. The summary stands before the findings, so their rows are kept,
// rendered, up to a bound.
type htmlDoc struct {
	options  Options
	counts   [3]int
	passed   int
	rows     []byte
	spool    spool
	extra    []Field // scratch
	kinds    []*Kind // those that came, in this order
	kindByID map[string]int
}

func newHTMLDoc(o Options) *htmlDoc { return &htmlDoc{options: o, kindByID: map[string]int{}} }

func (d *htmlDoc) begin(b []byte) []byte { return b }

func (d *htmlDoc) pass(b []byte, _, _ string) []byte {
	d.passed++
	return b
}

func (d *htmlDoc) finding(b []byte, f *Finding) []byte {
	d.counts[f.Severity]++
	if d.spool.fits() {
		before := len(d.rows)
		d.rows = d.row(d.rows, f)
		d.spool.took(len(d.rows) - before)
	}
	return b
}

func (d *htmlDoc) row(b []byte, f *Finding) []byte {
	word := f.Severity.String()
	b = append(append(b, `<tr class="`...), word...)
	b = append(b, `"><td data-label="severity" data-sort="`...)
	b = append(b, '2'-byte(f.Severity)) // errors first
	b = append(append(b, `"><span class="badge">`...), word...)
	b = d.idCell(append(b, `</span></td>`...), f.Kind)
	b = append(b, `<td data-label="finding" class="message">`...)
	b = appendMarkup(b, f.Message)
	b = append(d.facts(b, f), `</td>`...)
	b = appendCell(b, "place", f.Place.String())
	for _, c := range d.options.Columns {
		b = appendCell(b, c, f.value(c))
	}
	return append(b, "</tr>\n"...)
}

// idCell writes the id as a link to the text of the kind.
func (d *htmlDoc) idCell(b []byte, k *Kind) []byte {
	b = append(b, `<td data-label="id" class="id">`...)
	if k != nil {
		b = append(b, `<a href="#kind-`...)
		b = strconv.AppendInt(b, int64(d.kind(k)), 10)
		b = appendMarkup(append(b, `">`...), k.ID)
		b = append(b, `</a>`...)
	}
	return append(b, `</td>`...)
}

func (d *htmlDoc) kind(k *Kind) int {
	i, ok := d.kindByID[k.ID]
	if !ok {
		i = len(d.kinds)
		d.kindByID[k.ID] = i
		d.kinds = append(d.kinds, k)
	}
	return i
}

func appendCell(b []byte, label, value string) []byte {
	b = appendAttr(append(b, "<td"...), "data-label", label)
	if value == "" {
		b = append(b, ` class="none"`...)
	}
	return append(appendMarkup(append(b, '>'), value), "</td>"...)
}

// facts writes below the message what has no column: other fields and related places.
func (d *htmlDoc) facts(b []byte, f *Finding) []byte {
	d.extra = d.extra[:0]
	for _, field := range f.Fields {
		if field.Value != "" && !d.hasColumn(field.Key) {
			d.extra = append(d.extra, field)
		}
	}
	if len(d.extra)+len(f.Related) == 0 {
		return b
	}
	b = append(b, `<ul class="facts">`...)
	for _, field := range d.extra {
		b = appendFact(b, field.Key, field.Value)
	}
	for _, r := range f.Related {
		b = appendFact(b, r.Place.String(), r.Message)
	}
	return append(b, `</ul>`...)
}

func appendFact(b []byte, key, value string) []byte {
	b = append(b, `<li>`...)
	if key != "" {
		b = appendMarkup(append(b, `<span class="key">`...), key)
		b = append(b, `:</span> `...)
	}
	return append(appendMarkup(b, value), `</li>`...)
}

func (d *htmlDoc) hasColumn(key string) bool {
	return slices.Contains(d.options.Columns, key)
}

func (d *htmlDoc) end(b []byte, summary []Table) []byte {
	b = d.head(b)
	b = d.tiles(b)
	b = appendSummary(b, summary)
	b = d.findings(b)
	b = d.explained(b)
	b = append(append(b, "</main>\n<script>"...), script()...)
	return append(b, "</script>\n</body>\n</html>\n"...)
}

// The hashes are taken over what stands between the tags; a checkout that gave the files other line
// ends must not change it.
func style() string  { return strings.ReplaceAll(reportStyle, "\r", "") }
func script() string { return strings.ReplaceAll(reportScript, "\r", "") }

// contentPolicy is that of the page, Content Security Policy Level 3.
func contentPolicy() string {
	return "default-src 'none'; style-src " + hashOf(style()) + "; script-src " + hashOf(script()) +
		"; base-uri 'none'; form-action 'none'"
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (d *htmlDoc) head(b []byte) []byte {
	b = append(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"...)
	b = append(b, `<meta http-equiv="Content-Security-Policy" content="`...)
	b = append(append(b, contentPolicy()...), "\">\n"...)
	b = append(b, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"...)
	b = append(b, "<meta name=\"color-scheme\" content=\"light dark\">\n"...)
	b = append(b, "<meta name=\"referrer\" content=\"no-referrer\">\n<title>"...)
	b = appendMarkup(b, d.options.heading())
	b = append(append(append(b, "</title>\n<style>"...), style()...), "</style>\n</head>\n<body>\n"...)
	b = appendMarkup(append(b, "<header>\n<h1>"...), cmp.Or(d.options.Title, "findings"))
	b = append(b, "</h1>\n<p class=\"by\">"...)
	b = appendMarkup(b, strings.TrimSpace(d.options.Tool+" "+d.options.Version))
	b = appendTime(b, d.options.Time)
	return append(b, "</p>\n</header>\n<main>\n"...)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	t = t.UTC()
	b = t.AppendFormat(append(b, ` <time datetime="`...), time.RFC3339)
	b = t.AppendFormat(append(b, `">`...), "2006-01-02 15:04 UTC")
	return append(b, "</time>"...)
}

// tiles writes how many there are of each severity.
func (d *htmlDoc) tiles(b []byte) []byte {
	b = append(b, "<ul class=\"tiles\">\n"...)
	for _, s := range [...]Severity{Error, Warning, Note} {
		b = appendTile(b, s.String(), plural(s.String(), d.counts[s]), d.counts[s])
	}
	if d.passed > 0 {
		b = appendTile(b, "passed", "passed", d.passed)
	}
	return append(b, "</ul>\n"...)
}

func appendTile(b []byte, class, word string, n int) []byte {
	if n == 0 {
		class = "zero"
	}
	b = appendAttr(append(b, "<li"...), "class", class)
	b = strconv.AppendInt(append(b, "><b>"...), int64(n), 10)
	return append(append(append(b, "</b> "...), word...), "</li>\n"...)
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func appendSummary(b []byte, tables []Table) []byte {
	if len(tables) == 0 {
		return b
	}
	b = append(b, "<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<div class=\"tables\">\n"...)
	for i := range tables {
		b = appendSummaryTable(b, &tables[i])
	}
	return append(b, "</div>\n</section>\n"...)
}

func appendSummaryTable(b []byte, t *Table) []byte {
	_, numeric := measure(append([][]string{t.Columns}, t.Rows...))
	b = appendMarkup(append(b, "<table>\n<caption>"...), t.Title)
	b = append(b, "</caption>\n"...)
	if len(t.Columns) > 0 {
		b = append(appendHeads(append(b, "<thead><tr>"...), t.Columns, numeric), "</tr></thead>\n"...)
	}
	b = append(b, "<tbody>\n"...)
	for _, row := range t.Rows {
		b = append(appendSummaryRow(append(b, "<tr>"...), row, numeric), "</tr>\n"...)
	}
	return append(b, "</tbody>\n</table>\n"...)
}

func appendHeads(b []byte, names []string, numeric []bool) []byte {
	for i, name := range names {
		b = append(b, `<th scope="col"`...)
		if i < len(numeric) && numeric[i] {
			b = append(b, ` class="number"`...)
		}
		b = append(appendMarkup(append(b, '>'), name), "</th>"...)
	}
	return b
}

// appendSummaryRow writes a row; its first cell is its head.
func appendSummaryRow(b []byte, row []string, numeric []bool) []byte {
	for i, cell := range row {
		tag := "td"
		if i == 0 {
			tag = "th"
			b = append(b, `<th scope="row"`...)
		} else {
			b = append(b, "<td"...)
		}
		if numeric[i] {
			b = append(b, ` class="number"`...)
		}
		b = appendMarkup(append(b, '>'), cell)
		b = append(append(append(b, "</"...), tag...), '>')
	}
	return b
}

func (d *htmlDoc) findings(b []byte) []byte {
	b = append(b, "<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n"...)
	if d.spool.count == 0 {
		return append(b, "<p class=\"nothing\">Nothing was found.</p>\n</section>\n"...)
	}
	b = append(b, `<p class="tools" id="tools" hidden><label for="filter">Filter</label> `...)
	b = append(b, `<input type="search" id="filter" autocomplete="off" spellcheck="false"> `...)
	b = append(b, "<output id=\"shown\" for=\"filter\"></output></p>\n"...)
	if n := d.spool.hidden; n > 0 {
		b = append(append(append(b, `<p class="more">`...), moreFindings(n)...), ".</p>\n"...)
	}
	b = append(b, "<table id=\"list\" class=\"list\">\n<caption>Every finding, with its facts and its place</caption>\n<thead><tr>"...)
	b = appendHeads(appendHeads(b, []string{"severity", "id", "finding", "place"}, nil), d.options.Columns, nil)
	b = append(append(b, "</tr></thead>\n<tbody>\n"...), d.rows...)
	return append(b, "</tbody>\n</table>\n</section>\n"...)
}

// explained writes the texts of the kinds that came.
func (d *htmlDoc) explained(b []byte) []byte {
	if len(d.kinds) == 0 {
		return b
	}
	b = append(b, "<section aria-labelledby=\"kinds\">\n<h2 id=\"kinds\">What the ids mean</h2>\n"...)
	for i, k := range d.kinds {
		b = strconv.AppendInt(append(b, `<details id="kind-`...), int64(i), 10)
		b = appendMarkup(append(b, "\"><summary><b>"...), k.ID)
		b = appendMarkup(append(b, "</b> "...), cmp.Or(k.Summary, k.Name))
		b = append(b, "</summary>\n<div class=\"page\">"...)
		b = appendLines(b, strings.TrimSpace(cmp.Or(k.Page, k.Name)))
		b = append(b, "</div></details>\n"...)
	}
	return append(b, "</section>\n"...)
}
