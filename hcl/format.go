package hcl

import (
	"bytes"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format returns src in the one form of all Proxyfiles: two spaces per level, the
// equal signs of neighboring lines in one column, one space before a comment that
// follows something, at most one blank line in a row, "\n" at every line end.
// Only white space changes, and none inside strings and heredocs. Formatting
// twice is the same as formatting once.
//
// A src with syntax errors is returned unchanged, with the errors.
func Format(src []byte, filename string) ([]byte, Diagnostics) {
	// A list of keys and values can be formatted, whatever it means.
	if _, _, diags := (source{filename, src}).read(newFolder("", nil), true); diags.HasErrors() {
		diags.Sort()
		return src, diags
	}
	spaced := hclwrite.Format(src)
	if !sameTokens(src, spaced) {
		// hclwrite removes the space in "a.0 .1", which makes it another number.
		// Such files keep their spaces.
		spaced = src
	}
	return tidy(spaced), nil
}

// tidy undoes the comment columns of hclwrite, and tidies what hclwrite leaves
// alone: line ends and blank lines.
func tidy(src []byte) []byte {
	var out bytes.Buffer
	end := 0      // of the previous token
	blank := true // the line so far; a file does not begin with a blank line
	blanks := 1
	for _, token := range lex(src) {
		gap, text := src[end:token.Range.Start.Byte], src[token.Range.Start.Byte:token.Range.End.Byte]
		end = token.Range.End.Byte
		switch token.Type {
		case hclsyntax.TokenNewline:
			if blank {
				blanks++
			}
			if blanks < 2 {
				out.WriteByte('\n')
			}
			blank = true
			continue
		case hclsyntax.TokenComment:
			text = trimLines(text)
			if !bytes.HasPrefix(text, []byte("/*")) {
				// The token of a line comment includes the line end, except at the end of
				// a file.
				text = endLine(text)
			}
			if !blank {
				gap = []byte(" ")
			}
		case hclsyntax.TokenOHeredoc:
			text = trimLines(text)
		case hclsyntax.TokenEOF:
			return endLine(out.Bytes())
		}
		out.Write(bytes.TrimPrefix(gap, byteOrderMark))
		out.Write(text)
		blank, blanks = bytes.HasSuffix(text, []byte("\n")), 0
	}
	return endLine(out.Bytes())
}

// trimLines removes white space, including carriage returns, from line ends.
func trimLines(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		trimmed := bytes.TrimRight(line, " \t\r\n")
		out.Write(trimmed)
		if bytes.HasSuffix(line, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// endLine makes text that is not empty end with exactly one "\n".
func endLine(text []byte) []byte {
	text = bytes.TrimRight(text, " \t\n")
	if len(text) == 0 {
		return nil
	}
	return append(text, '\n')
}

// sameTokens reports whether a and b differ only in white space.
func sameTokens(a, b []byte) bool {
	return slices.EqualFunc(lex(a), lex(b), func(left, right hclsyntax.Token) bool {
		return left.Type == right.Type && bytes.Equal(left.Bytes, right.Bytes)
	})
}
