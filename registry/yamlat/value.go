package yamlat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// place is where n is written, or the alias through which it is read.
func (d *D) place(n *Node) At {
	if d.via.IsSet() {
		return d.via
	}
	return At{int32(n.Line), int32(n.Column)}
}

// follow returns the node that n stands for, and n's place. It is false when the walk has ended.
func (d *D) follow(n *Node) (*Node, At, bool) {
	at := d.place(n)
	if d.visits--; d.visits < 0 && !d.stopped {
		d.Problemf(at, "aliases make the file too large when they are written out, use fewer")
		d.stopped = true
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, at, !d.stopped
}

// Badf adds a problem with the value of the key that is being read.
func (d *D) Badf(at At, format string, args ...any) { d.Codef(at, "", format, args...) }

// Codef is Badf for a problem that tools know by a code.
func (d *D) Codef(at At, code, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.key != "" {
		text = d.key + ": " + text
	}
	d.add(at, code, text)
}

func (d *D) wrong(at At, n *Node, want string) {
	d.Badf(at, "%s stands here, want %s", describe(n), want)
}

func describe(n *Node) string {
	switch {
	case n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str":
		return "the tag " + n.Tag
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!str":
		return strconv.Quote(n.Value)
	}
	return n.Value
}

// word is the text of any scalar, whatever YAML takes it for: 10.9 is a number to YAML.
func (d *D) word(n *Node, want string) (string, At, bool) {
	n, at, ok := d.follow(n)
	if !ok {
		return "", at, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str" {
		d.wrong(at, n, want)
		return "", at, false
	}
	return n.Value, at, true
}

// String reads text that is not empty. Numbers, true and false must be quoted.
func (d *D) String(n *Node) Item[string] {
	n, at, ok := d.follow(n)
	switch {
	case !ok:
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == "":
		d.Badf(at, "the text is empty, write some or leave the key out")
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		return Item[string]{at, true, n.Value}
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null" && n.Style&yaml.TaggedStyle == 0:
		d.Badf(at, "%s is not text to YAML, write it in quotes: %q", n.Value, n.Value)
	default:
		d.wrong(at, n, "text")
	}
	return Item[string]{At: at}
}

// Bool reads true or false.
func (d *D) Bool(n *Node) Item[bool] {
	n, at, ok := d.follow(n)
	if !ok {
		return Item[bool]{At: at}
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		d.wrong(at, n, "true or false")
		return Item[bool]{At: at}
	}
	return Item[bool]{at, true, strings.EqualFold(n.Value, "true")}
}

// Int reads a decimal whole number from lo to hi.
func (d *D) Int(n *Node, lo, hi int) Item[int] {
	w, at, ok := d.word(n, fmt.Sprintf("a whole number from %d to %d", lo, hi))
	if !ok {
		return Item[int]{At: at}
	}
	v, err := strconv.Atoi(w)
	if err != nil || v < lo || v > hi {
		d.Badf(at, "%s is not a whole number from %d to %d", quoted(w), lo, hi)
		return Item[int]{At: at}
	}
	return Item[int]{at, true, v}
}

// Uint64 reads a decimal whole number without a sign.
func (d *D) Uint64(n *Node) Item[uint64] {
	const want = "a whole number, 0 or more"
	w, at, ok := d.word(n, want)
	if !ok {
		return Item[uint64]{At: at}
	}
	v, err := strconv.ParseUint(w, 10, 64)
	if err != nil {
		d.Badf(at, "%s is not %s", quoted(w), want)
		return Item[uint64]{At: at}
	}
	return Item[uint64]{at, true, v}
}

// Time reads an instant as RFC 3339 writes it.
func (d *D) Time(n *Node) Item[time.Time] {
	const want = "a time such as 2026-01-02T15:04:05Z"
	w, at, ok := d.word(n, want)
	if !ok {
		return Item[time.Time]{At: at}
	}
	v, err := time.Parse(time.RFC3339, w)
	if err != nil {
		d.Badf(at, "%s is not %s", quoted(w), want)
		return Item[time.Time]{At: at}
	}
	return Item[time.Time]{at, true, v}
}

// Date reads a day, which ends at midnight UTC, or an instant as RFC 3339 writes it. The result is the
// first instant behind it.
func (d *D) Date(n *Node) Item[time.Time] {
	const want = "a day such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z"
	w, at, ok := d.word(n, want)
	if !ok {
		return Item[time.Time]{At: at}
	}
	if day, err := time.Parse(time.DateOnly, w); err == nil {
		return Item[time.Time]{at, true, day.AddDate(0, 0, 1)}
	}
	v, err := time.Parse(time.RFC3339, w)
	if err != nil {
		d.Badf(at, "%s is not %s", quoted(w), want)
		return Item[time.Time]{At: at}
	}
	return Item[time.Time]{at, true, v}
}

// Duration reads a time span such as 5s or 6d from lo to hi. It must be a multiple of step; a step of 0
// allows any.
func (d *D) Duration(n *Node, lo, hi, step time.Duration) Item[time.Duration] {
	bad := Item[time.Duration]{}
	w, at, ok := d.word(n, "a time span such as 5s")
	bad.At = at
	if !ok {
		return bad
	}
	v, err := ParseDuration(w)
	switch {
	case err != nil:
		d.Badf(at, "%s", badDuration(w))
	case v < lo || v > hi:
		d.Badf(at, "%s is out of range, want %s to %s", w, Span(lo), Span(hi))
	case step > 0 && v%step != 0:
		d.Badf(at, "%s is not a multiple of %s, write %s or %s", w, Span(step), Span(max(lo, v-v%step)), Span(min(hi, v-v%step+step)))
	default:
		return Item[time.Duration]{at, true, v}
	}
	return bad
}

func badDuration(w string) string {
	if _, err := strconv.ParseFloat(w, 64); err == nil {
		return fmt.Sprintf("%s has no unit, write %ss", w, w)
	}
	return fmt.Sprintf("%q is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d", w)
}

const day = 24 * time.Hour

// ParseDuration is [time.ParseDuration] with days before the other units: 6d, 1d12h. A day has 24 hours.
func ParseDuration(w string) (time.Duration, error) {
	days, rest, ok := strings.Cut(w, "d")
	if !ok {
		return time.ParseDuration(w)
	}
	const most = 1 << 16 // days, so that nothing overflows
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, err
	}
	if rest == "" {
		return time.Duration(n) * day, nil
	}
	v, err := time.ParseDuration(rest)
	if err == nil && (v < 0 || v > most*day/2 || !isDigit(rest[0])) {
		err = strconv.ErrRange
	}
	return time.Duration(n)*day + v, err
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Span writes a duration the short way: 1h, not 1h0m0s, and 6d from two days on.
func Span(v time.Duration) string {
	if v >= 2*day && v%day == 0 {
		return strconv.Itoa(int(v/day)) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Choice reads one of a few words and returns its index in choices.
func (d *D) Choice(n *Node, choices ...string) Item[int] {
	want := oneOf(choices)
	w, at, ok := d.word(n, want)
	if !ok {
		return Item[int]{At: at}
	}
	i := slices.Index(choices, w)
	if i < 0 {
		d.Badf(at, "%s is not a choice, want %s", quoted(w), want)
		return Item[int]{At: at}
	}
	return Item[int]{at, true, i}
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func quoted(w string) string {
	if w == "" || strings.ContainsAny(w, " ,\t\n\"'") {
		return strconv.Quote(w)
	}
	return w
}

// ListOf reads a list with one call of item for each element. A single value is no list.
func ListOf[T any](d *D, n *Node, item func(d *D, n *Node) Item[T]) List[T] {
	var l List[T]
	var ok bool
	l.At, ok = d.Each(n, func(n *Node) {
		l.Written++
		if v := item(d, n); v.OK {
			l.Items = append(l.Items, v)
		}
	})
	if !ok {
		l.Written++ // something is written, only not a list
	}
	return l
}

// Each calls f for every element of the list n. It returns n's place, and false when n is no list.
func (d *D) Each(n *Node, f func(n *Node)) (At, bool) {
	target, at, ok := d.follow(n)
	if !ok {
		return at, false
	}
	if target.Kind != yaml.SequenceNode || target.Tag != "!!seq" {
		want := "a list"
		if target.Kind == yaml.ScalarNode && target.Tag != "!!null" {
			want = "a list: [" + target.Value + "]"
		}
		d.wrong(at, target, want)
		return at, false
	}
	key, via := d.key, d.via
	defer func() { d.key, d.via = key, via }()
	if target != n {
		d.via = at
	}
	for _, e := range target.Content {
		if d.stopped {
			break
		}
		f(e)
		d.key = key
	}
	return at, true
}

// IsList and IsMapping tell the form of a value that may have several.
func IsList(n *Node) bool    { return kind(n) == yaml.SequenceNode }
func IsMapping(n *Node) bool { return kind(n) == yaml.MappingNode }

func kind(n *Node) yaml.Kind {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind
}

// Nearest is the word of known that was probably meant by word, or "".
func Nearest(word string, known []string) string {
	const most = 256 // a typing aid, not worth a search through thousands for each mistake
	best, limit := "", min(2, (len(word)-1)/2)
	for _, k := range known[:min(most, len(known))] {
		if abs(len(k)-len(word)) > limit {
			continue
		}
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n <= limit && (best == "" || n < limit) {
			best, limit = k, n
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// distance counts the letters that must be changed, added, taken out or swapped with their neighbour.
func distance(a, b string) int {
	var prev []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], prev[j-2]+1)
			}
		}
		prev, row = row, next
	}
	return row[len(b)]
}
