package hcl

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Mask takes values of the environment out of texts that are shown. Nil takes
// nothing out.
type Mask struct {
	pairs    []string // old and new in turn, the longest old first
	replacer *strings.Replacer
}

// minMasked is the length from which a value is looked for in texts. A shorter
// one is in too many words, and has too few values to be a secret.
const minMasked = 4

// maxMasked bounds the texts that are looked for. Values of variables come before
// what is made of them.
const maxMasked = 4096

// NewMask returns one Mask that does what all of masks do. Nil ones are skipped.
func NewMask(masks ...*Mask) *Mask {
	byOld := map[string]string{}
	for _, m := range masks {
		if m == nil {
			continue
		}
		for i := 0; i < len(m.pairs); i += 2 {
			byOld[m.pairs[i]] = m.pairs[i+1]
		}
	}
	if len(byOld) == 0 {
		return nil
	}
	olds := sortedKeys(byOld)
	slices.SortStableFunc(olds, func(a, b string) int { return len(b) - len(a) })
	m := &Mask{}
	for _, old := range olds {
		m.pairs = append(m.pairs, old, byOld[old])
	}
	m.replacer = strings.NewReplacer(m.pairs...)
	return m
}

// JSON returns a line of JSON with ${NAME} in place of the values in its strings. Names
// and the words of devproxy's own contract stay: programs read them.
func (m *Mask) JSON(line string) string {
	if m == nil {
		return line
	}
	var out strings.Builder
	name := ""
	for {
		start := strings.IndexByte(line, '"')
		if start < 0 {
			out.WriteString(line)
			return out.String()
		}
		out.WriteString(line[:start])
		line = line[start:]
		end := endOfString(line)
		literal := line[:end]
		line = line[end:]
		if strings.HasPrefix(strings.TrimLeft(line, " "), ":") {
			name = literal
		} else if !isContract(name) {
			literal = m.literal(literal)
		}
		out.WriteString(literal)
	}
}

// endOfString is where the string that begins text ends, behind its quote.
func endOfString(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// isContract reports names of fields whose values are words of devproxy's own,
// or places of files.
func isContract(name string) bool {
	switch name {
	case `"event"`, `"state"`, `"severity"`, `"kind"`, `"reason"`, `"serving"`, `"balance"`, `"protocol"`, `"method"`, `"file"`, `"folder"`:
		return true
	}
	return false
}

// literal is a string of JSON with the values in it replaced.
func (m *Mask) literal(literal string) string {
	var text string
	if json.Unmarshal([]byte(literal), &text) != nil {
		return m.Text(literal)
	}
	shown := m.Text(text)
	if shown == text {
		return literal
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(shown) // a string
	return strings.TrimSuffix(out.String(), "\n")
}

// Text returns text with ${NAME} in place of the values.
func (m *Mask) Text(text string) string {
	if m == nil {
		return text
	}
	return m.replacer.Replace(text)
}

// concealed is what must not be shown of the values of one file.
type concealed struct {
	// ranges are the expressions that a variable flows into, with the names.
	ranges map[Range][]string
	// leaves are all texts that a variable flowed into, and the values of the
	// variables: what diagnostics must not quote.
	leaves map[string]bool
	// masked are the texts that are looked for in everything that is shown.
	masked map[string]string
	// getenv gives values of variables by name.
	getenv func(string) string
}

func newConcealed(getenv func(string) string) *concealed {
	return &concealed{ranges: map[Range][]string{}, leaves: map[string]bool{}, masked: map[string]string{}, getenv: getenv}
}

// note keeps v out of diagnostics.
func (c *concealed) note(v value) {
	if len(v.env) == 0 {
		return
	}
	at := v.at()
	c.ranges[at] = union(c.ranges[at], v.env)
	for _, name := range v.env {
		c.leaves[c.getenv(name)] = true
	}
	eachText(v.Value, func(text string) { c.leaves[text] = true })
}

// hide keeps v, and the variables that flow into it, out of all that is shown.
func (c *concealed) hide(v value, f Flow) {
	if !slices.ContainsFunc(f.Env, func(name string) bool { return !isPublic(name) }) {
		return
	}
	for _, name := range f.Env {
		if !isPublic(name) {
			c.add(c.getenv(name), "${"+name+"}")
		}
	}
	plain, _ := v.UnmarkDeep()
	if plain.IsKnown() && !plain.IsNull() && plain.Type().IsPrimitiveType() {
		eachText(plain, func(text string) { c.add(text, f.Shown) })
		return
	}
	eachMarked(v.Value, v.env, func(text string, env []string) {
		c.add(text, "${"+strings.Join(env, "}${")+"}")
	})
}

// isPublic reports variables that say who and where this user is. They are in
// every path that is shown, and no secret.
func isPublic(name string) bool {
	switch name {
	case "HOME", "USERPROFILE", "USER", "USERNAME", "LOGNAME", "PWD", "TMPDIR", "TEMP", "TMP", "HOSTNAME", "COMPUTERNAME":
		return true
	}
	return strings.HasPrefix(name, "XDG_")
}

// add has old replaced in every spelling in which it is shown.
func (c *concealed) add(old, shown string) {
	if len(old) < minMasked || old == shown || len(c.masked) >= maxMasked {
		return
	}
	quoted, _ := json.Marshal(old) // a string
	for _, spelling := range []string{
		old, strings.ToLower(old), strconv.Quote(old), string(quoted), url.QueryEscape(old), url.PathEscape(old), html.EscapeString(old),
	} {
		spelling = strings.TrimSuffix(strings.TrimPrefix(spelling, `"`), `"`)
		if _, known := c.masked[spelling]; !known && len(spelling) >= minMasked {
			c.masked[spelling] = shown
		}
	}
}

// mask is what has been noted, but for parts of the names of hosts: those are
// written in the file, and are what people open.
func (c *concealed) mask(hosts []*Host) *Mask {
	m := &Mask{}
	for _, old := range sortedKeys(c.masked) {
		if slices.ContainsFunc(hosts, func(h *Host) bool { return strings.Contains(h.Name.Value, strings.ToLower(old)) }) {
			continue
		}
		m.pairs = append(m.pairs, old, c.masked[old])
	}
	return NewMask(m)
}

// eachText calls f for the text of every part of v.
func eachText(v cty.Value, f func(string)) {
	plain, _ := v.UnmarkDeep()
	eachMarked(plain, []string{""}, func(text string, _ []string) { f(text) })
}

// eachMarked calls f for the text of every part of v that has variables.
func eachMarked(v cty.Value, outer []string, f func(text string, env []string)) {
	v, marks := v.Unmark()
	env := union(outer, names(marks))
	switch {
	case v == cty.NilVal || v.IsNull() || !v.IsKnown():
	case v.Type().IsPrimitiveType():
		if text, err := convert.Convert(v, cty.String); err == nil && len(env) > 0 {
			f(text.AsString(), env)
		}
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			key, element := it.Element()
			if key.Type() == cty.String && len(env) > 0 {
				f(key.AsString(), env)
			}
			eachMarked(element, env, f)
		}
	}
}

// from are the variables that flow into the expression at the given place.
func (c *concealed) from(at Range) []string {
	var env []string
	for marked, names := range c.ranges {
		if marked.File == at.File && marked.Start.Byte < at.End.Byte && at.Start.Byte < marked.End.Byte {
			env = union(env, names)
		}
	}
	return env
}

// quotes reports whether text gives away a part of a value that must not be
// shown.
func (c *concealed) quotes(text string) bool {
	text = strings.ToLower(text)
	for leaf := range c.leaves {
		leaf = strings.ToLower(leaf)
		if leaf == "" {
			continue
		}
		if len(leaf) < minMasked {
			if strings.Contains(text, leaf) {
				return true
			}
			continue
		}
		for i := 0; i+minMasked <= len(leaf); i++ {
			if strings.Contains(text, leaf[i:i+minMasked]) {
				return true
			}
		}
	}
	return false
}

// sentence is a diagnostic at the given place without what came from the
// environment: a mistake is described with the names of variables only.
func (c *concealed) sentence(at Range, detail, format string, args []any) (summary, shownDetail string) {
	env := c.from(at)
	if len(env) == 0 {
		return fmt.Sprintf(format, args...), detail
	}
	shown := make([]any, len(args))
	verbs := format
	for i, arg := range args {
		shown[i] = arg
		if c.quotes(fmt.Sprint(arg)) {
			shown[i] = "${" + strings.Join(env, "}${") + "}"
			verbs = strings.ReplaceAll(verbs, "%d", "%v")
		}
	}
	if c.quotes(detail) {
		detail = "the value is that of " + strings.Join(env, ", ")
	}
	return fmt.Sprintf(verbs, shown...), detail
}
