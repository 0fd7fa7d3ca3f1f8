package finding

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestHTMLPolicyAllowsOwnScriptAndStyleOnly(t *testing.T) {
	page := render(t, HTML, sampleOptions(), reports["mixed"])
	policy := contentPolicyOf(t, page)
	for _, tag := range []string{"style", "script"} {
		inside := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllSubmatch(page, -1)
		if len(inside) != 1 {
			t.Fatalf("%d elements %s", len(inside), tag)
		}
		sum := sha256.Sum256(inside[0][1])
		want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if !strings.Contains(policy, want+";") {
			t.Errorf("policy %s, want %s", policy, want)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
}

func contentPolicyOf(t *testing.T, page []byte) string {
	t.Helper()
	m := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindSubmatch(page)
	if m == nil {
		t.Fatal("no policy")
	}
	return string(m[1])
}

// structure is the elements of a page with the names of their attributes, and no text: what a hostile
// value must not change.
func structure(t testing.TB, page []byte) (elements []string) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return elements
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			for _, a := range token.Attr {
				token.Data += " " + a.Key
			}
			elements = append(elements, token.Data)
		}
	}
}

// checkHTML looks for what a page must never have.
func checkHTML(t testing.TB, page []byte) {
	t.Helper()
	scripts := 0
	for _, e := range structure(t, page) {
		name, attrs, _ := strings.Cut(e, " ")
		switch name {
		case "script", "style":
			scripts++
		case "img", "iframe", "object", "embed", "link", "base", "form", "b>", "svg":
			t.Errorf("element %s", e)
		}
		for attr := range strings.FieldsSeq(attrs) {
			if strings.HasPrefix(attr, "on") || attr == "style" || attr == "src" {
				t.Errorf("element %s", e)
			}
		}
	}
	if scripts != 2 {
		t.Errorf("%d scripts and styles", scripts)
	}
}

func TestHTMLIsSelfContained(t *testing.T) {
	for name, r := range reports {
		t.Run(name, func(t *testing.T) {
			page := render(t, HTML, sampleOptions(), r)
			checkHTML(t, page)
			if _, err := html.Parse(bytes.NewReader(page)); err != nil {
				t.Error(err)
			}
			if m := regexp.MustCompile(`(?i)(href|src)="(?:[^#]|http)|url\(|@import`).Find(page); m != nil {
				t.Errorf("something from elsewhere: %s", m)
			}
		})
	}
}

func TestHTMLTablesHaveCaptionsAndScopes(t *testing.T) {
	page := string(render(t, HTML, sampleOptions(), reports["mixed"]))
	if tables, captions := strings.Count(page, "<table"), strings.Count(page, "<caption"); tables != 3 || captions != 3 {
		t.Errorf("%d tables, %d captions", tables, captions)
	}
	if heads, scoped := strings.Count(page, "<th"), strings.Count(page, `<th scope="`)+strings.Count(page, "<thead"); heads != scoped {
		t.Errorf("%d heads, %d with a scope", heads, scoped)
	}
}

func TestHTMLIsBounded(t *testing.T) {
	r := report{findings: make([]*Finding, maxEntries+7)}
	for i := range r.findings {
		r.findings[i] = reports["mixed"].findings[0]
	}
	page := string(render(t, HTML, sampleOptions(), r))
	if n := strings.Count(page, "<tr class="); n != maxEntries {
		t.Errorf("%d rows", n)
	}
	for _, want := range []string{moreFindings(7), "<b>10007</b> errors"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}
