package hcl

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// source is the text of one file and the name its ranges have.
type source struct {
	name string
	text []byte
}

// text is one file while it is parsed. Its ranges refer to src, the bytes as they
// were read.
type text struct {
	name string
	src  []byte
	// clean is the text that is parsed. It has the length of src; bytes that
	// are not allowed in a text are replaced.
	clean []byte
	// repaired are the places of reported mistakes, which were overwritten for the
	// parser. Nothing more is reported about what overlaps one.
	repaired []Range

	// scanned is how many bytes were searched for statements of other tools.
	scanned int

	// marks are the positions of line starts, and on long lines of every markEvery
	// bytes, in order. pos fills them in.
	marks []Pos
}

// markEvery bounds how much of a line is read to find a column. A line can be as
// long as the file, and many places can be on it.
const markEvery = 64

var byteOrderMark = []byte("\uFEFF")

// newText prepares src for the parser. Bytes that are not text are reported once
// per file and replaced, so that the rest is checked too.
func newText(src source) (*text, Diagnostics) {
	t := &text{name: src.name, src: src.text, clean: src.text}
	if hasUTF16Mark(src.text) {
		t.clean = nil
		return t, Diagnostics{t.errorAt(0, 2, "the file is UTF-16", utf16Advice(src.name))}
	}
	var diags Diagnostics
	if at := invalidUTF8(src.text); at >= 0 {
		diags = append(diags, t.errorAt(at, at+1, fmt.Sprintf("byte 0x%02x is not UTF-8", src.text[at]), "save the file as UTF-8"))
		t.clean = bytes.Clone(t.clean)
		for rest := t.clean; at >= 0; at = invalidUTF8(rest) {
			rest[at] = '?'
			rest = rest[at+1:]
		}
	}
	if at := bytes.IndexByte(src.text, 0); at >= 0 {
		diags = append(diags, t.errorAt(at, at+1, "a text can't contain a NUL byte", "remove it; is this the right file?"))
		t.clean = bytes.ReplaceAll(t.clean, []byte{0}, []byte{' '})
	}
	return t, diags
}

// invalidUTF8 returns the place of the first byte that is not UTF-8, or -1.
func invalidUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

func hasUTF16Mark(src []byte) bool {
	return bytes.HasPrefix(src, []byte{0xFF, 0xFE}) || bytes.HasPrefix(src, []byte{0xFE, 0xFF})
}

// utf16Advice says how to save the file of that name. Redirections of Windows
// PowerShell write UTF-16.
func utf16Advice(name string) string {
	return "save it as UTF-8; in PowerShell: (Get-Content " + name + ") | Set-Content " + name + " -Encoding utf8"
}

func (t *text) errorAt(start, end int, summary, detail string) Diagnostic {
	return Diagnostic{Severity: Error, Summary: summary, Detail: detail, Range: t.span(start, end)}
}

// rangeOf converts a range of the parser.
func (t *text) rangeOf(r hcl.Range) Range {
	if len(t.repaired) > 0 || r.End.Byte < r.Start.Byte {
		// Repairs keep bytes and lines but not user characters, and a brace that
		// was added for the parser is beyond the end. The parser also has ranges
		// in broken text that end before they begin.
		return t.span(r.Start.Byte, r.End.Byte)
	}
	return Range{File: r.Filename, Start: Pos(r.Start), End: Pos(r.End)}
}

// span returns the range of src[start:end], cut to the length of src.
func (t *text) span(start, end int) Range {
	start = min(max(start, 0), len(t.src))
	end = min(max(end, start), len(t.src))
	return Range{File: t.name, Start: t.pos(start), End: t.pos(end)}
}

// written returns the text of r as it is in the file.
func (t *text) written(r hcl.Range) string {
	at := t.span(r.Start.Byte, r.End.Byte)
	return string(t.src[at.Start.Byte:at.End.Byte])
}

func (t *text) pos(at int) Pos {
	if t.marks == nil {
		t.mark()
	}
	next := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].Byte > at })
	return t.count(t.marks[next-1], at)
}

// mark fills in marks.
func (t *text) mark() {
	last := Pos{Line: 1, Column: 1}
	t.marks = []Pos{last}
	for i, b := range t.src {
		switch {
		case b == '\n':
			last = Pos{Line: last.Line + 1, Column: 1, Byte: i + 1}
		case i-last.Byte >= markEvery && utf8.RuneStart(b):
			last = t.count(last, i)
		default:
			continue
		}
		t.marks = append(t.marks, last)
	}
}

// count returns the position of at, which follows from on the same line.
func (t *text) count(from Pos, at int) Pos {
	between := bytes.TrimPrefix(t.src[from.Byte:at], byteOrderMark)
	return Pos{Line: from.Line, Column: from.Column + characters(between), Byte: at}
}

// characters returns the number of user characters (grapheme clusters) in text,
// which has one line. HCL's scanner counts them, so that all columns agree.
func characters(text []byte) int {
	scanner := hcl.NewRangeScanner(text, "", func(data []byte, _ bool) (int, []byte, error) {
		return len(data), data, nil
	})
	if !scanner.Scan() {
		return 0
	}
	return scanner.Range().End.Column - 1
}

// isRepaired reports whether a mistake inside r has been reported already.
func (t *text) isRepaired(r hcl.Range) bool {
	return slices.ContainsFunc(t.repaired, func(at Range) bool { return at.Start.Byte < r.End.Byte && r.Start.Byte < at.End.Byte })
}

// blankInvisible reports invisible characters outside of strings and comments and
// replaces them by spaces. They come with text copied from web pages and
// documents. Names with letters beyond ASCII keep theirs: some scripts need them.
func (t *text) blankInvisible(tokens hclsyntax.Tokens) Diagnostics {
	var diags Diagnostics
	for _, token := range tokens {
		if token.Type != hclsyntax.TokenInvalid && (token.Type != hclsyntax.TokenIdent || !isDisguised(token.Bytes)) {
			continue
		}
		for i := 0; i < len(token.Bytes) && len(diags) < maxReported; {
			c, size := utf8.DecodeRune(token.Bytes[i:])
			if name, advice := invisible(c); name != "" {
				if diags == nil {
					t.clean = bytes.Clone(t.clean)
				}
				start := token.Range.Start.Byte + i
				diags = append(diags, t.errorAt(start, start+size, fmt.Sprintf("invisible character U+%04X, %s", c, name), advice))
				copy(t.clean[start:start+size], "    ")
			}
			i += size
		}
	}
	return diags
}

// isDisguised reports whether a name is ASCII except for invisible characters.
func isDisguised(name []byte) bool {
	return !bytes.ContainsFunc(name, func(c rune) bool {
		hidden, _ := invisible(c)
		return c >= utf8.RuneSelf && hidden == ""
	})
}

// invisible returns the name of an invisible character and what to do about it.
// The name of any other character is empty.
func invisible(c rune) (name, advice string) {
	if c < utf8.RuneSelf || c == utf8.RuneError {
		return "", ""
	}
	name = map[rune]string{'\u200B': "a zero-width space", '\uFEFF': "a byte order mark", '\u00AD': "a soft hyphen"}[c]
	switch {
	case c == '\u00A0':
		return "a no-break space", "write a space"
	case unicode.Is(unicode.Zs, c):
		return "a space of another width", "write a space"
	case c == '\u2028' || c == '\u2029':
		return "a line separator", "replace it by a new line"
	case unicode.Is(unicode.Bidi_Control, c):
		return "which changes the direction of text", "remove it"
	// Cf has most other characters without width; fillers and selectors are
	// letters and marks.
	case unicode.In(c, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return cmp.Or(name, "which has no width"), "remove it"
	}
	return "", ""
}

// The parser and the evaluator recurse for each level of nesting and each
// operator, and Go cannot recover from a full stack. Therefore both are limited
// before the text is parsed. Real files need a tenth of this.
const (
	maxNesting   = 40
	maxOperators = 100 // in a row, with no comma between them
	maxDigits    = 40  // characters of a number
	maxExponent  = 3   // characters of its exponent: 1e999 as text has 1000
)

// level is one bracket, quote or template that is open.
type level struct {
	// lines says that the end of a line separates things, as a comma does.
	lines     bool
	operators int
}

// tooDeep returns the first place, if any, that exceeds these limits.
func tooDeep(tokens hclsyntax.Tokens) (at hcl.Range, summary string, found bool) {
	open := []level{{lines: true}}
	for _, token := range tokens {
		top := &open[len(open)-1]
		switch token.Type {
		case hclsyntax.TokenOBrace:
			open = append(open, level{lines: true})
		case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp:
			open = append(open, level{})
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateControl:
			// An index or a directive nests in the one before it, like the operands
			// of operators: a[x][y].
			top.operators++
			open = append(open, level{})
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			if len(open) > 1 {
				open = open[:len(open)-1]
			}
		case hclsyntax.TokenComma:
			top.operators = 0
		case hclsyntax.TokenNewline:
			if top.lines {
				top.operators = 0
			}
		case hclsyntax.TokenNumberLit:
			if tooLong(token.Bytes) {
				return token.Range, "this number is too long", true
			}
		case hclsyntax.TokenIdent, hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenComment:
		default:
			top.operators++
		}
		if len(open) > maxNesting {
			return token.Range, fmt.Sprintf("more than %d nested levels", maxNesting), true
		}
		if open[len(open)-1].operators > maxOperators {
			return token.Range, fmt.Sprintf("more than %d operators in a row", maxOperators), true
		}
	}
	return hcl.Range{}, "", false
}

func tooLong(number []byte) bool {
	i := bytes.IndexAny(number, "eE")
	return len(number) > maxDigits || i >= 0 && len(bytes.TrimLeft(number[i+1:], "+-0")) > maxExponent
}
