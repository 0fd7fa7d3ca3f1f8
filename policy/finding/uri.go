package finding

import "strings"

// appendURI writes a file's name as a URI reference, RFC 3986: a relative one with slashes, an
// absolute one as file: URI, RFC 8089. Paths of Windows are known by their backslashes, drive or host
// on every system: a report may be made from a list that came from another machine.
func appendURI(b []byte, file string) []byte {
	path := strings.ReplaceAll(file, `\`, "/")
	switch {
	case isDrive(path):
		b = append(append(b, "file:///"...), path[0], ':')
		path = path[2:]
	case isShare(path):
		b = append(b, "file:"...)
	case strings.HasPrefix(path, "/"):
		b = append(b, "file://"...)
	}
	return appendURIPath(b, path)
}

// isDrive says whether a name begins with C:/.
func isDrive(path string) bool {
	if len(path) < 3 || path[1:3] != ":/" {
		return false
	}
	letter := path[0] | 0x20
	return 'a' <= letter && letter <= 'z'
}

// isShare says whether a name begins with //HOST/. Only what can be a host may stand where a URI has
// one.
func isShare(path string) bool {
	rest, ok := strings.CutPrefix(path, "//")
	host, _, found := strings.Cut(rest, "/")
	return ok && found && host != "" && strings.Trim(host, hostBytes) == ""
}

const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

func appendURIPath(b []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		if c := path[i]; inPath(c) {
			b = append(b, c)
		} else {
			b = appendPercent(b, c)
		}
	}
	return b
}

// inPath says whether a byte stands for itself in a path: the unreserved ones and a few more, but not
// the colon, which would end a scheme in a relative reference.
func inPath(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~/@+=,!", c) >= 0
}
