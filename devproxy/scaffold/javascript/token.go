package javascript

import (
	"bytes"
	"slices"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// token is a token of JavaScript or TypeScript, and its line.
type token struct {
	kind js.TokenType
	text string
	line int
}

// maxRestarts is how often tokens skips a byte that is not JavaScript, such as
// the "@" of a decorator.
const maxRestarts = 20

// tokens splits src into tokens. The types of TypeScript are tokens too, and
// the evaluator skips them: a compiler would not find out more, and is larger
// than devproxy.
func tokens(src []byte) []token {
	var all []token
	line := 1
	for range maxRestarts + 1 {
		lexer, read := js.NewLexer(parse.NewInputBytes(slices.Clone(src))), 0
		for {
			kind, text := lexer.Next()
			if (kind == js.DivToken || kind == js.DivEqToken) && !endsValue(all) {
				if kind, text = lexer.RegExp(); kind == js.ErrorToken {
					read++
				}
			}
			if kind == js.ErrorToken {
				break
			}
			if !slices.Contains(space, kind) {
				all = append(all, token{kind, string(text), line})
			}
			read += len(text)
			line += bytes.Count(text, []byte("\n"))
		}
		if read >= len(src) {
			break
		}
		line += bytes.Count(src[read:read+1], []byte("\n"))
		src = src[read+1:]
	}
	return all
}

var space = []js.TokenType{js.WhitespaceToken, js.LineTerminatorToken, js.CommentToken, js.CommentLineTerminatorToken}

// endsValue reports whether a "/" after these tokens divides, and does not begin
// a regular expression.
func endsValue(before []token) bool {
	if len(before) == 0 {
		return false
	}
	last := before[len(before)-1]
	return last.closes() || js.IsIdentifier(last.kind) || js.IsNumeric(last.kind) || last.kind == js.StringToken || last.kind == js.TemplateToken
}

func (t token) opens() bool {
	return t.text == "{" || t.text == "(" || t.text == "[" || t.kind == js.TemplateStartToken
}

func (t token) closes() bool {
	return t.text == "}" || t.text == ")" || t.text == "]" || t.kind == js.TemplateEndToken
}

// ends reports whether t ends an element of a list: a separator or a closing
// bracket.
func (t token) ends() bool { return t.text == "," || t.text == ";" || t.closes() }
