package scaffold

import (
	"regexp"
	"strings"
)

// word is one of a Caddyfile's, and the line it is on.
type word struct {
	text   string
	line   int
	quoted bool
}

// caddyVariable is {$NAME} or {$NAME:default}, which Caddy replaces before it
// reads the file.
var caddyVariable = regexp.MustCompile(`\{\$([A-Za-z_][A-Za-z0-9_]*)(?::([^{}\n]*))?\}`)

// caddyExpand replaces variables. One that is not set and has no default becomes
// empty, as in Caddy.
func caddyExpand(text string, env func(string) (string, bool)) string {
	return caddyVariable.ReplaceAllStringFunc(text, func(found string) string {
		m := caddyVariable.FindStringSubmatch(found)
		if v, set := env(m[1]); set && v != "" {
			return v
		}
		return m[2]
	})
}

// caddyWords cuts a Caddyfile into its words, braces and ends of lines (as "\n")
// among them. Quoted and backquoted ones are joined, comments left out.
func caddyWords(text string) []word {
	var words []word
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\n':
			words = append(words, word{text: "\n", line: line})
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"' || c == '`':
			quoted, end := caddyQuoted(text, i)
			words = append(words, word{quoted, line, true})
			line += strings.Count(text[i:end], "\n")
			i = end
		case c == '\\' && strings.HasPrefix(text[i+1:], "\n"):
			line++
			i += 2
		case strings.HasPrefix(text[i:], "<<"):
			heredoc, end := caddyHeredoc(text, i)
			words = append(words, word{heredoc, line, true})
			line += strings.Count(text[i:end], "\n")
			i = end
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(" \t\r\n", rune(text[end])) {
				end++
			}
			words = append(words, word{text: text[i:end], line: line})
			i = end
		}
	}
	return append(words, word{text: "\n", line: line})
}

// caddyQuoted is the word that begins with the quote at i, and where it ends.
func caddyQuoted(text string, i int) (quoted string, end int) {
	var out strings.Builder
	quote := text[i]
	for i++; i < len(text) && text[i] != quote; i++ {
		if quote == '"' && text[i] == '\\' && strings.HasPrefix(text[i+1:], `"`) {
			i++
		}
		out.WriteByte(text[i])
	}
	return out.String(), min(i+1, len(text))
}

// caddyHeredoc is the text between <<MARKER and MARKER, and where it ends.
func caddyHeredoc(text string, i int) (heredoc string, end int) {
	first, rest, found := strings.Cut(text[i:], "\n")
	marker := strings.TrimSpace(strings.TrimPrefix(first, "<<"))
	if !found || marker == "" || strings.ContainsAny(marker, " \t") {
		return first, i + len(first)
	}
	var lines []string
	at := i + len(first) + 1
	for line := range strings.Lines(rest) {
		if trimmed := strings.TrimLeft(line, " \t"); strings.HasPrefix(trimmed, marker) {
			return strings.Join(lines, ""), at + len(line) - len(trimmed) + len(marker)
		}
		lines = append(lines, strings.TrimLeft(line, " \t"))
		at += len(line)
	}
	return strings.Join(lines, ""), len(text)
}

// directive is a line of a Caddyfile or of nginx with the block that it opens.
type directive struct {
	words []string
	line  int
	block []directive
	open  bool // it has a block, which may be empty
}

// maxBlocks is how deep blocks may nest.
const maxBlocks = 50

// caddyDirectives reads lines up to the brace that closes them.
func caddyDirectives(words []word, depth int) (list []directive, rest []word) {
	for len(words) > 0 {
		var d directive
		brace := func(text string) bool { return words[0].text == text && !words[0].quoted }
		for len(words) > 0 && !brace("\n") && !brace("{") && !brace("}") {
			if d.words == nil {
				d.line = words[0].line
			}
			d.words, words = append(d.words, words[0].text), words[1:]
			if len(words) > 1 && brace("\n") && strings.HasSuffix(d.words[len(d.words)-1], ",") {
				words = words[1:] // a list of addresses goes on
			}
		}
		if len(words) == 0 {
			return list, nil
		}
		closing, opening := brace("}"), brace("{")
		if d.words == nil {
			d.line = words[0].line
		}
		words = words[1:]
		if opening && depth < maxBlocks {
			d.open = true
			d.block, words = caddyDirectives(words, depth+1)
		}
		if d.words != nil || d.open {
			list = append(list, d)
		}
		if closing {
			return list, words
		}
	}
	return list, nil
}
