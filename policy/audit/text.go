package audit

import (
	"bufio"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// The marks of RFC 3629, Section 6, and RFC 2781, Section 3.2. Registry exports and what PowerShell
// redirects are UTF-16.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// plainText gives the text of r as UTF-8 without a mark. Octets of other encodings come as they are.
func plainText(r *bufio.Reader) *bufio.Reader {
	head, _ := r.Peek(4)
	switch encoding := encodingOf(head); {
	case encoding.wide:
		_, _ = r.Discard(encoding.mark)
		return newBuffered(&wideReader{r: r, bigEndian: encoding.bigEndian})
	default:
		_, _ = r.Discard(encoding.mark)
		return r
	}
}

type encoding struct {
	mark            int // octets of the byte order mark
	wide, bigEndian bool
}

// encodingOf tells the encoding by its mark, and UTF-16 without a mark by the zeros of its first letters.
func encodingOf(head []byte) encoding {
	s := string(head)
	switch {
	case len(s) >= 3 && s[:3] == markUTF8:
		return encoding{mark: 3}
	case len(s) >= 2 && s[:2] == markUTF16LE:
		return encoding{mark: 2, wide: true}
	case len(s) >= 2 && s[:2] == markUTF16BE:
		return encoding{mark: 2, wide: true, bigEndian: true}
	case len(s) >= 4 && s[0] != 0 && s[1] == 0 && s[2] != 0 && s[3] == 0:
		return encoding{wide: true}
	case len(s) >= 4 && s[0] == 0 && s[1] != 0 && s[2] == 0 && s[3] != 0:
		return encoding{wide: true, bigEndian: true}
	}
	return encoding{}
}

// wideReader turns UTF-16 into UTF-8. A half unit at the end becomes a replacement character.
type wideReader struct {
	r         *bufio.Reader
	bigEndian bool
	rest      [utf8.UTFMax]byte // of a character that did not fit
	left      []byte
}

func (w *wideReader) Read(p []byte) (int, error) {
	n := copy(p, w.left)
	w.left = w.left[n:]
	for n < len(p) {
		if n > 0 && w.r.Buffered() == 0 {
			return n, nil
		}
		char, err := w.char()
		if err != nil {
			return n, err
		}
		encoded := utf8.AppendRune(w.rest[:0], char)
		k := copy(p[n:], encoded)
		w.left, n = encoded[k:], n+k
	}
	return n, nil
}

func (w *wideReader) char() (rune, error) {
	first, err := w.unit()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	pair, err := w.r.Peek(2)
	if err != nil {
		return utf8.RuneError, nil
	}
	char := utf16.DecodeRune(first, w.order(pair))
	if char != utf8.RuneError {
		_, err = w.r.Discard(2)
	}
	return char, err
}

func (w *wideReader) unit() (rune, error) {
	var b [2]byte
	n, err := io.ReadFull(w.r, b[:])
	if n == 1 && err == io.ErrUnexpectedEOF {
		return utf8.RuneError, nil
	}
	return w.order(b[:]), err
}

func (w *wideReader) order(b []byte) rune {
	if w.bigEndian {
		return rune(b[0])<<8 | rune(b[1])
	}
	return rune(b[1])<<8 | rune(b[0])
}
