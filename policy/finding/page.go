package finding

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ParsePage makes a kind of its page in Markdown: the first line is "# ID name", and the first paragraph
// below it is the summary.
func ParsePage(page string) (*Kind, error) {
	head, rest, _ := strings.Cut(page, "\n")
	id, name, ok := strings.Cut(strings.TrimPrefix(head, "# "), " ")
	if !ok || !strings.HasPrefix(head, "# ") {
		return nil, errors.New(`the first line is not "# ID name"`)
	}
	summary, _, _ := strings.Cut(strings.TrimSpace(rest), "\n\n")
	if summary == "" {
		return nil, errors.New("there is no summary behind the first line")
	}
	return &Kind{ID: id, Name: name, Summary: strings.Join(strings.Fields(summary), " "), Page: page}, nil
}

// MustKind makes the kind that pages/ID.md describes. It panics when there is no such page: pages are
// part of the program.
func MustKind(pages fs.FS, id string, severity Severity) *Kind {
	page, err := fs.ReadFile(pages, "pages/"+id+".md")
	if err != nil {
		panic(err)
	}
	k, err := ParsePage(string(page))
	if err != nil || k.ID != id {
		panic(fmt.Sprintf("pages/%s.md: the first line is not \"# %s name\": %v", id, id, err))
	}
	k.Severity = severity
	return k
}
