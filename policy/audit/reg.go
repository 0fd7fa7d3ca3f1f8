package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// regFile reads a registry export (.reg, version 4 or 5) or the output of reg query /s, and keeps the
// values that tell which names a computer registers where.
type regFile struct {
	x       *reading
	key     string
	narrow  bool // REGEDIT4: texts in binary values are octets, else UTF-16LE
	machine regMachine
}

// regValue is one value: a number, or texts.
type regValue struct {
	line   int
	set    bool
	number uint64
	texts  []string
}

const (
	maxKeys  = 4 << 10 // interfaces that are kept
	regIndex = "    "  // reg query indents values and parts their columns with it
)

func (x *reading) readReg() {
	f := &regFile{x: x}
	for x.next() {
		if !f.readLine() {
			break
		}
	}
	f.machine.emit(x)
}

// readLine is false if the file is cut off in the line.
func (f *regFile) readLine() bool {
	text := bytes.TrimRight(f.x.text, " \t")
	switch {
	case len(text) == 0 || text[0] == ';' || bytes.HasPrefix(text, []byte("Windows Registry Editor")):
	case bytes.Equal(text, []byte("REGEDIT4")):
		f.narrow = true
	case text[0] == '[':
		return f.readKey(text)
	case bytes.HasPrefix(text, []byte("HKEY_")):
		f.key = string(text)
	case text[0] == '"' || text[0] == '@':
		return f.readExported()
	case bytes.HasPrefix(text, []byte(regIndex)):
		f.readQueried(string(text[len(regIndex):]))
	case f.x.open:
		return f.cutOff()
	default:
		f.x.problem(1, `the line is neither a key in brackets nor "NAME"=VALUE: %q`, clip(text))
	}
	return true
}

// cutOff reports a file that ends inside of a line. What was read before it still counts.
func (f *regFile) cutOff() bool {
	line := f.x.line
	f.machine.emit(f.x)
	f.x.line = line
	f.x.fatal("the file is cut off in this line")
	return false
}

func (f *regFile) readKey(text []byte) bool {
	if text[len(text)-1] != ']' {
		if f.x.open {
			return f.cutOff()
		}
		f.x.problem(1, "the key %q is not closed by a bracket", clip(text))
		f.key = ""
		return true
	}
	f.key = string(text[1 : len(text)-1])
	if strings.HasPrefix(f.key, "-") { // the file deletes this key where it is imported
		f.key = ""
	}
	return true
}

// readExported reads "NAME"=DATA with the lines that continue it.
func (f *regFile) readExported() bool {
	line := f.x.line
	text, ok := f.join()
	if !ok {
		return f.cutOff()
	}
	name, data, err := splitExported(text)
	if err == nil && f.machine.wants(f.key, name) {
		value := regValue{line: line, set: true}
		if err = value.parse(data, f.narrow); err == nil {
			f.machine.set(f.key, name, value)
		}
	}
	if err != nil && f.x.open {
		return f.cutOff()
	}
	if err != nil {
		f.x.problemAt(line, "%w", err)
	}
	return true
}

// join gathers the lines of a binary value: all but the last end with a backslash.
func (f *regFile) join() (text []byte, complete bool) {
	text = bytes.TrimRight(bytes.Clone(f.x.text), " \t")
	for bytes.HasSuffix(text, []byte(`\`)) && bytes.Contains(text, []byte("=hex")) {
		if !f.x.next() {
			return text, false
		}
		text = append(text[:len(text)-1], bytes.TrimSpace(f.x.text)...)
		if len(text) > maxLine {
			return text[:maxLine], true
		}
	}
	return text, true
}

func splitExported(text []byte) (name string, data []byte, err error) {
	if text[0] == '@' {
		return "", bytes.TrimPrefix(text[1:], []byte("=")), nil
	}
	name, rest, ok := regString(text)
	if !ok || len(rest) < 2 || rest[0] != '=' {
		return "", nil, fmt.Errorf(`the line is not "NAME"=VALUE: %q`, clip(text))
	}
	return name, rest[1:], nil
}

// regString reads a text in quotation marks, in which a backslash stands before \ and ".
func regString(text []byte) (value string, rest []byte, ok bool) {
	var out []byte
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return string(out), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			out = append(out, text[i])
		default:
			out = append(out, c)
		}
	}
	return "", nil, false
}

// parse reads the data of an exported value.
func (v *regValue) parse(data []byte, narrow bool) error {
	kind, content, _ := bytes.Cut(data, []byte{':'})
	switch {
	case bytes.Equal(data, []byte("-")):
		*v = regValue{}
		return nil
	case len(data) > 0 && data[0] == '"':
		text, rest, ok := regString(data)
		if !ok || len(rest) > 0 {
			return errors.New("the text is not closed by a quotation mark")
		}
		v.texts = []string{text}
		return nil
	case bytes.Equal(kind, []byte("dword")):
		number, err := strconv.ParseUint(string(content), 16, 32)
		if v.number = number; err != nil {
			return fmt.Errorf("%q is not dword: and eight hexadecimal digits", clip(data))
		}
		return nil
	case bytes.HasPrefix(kind, []byte("hex")):
		octets, err := hex.DecodeString(strings.NewReplacer(",", "", " ", "").Replace(string(content)))
		if err != nil {
			return fmt.Errorf("%q is not hex: and octets with commas between them", clip(data))
		}
		v.texts = splitTexts(octets, narrow)
		return nil
	}
	return fmt.Errorf("%q is neither a text nor dword: or hex: with digits", clip(data))
}

// splitTexts reads REG_MULTI_SZ: texts that end with a zero each.
func splitTexts(octets []byte, narrow bool) []string {
	text := string(octets)
	if !narrow {
		units := make([]uint16, len(octets)/2)
		for i := range units {
			units[i] = uint16(octets[2*i]) | uint16(octets[2*i+1])<<8
		}
		text = string(utf16.Decode(units))
	}
	return strings.FieldsFunc(text, func(c rune) bool { return c == 0 })
}

// readQueried reads NAME    REG_TYPE    DATA of reg query; several texts have \0 between them.
func (f *regFile) readQueried(text string) {
	parts := strings.SplitN(text, regIndex, 3)
	if len(parts) < 2 || !strings.HasPrefix(parts[1], "REG_") {
		f.x.problem(1, "the line is not NAME    REG_TYPE    DATA: %q", clip(text))
		return
	}
	if !f.machine.wants(f.key, parts[0]) {
		return
	}
	value := regValue{line: f.x.line, set: true}
	if len(parts) == 3 && parts[1] == "REG_DWORD" {
		number, err := strconv.ParseUint(strings.TrimPrefix(parts[2], "0x"), 16, 32)
		if value.number = number; err != nil {
			f.x.problem(0, "%q is not a number like 0x2", clip(parts[2]))
			return
		}
	} else if len(parts) == 3 {
		value.texts = strings.Split(parts[2], `\0`)
	}
	f.machine.set(f.key, parts[0], value)
}
