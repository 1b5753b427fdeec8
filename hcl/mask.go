package hcl

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Mask replaces values of the environment in texts that are shown. Nil replaces
// nothing.
type Mask struct {
	shown    map[string]string // by the value that it replaces
	replacer *strings.Replacer // tries the longest values first
}

const (
	// minMasked is the length from which a value is looked for in texts. A shorter
	// one is part of too many words, and not long enough for a secret.
	minMasked = 4
	// maxMasked limits the texts that are masked. Values of variables come
	// before values made of them.
	maxMasked = 4096
)

// NewMask returns one Mask that replaces what all of masks replace. Nil ones are
// skipped.
func NewMask(masks ...*Mask) *Mask {
	all := map[string]string{}
	for _, m := range masks {
		if m != nil {
			maps.Copy(all, m.shown)
		}
	}
	if len(all) == 0 {
		return nil
	}
	olds := sortedKeys(all)
	slices.SortStableFunc(olds, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, old := range olds {
		pairs = append(pairs, old, all[old])
	}
	return &Mask{all, strings.NewReplacer(pairs...)}
}

// Text returns text with ${NAME} in place of the values.
func (m *Mask) Text(text string) string {
	if m == nil {
		return text
	}
	return m.replacer.Replace(text)
}

// jsonString matches a string in JSON and the text after a name. A string that
// is cut off at the end of the text is one too.
var jsonString = regexp.MustCompile(`("(?:[^"\\]|\\.)*")( *:)?|"(?:[^"\\]|\\.)*\\?$`)

// JSON returns a line of JSON with ${NAME} in place of the values in its strings.
// Names, and values that devproxy defines, stay as they are for programs.
func (m *Mask) JSON(line string) string {
	if m == nil {
		return line
	}
	var out strings.Builder
	at, name := 0, ""
	for _, found := range jsonString.FindAllStringSubmatchIndex(line, -1) {
		literal := line[found[0]:found[1]]
		out.WriteString(line[at:found[0]])
		at = found[1]
		if found[4] >= 0 {
			name = line[found[2]:found[3]]
		} else if !isDefined(name) {
			literal = m.literal(literal)
		}
		out.WriteString(literal)
	}
	return out.String() + line[at:]
}

// isDefined reports names of fields whose values devproxy defines, or that are
// file names.
func isDefined(name string) bool {
	switch name {
	case `"event"`, `"state"`, `"severity"`, `"kind"`, `"reason"`, `"serving"`, `"balance"`, `"protocol"`, `"method"`, `"file"`, `"folder"`:
		return true
	}
	return false
}

// literal returns a string of JSON with the values in it replaced.
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

// secrets are the values of one file that must not be shown.
type secrets struct {
	// ranges are the expressions that variables flow into, with their names.
	ranges map[Range][]string
	// leaves are the values of the variables, and all texts made of them:
	// diagnostics must not quote them.
	leaves map[string]bool
	// masked are the texts that are replaced in everything that is shown.
	masked map[string]string
	// getenv returns the value of a variable.
	getenv func(string) string
}

func newSecrets(getenv func(string) string) *secrets {
	return &secrets{ranges: map[Range][]string{}, leaves: map[string]bool{}, masked: map[string]string{}, getenv: getenv}
}

// note keeps v out of diagnostics.
func (s *secrets) note(v value) {
	if len(v.env) == 0 {
		return
	}
	at := v.at()
	s.ranges[at] = union(s.ranges[at], v.env)
	for _, name := range v.env {
		s.leaves[s.getenv(name)] = true
	}
	eachText(v.Value, func(text string) { s.leaves[text] = true })
}

// hide keeps v, and the variables that flow into it, out of all output.
func (s *secrets) hide(v value, f Flow) {
	private := slices.DeleteFunc(slices.Clone(f.Env), isPublic)
	if len(private) == 0 {
		return
	}
	for _, name := range private {
		s.add(s.getenv(name), "${"+name+"}")
	}
	plain, _ := v.UnmarkDeep()
	if plain.IsKnown() && !plain.IsNull() && plain.Type().IsPrimitiveType() {
		eachText(plain, func(text string) { s.add(text, f.Shown) })
		return
	}
	eachMarked(v.Value, v.env, func(text string, env []string) { s.add(text, variables(env)) })
}

// variables returns the text shown in place of a value made of these variables.
func variables(env []string) string { return "${" + strings.Join(env, "}${") + "}" }

// isPublic reports variables that identify this user and machine. They are part
// of every path that is shown, and not secret.
func isPublic(name string) bool {
	return strings.HasPrefix(name, "XDG_") || slices.Contains([]string{
		"HOME", "USERPROFILE", "USER", "USERNAME", "LOGNAME", "PWD", "TMPDIR", "TEMP", "TMP", "HOSTNAME", "COMPUTERNAME",
	}, name)
}

// add has old replaced in every spelling in which it is shown.
func (s *secrets) add(old, shown string) {
	if len(old) < minMasked || old == shown || len(s.masked) >= maxMasked {
		return
	}
	quoted, _ := json.Marshal(old) // a string
	for _, spelling := range []string{
		old, strings.ToLower(old), strconv.Quote(old), string(quoted), url.QueryEscape(old), url.PathEscape(old), html.EscapeString(old),
	} {
		spelling = strings.TrimSuffix(strings.TrimPrefix(spelling, `"`), `"`)
		if _, known := s.masked[spelling]; !known && len(spelling) >= minMasked {
			s.masked[spelling] = shown
		}
	}
}

// mask returns the Mask of the file. It leaves out parts of host names: those
// are written in the file, and people open them.
func (s *secrets) mask(hosts []*Host) *Mask {
	shown := maps.Clone(s.masked)
	maps.DeleteFunc(shown, func(old, _ string) bool {
		return slices.ContainsFunc(hosts, func(h *Host) bool { return strings.Contains(h.Name.Value, strings.ToLower(old)) })
	})
	return NewMask(&Mask{shown: shown})
}

// eachText calls f for the text of every part of v.
func eachText(v cty.Value, f func(string)) {
	plain, _ := v.UnmarkDeep()
	eachMarked(plain, []string{""}, func(text string, _ []string) { f(text) })
}

// eachMarked calls f for the text of every part of v that variables flow into.
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

// from returns the variables that flow into the expression at the given place.
func (s *secrets) from(at Range) []string {
	var env []string
	for marked, names := range s.ranges {
		if marked.File == at.File && marked.Start.Byte < at.End.Byte && at.Start.Byte < marked.End.Byte {
			env = union(env, names)
		}
	}
	return env
}

// quotes reports whether text contains a part of a value that must not be shown.
func (s *secrets) quotes(text string) bool {
	text = strings.ToLower(text)
	for leaf := range s.leaves {
		leaf = strings.ToLower(leaf)
		if leaf != "" && len(leaf) < minMasked && strings.Contains(text, leaf) {
			return true
		}
		for i := 0; i+minMasked <= len(leaf); i++ {
			if strings.Contains(text, leaf[i:i+minMasked]) {
				return true
			}
		}
	}
	return false
}

// sentence returns the texts of a diagnostic at the given place without values
// from the environment: names of variables take their place.
func (s *secrets) sentence(at Range, detail, format string, args []any) (summary, shownDetail string) {
	env := s.from(at)
	if len(env) == 0 {
		return fmt.Sprintf(format, args...), detail
	}
	shown := slices.Clone(args)
	for i, arg := range args {
		if s.quotes(fmt.Sprint(arg)) {
			shown[i] = variables(env)
			format = strings.ReplaceAll(format, "%d", "%v")
		}
	}
	if s.quotes(detail) {
		detail = "the value is that of " + strings.Join(env, ", ")
	}
	return fmt.Sprintf(format, shown...), detail
}
