package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// word is a word of a Caddyfile, and its line.
type word struct {
	text   string
	line   int
	quoted bool
}

// is reports whether w is a brace or the end of a line.
func (w word) is(text string) bool { return w.text == text && !w.quoted }

// caddyVariable matches {$NAME} and {$NAME:default}, which Caddy replaces before
// it reads the file.
var caddyVariable = regexp.MustCompile(`\{\$([A-Za-z_][A-Za-z0-9_]*)(?::([^{}\n]*))?\}`)

// caddyExpand replaces variables. A variable that is not set and has no default
// becomes empty, as in Caddy.
func caddyExpand(text string, env environment) string {
	return caddyVariable.ReplaceAllStringFunc(text, func(found string) string {
		m := caddyVariable.FindStringSubmatch(found)
		if v, set := env(m[1]); set && v != "" {
			return v
		}
		return m[2]
	})
}

// caddyToken matches the end of a line, a comment, a quoted text, an escaped end of
// a line and a word.
var caddyToken = regexp.MustCompile(`\n|#[^\n]*|"(?:\\"|[^"])*"?|` + "`[^`]*`?" + `|\\\n|[^ \t\r\n]+`)

// caddyWords splits a Caddyfile into its words, with braces and ends of lines (as
// "\n") among them. A quoted text is one word; comments are left out.
func caddyWords(text string) []word {
	var words []word
	line := 1
	for {
		m := caddyToken.FindStringIndex(text)
		if m == nil {
			return append(words, word{text: "\n", line: line})
		}
		end, w := m[1], word{text: text[m[0]:m[1]], line: line}
		switch {
		case strings.HasPrefix(w.text, "<<"):
			w.text, end = caddyHeredoc(text, m[0])
			w.quoted = true
		case strings.ContainsAny(w.text[:1], "\"`"):
			quote := w.text[:1]
			w.text, w.quoted = strings.TrimSuffix(w.text[1:], quote), true
			if quote == `"` {
				w.text = strings.ReplaceAll(w.text, `\"`, `"`)
			}
		}
		if w.quoted || !strings.HasPrefix(w.text, "#") && w.text != "\\\n" {
			words = append(words, w)
		}
		line += strings.Count(text[:end], "\n")
		text = text[end:]
	}
}

// caddyHeredoc returns the text between <<MARKER and MARKER, and where it ends.
func caddyHeredoc(text string, i int) (heredoc string, end int) {
	first, rest, found := strings.Cut(text[i:], "\n")
	marker := strings.TrimSpace(strings.TrimPrefix(first, "<<"))
	if !found || marker == "" || strings.ContainsAny(marker, " \t") {
		return first, i + len(first)
	}
	var lines []string
	at := i + len(first) + 1
	for line := range strings.Lines(rest) {
		trimmed := strings.TrimLeft(line, " \t")
		if strings.HasPrefix(trimmed, marker) {
			return strings.Join(lines, ""), at + len(line) - len(trimmed) + len(marker)
		}
		lines = append(lines, trimmed)
		at += len(line)
	}
	return strings.Join(lines, ""), len(text)
}

// directive is a line of a Caddyfile with the block that it opens.
type directive struct {
	words []string
	line  int
	block []directive
	open  bool // it has a block, which may be empty
}

// word returns word i of the line, from 0; empty if the line is shorter.
func (d directive) word(i int) string {
	if i >= len(d.words) {
		return ""
	}
	return d.words[i]
}

func (d directive) name() string { return d.word(0) }

func (d directive) args() []string { return d.words[min(1, len(d.words)):] }

func (d directive) last() string { return d.word(len(d.words) - 1) }

// contains reports whether the block has a directive with this name.
func (d directive) contains(name string) bool {
	return slices.ContainsFunc(d.block, func(inner directive) bool { return inner.name() == name })
}

// maxBlocks is how deep blocks may nest.
const maxBlocks = 50

// caddyDirectives reads lines up to the brace that closes them.
func caddyDirectives(words []word, depth int) (list []directive, rest []word) {
	for len(words) > 0 {
		d := directive{line: words[0].line}
		for len(words) > 0 && !words[0].is("\n") && !words[0].is("{") && !words[0].is("}") {
			d.words, words = append(d.words, words[0].text), words[1:]
			if len(words) > 1 && words[0].is("\n") && strings.HasSuffix(d.last(), ",") {
				words = words[1:] // a list of addresses continues
			}
		}
		if len(words) == 0 {
			return list, nil
		}
		end := words[0]
		words = words[1:]
		if end.is("{") && depth < maxBlocks {
			d.open = true
			d.block, words = caddyDirectives(words, depth+1)
		}
		if d.words != nil || d.open {
			list = append(list, d)
		}
		if end.is("}") {
			return list, words
		}
	}
	return list, nil
}

// maxImports is how deep snippets may import others.
const maxImports = 10

// imported replaces imports of snippets by their directives.
func (c *caddyfile) imported(list []directive, depth int) []directive {
	var out []directive
	for _, d := range list {
		switch snippet, found := c.snippets[d.word(1)]; {
		case d.name() != "import" || len(d.words) < 2:
			d.block = c.imported(d.block, depth)
			out = append(out, d)
		case !found || depth > maxImports:
			c.noteImport(d)
		default:
			out = append(out, c.imported(withArguments(snippet, d.words[2:]), depth+1)...)
			if len(out) > maxEntries {
				return out[:maxEntries]
			}
		}
	}
	return out
}

// noteImport says that an import of a file is left out.
func (c *caddyfile) noteImport(d directive) {
	c.note(d, "import %s: other files are not read", short(strings.Join(d.args(), " ")))
}

// withArguments replaces {args[0]} and {args.0} by the first of args, and so on.
func withArguments(list []directive, args []string) []directive {
	var pairs []string
	for n, arg := range args {
		pairs = append(pairs, fmt.Sprintf("{args[%d]}", n), arg, fmt.Sprintf("{args.%d}", n), arg)
	}
	replacer := strings.NewReplacer(pairs...)
	out := slices.Clone(list)
	for i, d := range list {
		out[i].words = slices.Clone(d.words)
		for j, w := range d.words {
			out[i].words[j] = replacer.Replace(w)
		}
		out[i].block = withArguments(d.block, args)
	}
	return out
}
