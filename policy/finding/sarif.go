package finding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// sarifDoc is SARIF 2.1.0 with one run. Section numbers are those of the OASIS standard.
type sarifDoc struct {
	options Options
	rules   map[string]int // of an id, its index in the rules
	started bool
	passed  int
	hashed  []byte // scratch
}

func newSarifDoc(o Options) *sarifDoc { return &sarifDoc{options: o, rules: map[string]int{}} }

const sarifHead = `{
  "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
  "version": "2.1.0",
  "runs": [{
    "tool": {"driver": {`

var sarifLevels = [...]string{Note: "note", Warning: "warning", Error: "error"}

func (d *sarifDoc) begin(b []byte) []byte {
	b = appendMember(append(b, sarifHead...), "name", cmp.Or(d.options.Tool, "unknown"))
	if d.options.Version != "" {
		b = appendMember(append(b, ", "...), "version", d.options.Version)
	}
	b = d.appendRules(append(b, `, "rules": [`...))
	b = append(b, "]}},\n    "...)
	if d.options.Title != "" {
		// Section 3.17.3: the last component, left empty here, would tell apart the runs.
		b = appendMember(append(b, `"automationDetails": {`...), "id", d.options.Title+"/")
		b = append(b, "},\n    "...)
	}
	return append(b, "\"columnKind\": \"unicodeCodePoints\",\n    \"results\": ["...)
}

func (d *sarifDoc) appendRules(b []byte) []byte {
	for _, k := range d.options.Kinds {
		if _, twice := d.rules[k.ID]; twice || k.ID == "" {
			continue
		}
		if len(d.rules) > 0 {
			b = append(b, ',')
		}
		d.rules[k.ID] = len(d.rules)
		b = append(appendRule(append(b, "\n      {"...), k), '}')
	}
	return b
}

func appendRule(b []byte, k *Kind) []byte {
	summary := cmp.Or(k.Summary, k.Name, k.ID)
	b = appendMember(b, "id", k.ID)
	if k.Name != "" {
		b = appendMember(append(b, ", "...), "name", k.Name)
	}
	b = appendText(append(b, `, "shortDescription": `...), summary)
	b = appendText(append(b, `, "fullDescription": `...), cmp.Or(firstParagraph(k.Page), summary))
	if k.Page != "" {
		b = appendMember(append(b, `, "help": {`...), "text", k.Page)
		b = append(appendMember(append(b, ", "...), "markdown", k.Page), '}')
	}
	b = appendMember(append(b, `, "defaultConfiguration": {`...), "level", sarifLevels[k.Severity])
	return append(b, '}')
}

// firstParagraph is the first paragraph of a page that is not a heading, in one line.
func firstParagraph(page string) string {
	for p := range strings.SplitSeq(strings.ReplaceAll(page, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" && p[0] != '#' {
			return strings.Join(strings.Fields(p), " ")
		}
	}
	return ""
}

// appendText writes a message object, Section 3.11.
func appendText(b []byte, text string) []byte {
	return append(appendMember(append(b, '{'), "text", text), '}')
}

func (d *sarifDoc) finding(b []byte, f *Finding) []byte {
	if d.started {
		b = append(b, ',')
	}
	d.started = true
	b = d.appendRuleOf(append(b, "\n      {"...), f)
	b = appendMember(b, "level", sarifLevels[f.Severity])
	b = appendText(append(b, `, "message": `...), cmp.Or(f.Message, f.id(), f.Severity.String()))
	if f.Place != (Place{}) {
		b = appendLocation(append(b, `, "locations": [{`...), f.Place)
		b = append(b, "}]"...)
	}
	b = appendRelatedLocations(b, f.Related)
	b = d.appendFingerprint(b, f)
	b = appendProperties(b, f.Fields)
	return append(b, '}')
}

func (d *sarifDoc) appendRuleOf(b []byte, f *Finding) []byte {
	id := f.id()
	if id == "" {
		return b
	}
	b = append(appendMember(b, "ruleId", id), ", "...)
	if i, ok := d.rules[id]; ok {
		b = strconv.AppendInt(append(b, `"ruleIndex": `...), int64(i), 10)
		b = append(b, ", "...)
	}
	return b
}

func appendRelatedLocations(b []byte, related []Related) []byte {
	if len(related) == 0 {
		return b
	}
	b = append(b, `, "relatedLocations": [`...)
	for i := range related {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(b, `{"id": `...), int64(i+1), 10)
		if related[i].Place != (Place{}) {
			b = appendLocation(append(b, ", "...), related[i].Place)
		}
		b = appendText(append(b, `, "message": `...), related[i].Message)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendLocation writes the members of a location, Section 3.28, of which at least one is there.
func appendLocation(b []byte, p Place) []byte {
	if p.File != "" {
		b = append(b, `"physicalLocation": {"artifactLocation": {"uri": "`...)
		b = appendURI(b, p.File)
		b = appendSarifRegion(append(b, `"}`...), p)
		b = append(b, '}')
	}
	if p.Packet <= 0 && p.File != "" {
		return b
	}
	if p.File != "" {
		b = append(b, ", "...)
	}
	b = appendMember(append(b, `"logicalLocations": [{`...), "fullyQualifiedName", p.String())
	if p.Packet > 0 {
		b = appendMember(append(b, ", "...), "kind", "packet")
	}
	return append(b, "}]"...)
}

// appendSarifRegion writes a region, Section 3.30; its end column is the one behind the last, as ours.
func appendSarifRegion(b []byte, p Place) []byte {
	if p.Line <= 0 {
		return b
	}
	b = strconv.AppendInt(append(b, `, "region": {"startLine": `...), int64(p.Line), 10)
	if p.Col > 0 {
		b = strconv.AppendInt(append(b, `, "startColumn": `...), int64(p.Col), 10)
	}
	if p.Col > 0 && p.EndCol > p.Col {
		b = strconv.AppendInt(append(b, `, "endColumn": `...), int64(p.EndCol), 10)
	}
	return append(b, '}')
}

// appendFingerprint writes what tells a finding from others when lines have moved, Section 3.27.17.
func (d *sarifDoc) appendFingerprint(b []byte, f *Finding) []byte {
	h := appendHashed(d.hashed[:0], f.id(), f.Place.File)
	for i := range f.Fields {
		h = appendHashed(h, f.Fields[i].Key, f.Fields[i].Value)
	}
	if len(f.Fields) == 0 {
		h = appendHashed(h, f.Message)
	}
	d.hashed = h
	sum := sha256.Sum256(h)
	b = append(b, `, "partialFingerprints": {"nameward/v1": "`...)
	return append(hex.AppendEncode(b, sum[:16]), `"}`...)
}

// appendHashed writes strings so that no two lists give the same bytes.
func appendHashed(b []byte, values ...string) []byte {
	for _, s := range values {
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(append(b, ':'), s...)
	}
	return b
}

// appendProperties writes the fields as a property bag, Section 3.8. There "tags" must be a list.
func appendProperties(b []byte, fields []Field) []byte {
	if len(fields) == 0 {
		return b
	}
	b = append(b, `, "properties": {`...)
	for i := range fields {
		if i > 0 {
			b = append(b, ", "...)
		}
		if fields[i].Key == "tags" {
			b = appendJSONStrings(append(b, `"tags": `...), []string{fields[i].Value})
		} else {
			b = appendMember(b, fields[i].Key, fields[i].Value)
		}
	}
	return append(b, '}')
}

func (d *sarifDoc) pass(b []byte, _, _ string) []byte {
	d.passed++
	return b
}

func (d *sarifDoc) end(b []byte, summary []Table) []byte {
	if d.started {
		b = append(b, "\n    "...)
	}
	b = append(b, "],\n    \"properties\": {\"passed\": "...)
	b = strconv.AppendInt(b, int64(d.passed), 10)
	b = appendJSONTables(append(b, `, "summary": `...), summary)
	return append(b, "}\n  }]\n}\n"...)
}
