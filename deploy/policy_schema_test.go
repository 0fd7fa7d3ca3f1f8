package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/nameward/nameward/deploy"
	"github.com/nameward/nameward/policy"
)

// compiled is a schema ready to validate.
func compiled(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	id := doc.(map[string]any)["$id"].(string)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(id, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is the YAML text as editors see it: a day is text, as YAML 1.2 has it.
func plain(t *testing.T, data []byte) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var days func(n *yaml.Node)
	days = func(n *yaml.Node) {
		if n.Tag == "!!timestamp" {
			n.Tag = "!!str"
		}
		for _, c := range n.Content {
			days(c)
		}
	}
	days(&doc)
	var v any
	if err := doc.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// parse reads a policy or a file of tests, and drops what it read.
func parse(file string, data []byte) error {
	if policy.IsTestFile(file) {
		_, _, err := policy.ParseTests(file, data)
		return err
	}
	_, err := policy.Parse(file, data)
	return err
}

// schemaOf is the schema that goes with a file, by its name.
func schemaOf(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	if policy.IsTestFile(file) {
		return compiled(t, deploy.PolicyTestSchema)
	}
	return compiled(t, deploy.PolicySchema)
}

// TestPolicySamplesFitSchema: samples, references and the cases of the engine, and each says to editors
// which schema it has.
func TestPolicySamplesFitSchema(t *testing.T) {
	isPolicy := func(file string) bool {
		return strings.HasSuffix(file, ".yaml") && filepath.Base(file) != "nameward.yaml"
	}
	for _, file := range policyFiles(t, 11, isPolicy) {
		data := readPolicy(t, file)
		if err := schemaOf(t, file).Validate(plain(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		checkSchemaComment(t, file, data)
	}
	cases, err := filepath.Glob("../policy/testdata/cases/*.yaml")
	if err != nil || len(cases) < 2 {
		t.Fatal(cases, err)
	}
	for _, file := range cases {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schemaOf(t, file).Validate(plain(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func checkSchemaComment(t *testing.T, file string, data []byte) {
	t.Helper()
	want := "policy/policy.schema.json"
	if policy.IsTestFile(file) {
		want = "policy/policy_test.schema.json"
	}
	_, rest, _ := strings.Cut(string(data), "\n# yaml-language-server: $schema=")
	path, _, _ := strings.Cut(rest, "\n")
	if got := filepath.ToSlash(filepath.Join(filepath.Dir(file), path)); got != want {
		t.Errorf("%s names the schema %q, want %s", file, got, want)
	}
}

// TestPolicySchemaRejects has one mistake in each row; the parser refuses them all too.
func TestPolicySchemaRejects(t *testing.T) {
	rule := func(more string) string { return "rules: [{id: r, action: strip, " + more + "}]\n" }
	request := func(more string) string {
		return "tests: [{name: n, request: {channel: wins, name: MAIL, " + more + "}, want: {verdict: refuse}}]\n"
	}
	want := func(more string) string {
		return "tests: [{name: n, request: {channel: wins, name: MAIL}, want: {verdict: refuse, " + more + "}}]\n"
	}
	test := func(more string) string {
		return "tests: [{name: n, request: {channel: wins, name: MAIL}, want: {verdict: refuse}, " + more + "}]\n"
	}
	s := compiled(t, deploy.PolicySchema)
	rejects := func(t *testing.T, s *jsonschema.Schema, file, text string) {
		t.Helper()
		if err := s.Validate(plain(t, []byte(text))); err == nil {
			t.Error("the schema takes it")
		}
		if err := parse(file, []byte(text)); err == nil {
			t.Error("the parser takes it")
		}
	}
	for _, good := range []string{
		"version: 1\n", "rules: []\n", "tests: []\n", "classes: {}\ncontrollers: []\n",
		rule("alert: true"), request("from: 192.0.2.1"), want("rule: r"), test("given: {}"),
	} {
		if err := s.Validate(plain(t, []byte(good))); err != nil {
			t.Errorf("%s%v", good, err)
		}
		if err := parse("good.yaml", []byte(good)); err != nil {
			t.Errorf("%s%v", good, err)
		}
	}
	for name, text := range map[string]string{
		"a list":             "[]\n",
		"version":            "version: 2\n",
		"version form":       "version: [1]\n",
		"unknown key":        "version: 1\nrule: []\n",
		"config empty":       "config: ''\n",
		"config form":        "config: [nameward.yaml]\n",
		"classes form":       "classes: [lab]\n",
		"class name":         "classes: {9lives: [10.0.0.0/8]}\n",
		"class form":         "classes: {lab: 10.0.0.0/8}\n",
		"class prefix":       "classes: {lab: [10.0.0.0]}\n",
		"controllers":        "controllers: [dc1]\n",
		"default":            "default: drop\n",
		"default of a rule":  "default: strip\n",
		"rules form":         "rules: {id: r, action: strip}\n",
		"rules empty":        "rules:\n",
		"rule form":          "rules: [r]\n",
		"rule key":           rule("name: [MAIL]"),
		"no id":              "rules: [{action: strip}]\n",
		"no action":          "rules: [{id: r}]\n",
		"id":                 "rules: [{id: 1st, action: strip}]\n",
		"id with a space":    "rules: [{id: a b, action: strip}]\n",
		"id number":          "rules: [{id: 1, action: strip}]\n",
		"id default":         "rules: [{id: default, action: strip}]\n",
		"id builtin":         "rules: [{id: builtin-spn, action: strip}]\n",
		"action":             "rules: [{id: r, action: drop}]\n",
		"names form":         rule("names: MAIL"),
		"names empty":        rule("names: []"),
		"names selector":     rule(`names: ["@guard"]`),
		"names role":         rule(`names: ["@role:"]`),
		"netbios length":     rule("names: [EXCHANGESERVER01A]"),
		"netbios suffix":     rule(`names: ["MAIL<2>"]`),
		"dns label":          rule("names: [a..b]"),
		"dns suffix":         rule(`names: [".db*.example."]`),
		"dns char":           rule(`names: ["a b.example."]`),
		"channels":           rule("channels: [wins, smoke]"),
		"channels form":      rule("channels: wins"),
		"channels empty":     rule("channels: []"),
		"from":               rule(`from: ["@controller"]`),
		"from address":       rule("from: [192.0.2.1]"),
		"principals":         rule(`principals: ["@signed"]`),
		"principals number":  rule("principals: [5]"),
		"types":              rule("types: [AAA]"),
		"types number":       rule("types: [28]"),
		"classes selector":   rule(`classes: ["@anything"]`),
		"state":              rule("state: [owner]"),
		"state form":         rule("state: holder"),
		"shadow":             rule("shadow: 'true'"),
		"alert":              rule("alert: 1"),
		"expires":            rule("expires: soon"),
		"expires German":     rule("expires: 31.12.2030"),
		"expires no day":     rule("expires: 2030-02-30"),
		"expires no zone":    rule("expires: '2030-12-31T18:00:00'"),
		"owner":              rule("owner: 7"),
		"reason empty":       rule("reason: ''"),
		"tests form":         "tests: {}\n",
		"test key":           test("wants: {}"),
		"test given":         test("given: [ex1]"),
		"test given node":    test("given: {mailbox: {ex1: true}}"),
		"test given number":  test("given: {mailbox: [1]}"),
		"no request":         "tests: [{name: n, want: {verdict: refuse}}]\n",
		"no want":            "tests: [{name: n, request: {channel: wins, name: MAIL}}]\n",
		"no test name":       "tests: [{request: {channel: wins, name: MAIL}, want: {verdict: refuse}}]\n",
		"no channel":         "tests: [{name: n, request: {name: MAIL}, want: {verdict: refuse}}]\n",
		"no name":            "tests: [{name: n, request: {channel: wins}, want: {verdict: refuse}}]\n",
		"no verdict":         "tests: [{name: n, request: {channel: wins, name: MAIL}, want: {}}]\n",
		"request key":        request("address: [192.0.2.1]"),
		"request name":       "tests: [{name: n, request: {channel: wins, name: EXCHANGESERVER01A}, want: {verdict: refuse}}]\n",
		"request label":      "tests: [{name: n, request: {channel: answer, name: a..b, type: A}, want: {verdict: refuse}}]\n",
		"request channel":    "tests: [{name: n, request: {channel: dns, name: MAIL}, want: {verdict: refuse}}]\n",
		"request type":       request("type: [NB]"),
		"request addresses":  request("addresses: 192.0.2.1"),
		"request address":    request("addresses: [192.0.2.300]"),
		"request from":       request("from: 192.0.2.0/24"),
		"request principal":  request("principal: ['k.']"),
		"request time":       request("time: 12:00"),
		"want key":           want("by: r"),
		"want rule":          want("rule: [r]"),
		"want shadow":        want("shadow: false"),
		"want published":     want("published: nothing"),
		"want published two": want("published: [192.0.2.1, x]"),
	} {
		t.Run(name, func(t *testing.T) { rejects(t, s, "bad.yaml", text) })
	}
	tests := compiled(t, deploy.PolicyTestSchema)
	const good = "version: 1\npolicy: mail.yaml\ngiven: {mailbox: ex1, pool: [ex1, ex2], none: []}\ntests: []\n"
	if err := tests.Validate(plain(t, []byte(good))); err != nil {
		t.Error(err)
	}
	if err := parse("good_test.yaml", []byte(good)); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"no tests":    "version: 1\n",
		"version":     "version: 2\ntests: []\n",
		"rules":       "rules: []\ntests: []\n",
		"tests form":  "tests: {}\n",
		"test form":   "tests: [x]\n",
		"policy":      "policy: []\ntests: []\n",
		"given":       "given: ex1\ntests: []\n",
		"given node":  "given: {mailbox: true}\ntests: []\n",
		"test key":    test("policy: x.yaml"),
		"request key": request("names: [MAIL]"),
	} {
		t.Run("file of tests/"+name, func(t *testing.T) { rejects(t, tests, "bad_test.yaml", text) })
	}
}

// TestPolicySchemaNames: the schema tells names as the parser does, so that editors mark nothing that is
// right.
func TestPolicySchemaNames(t *testing.T) {
	s := compiled(t, deploy.PolicySchema)
	for _, name := range []string{
		"*", ".", "@guarded", "@reserved", "@role:mailbox", "@role", "@Guarded", "mail.corp.example", "mail.corp.example.",
		"MAIL.", ".corp.example.", "*.corp.example.", "db?.corp.example", ".db?.corp.example.", "*1uwhrcaaa*.", "_ldap._tcp.example.",
		"a..b.", "a/b.example.", "a@b.example.", strings.Repeat("a", 63) + ".example.", strings.Repeat("a", 64) + ".example.",
		"MAIL", "mail", "MAIL<20>", "MAIL<*>", "MAIL<2>", "MAIL<2g>", "MAIL<20>.scope", "MAIL<20>.", "MAIL<20>x", "MAIL<*>.scope", "<20>",
		"*<1b>", "*1UWHRCAAA*", "EX*", "EX??<20>", "*A*B*", "FIFTEENLETTERS1", "FIFTEENLETTERS12", "FIFTEENLETTERS1*", "FIFTEENLETTERS12*",
		"MY PC", `A\\B`, `A\x41`, `A\x4`, "**", "1", "A<B",
	} {
		text, err := json.Marshal(map[string]any{"rules": []any{map[string]any{"id": "r", "action": "strip", "names": []string{name}}}})
		if err != nil {
			t.Fatal(err)
		}
		bySchema := s.Validate(plain(t, text))
		_, byParser := policy.ParsePattern(name)
		if (bySchema == nil) != (byParser == nil) {
			t.Errorf("%q: schema: %v; parser: %v", name, bySchema, byParser)
		}
	}
}

// schemaKeys lists the keys of a schema as [policy.Keys] does.
func schemaKeys(t *testing.T, schema []byte) []string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(schema, &doc); err != nil {
		t.Fatal(err)
	}
	defs := doc["$defs"].(map[string]any)
	var keys []string
	var walk func(path string, s map[string]any)
	walk = func(path string, s map[string]any) {
		if ref, ok := s["$ref"].(string); ok {
			walk(path, defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any))
		}
		if items, ok := s["items"].(map[string]any); ok {
			walk(path+"[]", items)
		}
		child := func(key string, sub any) {
			p := strings.TrimPrefix(path+"."+key, ".")
			keys = append(keys, p)
			if s, _ := sub.(map[string]any); s["description"] == nil && s["$ref"] == nil {
				t.Errorf("%s has no description", p)
			}
			walk(p, sub.(map[string]any))
		}
		props, _ := s["properties"].(map[string]any)
		for key, sub := range props {
			child(key, sub)
		}
		if more, ok := s["additionalProperties"].(map[string]any); ok {
			child("*", more)
		} else if props != nil && s["additionalProperties"] != false {
			t.Errorf("%s: additionalProperties is not false", path)
		}
	}
	walk("", doc)
	slices.Sort(keys)
	return keys
}

// TestPolicySchemaKeys holds the keys of the schemas and those of the parsers together.
func TestPolicySchemaKeys(t *testing.T) {
	if diff := cmp.Diff(policy.Keys(), schemaKeys(t, deploy.PolicySchema)); diff != "" {
		t.Errorf("policy: parser - schema +:\n%s", diff)
	}
	if diff := cmp.Diff(policy.TestKeys(), schemaKeys(t, deploy.PolicyTestSchema)); diff != "" {
		t.Errorf("tests: parser - schema +:\n%s", diff)
	}
}

// TestPolicySchemasAgree: what stands in both schemas is the same.
func TestPolicySchemasAgree(t *testing.T) {
	var all, tests struct {
		Defs map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(deploy.PolicySchema, &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(deploy.PolicyTestSchema, &tests); err != nil {
		t.Fatal(err)
	}
	for name, def := range tests.Defs {
		if diff := cmp.Diff(all.Defs[name], def); diff != "" {
			t.Errorf("%s: policy - tests +:\n%s", name, diff)
		}
	}
}

// TestPolicySchemaWords: the choices of the schema are those of the parser, all of them.
func TestPolicySchemaWords(t *testing.T) {
	var doc struct {
		Defs map[string]struct {
			Enum  []string
			AnyOf []struct{ Enum []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(deploy.PolicySchema, &doc); err != nil {
		t.Fatal(err)
	}
	types := []string{"NB"}
	for word := range dns.StringToType {
		if _, err := policy.ParseType(word); err == nil {
			types = append(types, word)
		}
	}
	slices.Sort(types)
	inSchema := slices.Sorted(slices.Values(doc.Defs["type"].AnyOf[0].Enum))
	for _, row := range []struct {
		name      string
		want, got []string
	}{
		{"action", texts(policy.Actions), doc.Defs["action"].Enum},
		{"channel", texts(policy.Channels), doc.Defs["channel"].Enum},
		{"state", texts(policy.States), doc.Defs["state"].Enum},
		{"classRef", []string{policy.ClassFiltered, policy.ClassUnclassified, policy.ClassHolder, policy.ClassMember}, doc.Defs["classRef"].AnyOf[0].Enum},
		{"type", types, inSchema},
	} {
		if diff := cmp.Diff(row.want, row.got); diff != "" {
			t.Errorf("%s: parser - schema +:\n%s", row.name, diff)
		}
	}
}

func texts[T interface{ String() string }](list []T) (out []string) {
	for _, v := range list {
		out = append(out, v.String())
	}
	return out
}

// TestPolicyTestReference finds keys of a file of tests that its reference does not show. Those of one
// test are shown by the reference of policies.
func TestPolicyTestReference(t *testing.T) {
	shown, _ := plain(t, readPolicy(t, "policy/policy.reference_test.yaml")).(map[string]any)
	for _, key := range policy.TestKeys() {
		if _, ok := shown[strings.TrimSuffix(key, ".*")]; !ok && !strings.HasPrefix(key, "tests[]") {
			t.Errorf("the reference of tests does not show %s", key)
		}
	}
}
