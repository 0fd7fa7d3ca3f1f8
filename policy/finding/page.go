package finding

import (
	"errors"
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
