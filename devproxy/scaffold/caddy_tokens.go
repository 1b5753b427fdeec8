package scaffold

import "strings"

// word is one of a Caddyfile's, and where it stands.
type word struct {
	text string
	line int
}

// caddyWords cuts a Caddyfile into its words, braces and ends of lines (as "\n")
// among them. Quoted and backquoted ones are joined, comments left out.
func caddyWords(text string) []word {
	var words []word
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\n':
			words = append(words, word{"\n", line})
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
			words = append(words, word{quoted, line})
			line += strings.Count(text[i:end], "\n")
			i = end
		case c == '\\' && strings.HasPrefix(text[i+1:], "\n"):
			line++
			i += 2
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(" \t\r\n", rune(text[end])) {
				end++
			}
			words = append(words, word{text[i:end], line})
			i = end
		}
	}
	return append(words, word{"\n", line})
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

// directive is a line of a Caddyfile with the block that it opens.
type directive struct {
	words []string
	line  int
	block []directive
}

// caddyDirectives reads lines up to the brace that closes them.
func caddyDirectives(words []word, depth int) (list []directive, rest []word) {
	for len(words) > 0 {
		var d directive
		for len(words) > 0 && words[0].text != "\n" && words[0].text != "{" && words[0].text != "}" {
			if d.words == nil {
				d.line = words[0].line
			}
			d.words, words = append(d.words, words[0].text), words[1:]
		}
		if len(words) == 0 {
			return list, nil
		}
		closing, opening := words[0].text == "}", words[0].text == "{"
		words = words[1:]
		if opening && depth < maxNesting {
			d.block, words = caddyDirectives(words, depth+1)
		}
		if d.words != nil || d.block != nil {
			list = append(list, d)
		}
		if closing {
			return list, words
		}
	}
	return list, nil
}
