package hcl

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser and the evaluator call themselves for each level of nesting and
// for each operator, and a Go stack that is full cannot be recovered from. So
// both are bounded before the parser sees the text. Real files need a tenth.
const (
	maxNesting   = 40
	maxOperators = 100 // in a row, with no comma between them
	maxDigits    = 40  // characters of a number
	maxExponent  = 3   // characters of its exponent: 1e999 as text has 1000
)

// level is one bracket, quote or template that is open.
type level struct {
	// lines says that a line's end separates things in it, as a comma does.
	lines     bool
	operators int
}

// tooDeep is the first place, if any, that is more than the parser is given.
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
			// An index or a directive nests in the one before it, as the
			// operands of operators do: a[x][y].
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
			return token.Range, fmt.Sprintf("more than %d levels inside of each other", maxNesting), true
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
