package hcl

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format is src in the one form that all Proxyfiles have: two spaces a level,
// the equal signs of neighbouring lines in a column, one space before a comment
// that follows something, no two blank lines in a row, "\n" at every end of
// line. Only white space changes, and none inside of strings and heredocs.
// Formatting twice is formatting once.
//
// A src with syntax errors is returned as it is, with the errors.
func Format(src []byte, filename string) ([]byte, Diagnostics) {
	if diags := syntaxErrors(src, filename); diags.HasErrors() {
		return src, diags
	}
	spaced := hclwrite.Format(src)
	if !sameTokens(src, spaced) {
		// hclwrite takes the spaces out of "a.0 .1", which is then another
		// number. Such lines keep the spaces they have.
		spaced = src
	}
	return tidy(spaced), nil
}

// Read is the text of the file at path, absolute, for Format: the same files as
// Load takes, not looked into. The error is a *FileError.
func Read(path string) ([]byte, error) { return readFile(path) }

// tidy undoes the comment columns of hclwrite, and does what hclwrite leaves
// alone: ends of lines and blank lines.
func tidy(src []byte) []byte {
	var out bytes.Buffer
	end := 0      // of the token before
	blank := true // the line so far; a file begins with no blank line
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
			text = tidyComment(text)
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

var byteOrderMark = []byte("\uFEFF")

// tidyComment keeps a comment's words. A comment to the end of the line holds
// that end too, except for the last of a file.
func tidyComment(text []byte) []byte {
	text = trimLines(text)
	if bytes.HasPrefix(text, []byte("/*")) {
		return text
	}
	return endLine(text)
}

// trimLines takes white space from the ends of lines, carriage returns too.
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

// sameTokens reports whether a and b differ in white space only.
func sameTokens(a, b []byte) bool {
	left, right := lex(a), lex(b)
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i].Type != right[i].Type || !bytes.Equal(left[i].Bytes, right[i].Bytes) {
			return false
		}
	}
	return true
}

// lex cuts src, which has no syntax errors, into its tokens.
func lex(src []byte) hclsyntax.Tokens {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	return tokens
}
