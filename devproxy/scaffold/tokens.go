package scaffold

import (
	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// token is a word of JavaScript or TypeScript, and the line it stands on.
type token struct {
	kind js.TokenType
	text string
	line int
}

// tokens cuts src up to where it stops to be JavaScript. The types of
// TypeScript are tokens too, and the reader of values steps over them: a
// compiler would say no more, and is larger than devproxy.
func tokens(src []byte) []token {
	var all []token
	line := 1
	lexer := js.NewLexer(parse.NewInputBytes(append([]byte(nil), src...)))
	for {
		kind, text := lexer.Next()
		if (kind == js.DivToken || kind == js.DivEqToken) && !endsValue(all) {
			kind, text = lexer.RegExp()
		}
		if kind == js.ErrorToken {
			return all
		}
		switch kind {
		case js.WhitespaceToken, js.LineTerminatorToken, js.CommentToken, js.CommentLineTerminatorToken:
		default:
			all = append(all, token{kind, string(text), line})
		}
		line += lineAt(text, len(text)) - 1
	}
}

// endsValue reports whether a "/" after these tokens divides.
func endsValue(before []token) bool {
	if len(before) == 0 {
		return false
	}
	last := before[len(before)-1]
	switch last.text {
	case ")", "]", "}":
		return true
	}
	return js.IsIdentifier(last.kind) || js.IsNumeric(last.kind) || last.kind == js.StringToken || last.kind == js.TemplateToken || last.kind == js.TemplateEndToken
}
