package finding

import "bytes"

// source finds lines in files. It keeps the last few files with a sparse index, so that a million
// findings in one file, or in files that alternate, cost a short walk each.
type source struct {
	read  func(file string) []byte
	files [4]*content
	next  int // the file that is given up for another one
}

// content is a file with the offsets of its lines 1, 1+lineStep, 1+2*lineStep...
type content struct {
	name  string
	text  []byte
	index []int
}

const lineStep = 128

// line is a line, from 1, without its end; false: there is none.
func (s *source) line(file string, n int) (string, bool) {
	if s.read == nil || file == "" {
		return "", false
	}
	return s.file(file).line(n)
}

func (s *source) file(name string) *content {
	for _, c := range s.files {
		if c != nil && c.name == name {
			return c
		}
	}
	text := s.read(name)
	c := &content{name: name, text: text, index: lineIndex(text)}
	s.files[s.next] = c
	s.next = (s.next + 1) % len(s.files)
	return c
}

func lineIndex(text []byte) []int {
	var index []int
	for at, n := 0, 0; at < len(text); n++ {
		if n%lineStep == 0 {
			index = append(index, at)
		}
		at += lineLength(text[at:])
	}
	return index
}

// lineLength counts the line's end too.
func lineLength(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

func (c *content) line(n int) (string, bool) {
	step := (n - 1) / lineStep
	if step >= len(c.index) {
		return "", false
	}
	rest := c.text[c.index[step]:]
	for range (n - 1) % lineStep {
		rest = rest[lineLength(rest):]
	}
	if len(rest) == 0 {
		return "", false
	}
	line := bytes.TrimRight(rest[:lineLength(rest)], "\r\n")
	return string(line[:min(len(line), maxLine)]), true
}
