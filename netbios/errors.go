package netbios

import "errors"

// The classes of a malformed packet. Functions that read packets return one of these or wrap it.
var (
	ErrShort    = errors.New("packet ends too early")
	ErrResponse = errors.New("response bit set in a request")
	ErrHeader   = errors.New("opcode is not one of the name service")
	ErrCounts   = errors.New("section counts do not fit")
	ErrName     = errors.New("name is not a NetBIOS name")
	ErrScope    = errors.New("scope is too long")
	ErrRecord   = errors.New("record has the wrong type, class or name")
	ErrRData    = errors.New("record data has the wrong length")
)

// reasons gives each class its label; the order is that of the variables above.
var reasons = []struct {
	err   error
	label string
}{
	{ErrShort, "short"},
	{ErrResponse, "response"},
	{ErrHeader, "header"},
	{ErrCounts, "counts"},
	{ErrName, "name"},
	{ErrScope, "scope"},
	{ErrRecord, "record"},
	{ErrRData, "rdata"},
}

// Reason returns the short stable label of an error of this package's packet readers: "short",
// "response", "header", "counts", "name", "scope", "record" or "rdata". It returns "" for nil and
// "other" for an error that is not of this package.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return "other"
}

// Reasons returns every label that Reason can give for a malformed packet, for a server that wants its
// counters to exist before the first such packet comes.
func Reasons() []string {
	labels := make([]string, len(reasons))
	for i, r := range reasons {
		labels[i] = r.label
	}
	return labels
}
