package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// rows are an explanation for people. A row has a subject, a value, and notes about the
// value. A row without notes may have any width.
type rows [][]string

// add adds a row unless value is empty.
func (t *rows) add(label, value string, notes ...string) {
	if value != "" {
		*t = append(*t, append([]string{label, value}, notes...))
	}
}

// print prints x in columns.
func (e *explainer) print(x *explanation) error {
	var t rows
	t.explanation(x)
	widths := t.widths()
	var out strings.Builder
	fmt.Fprintln(&out, e.bold(x.URL))
	for _, r := range t {
		line := ""
		for i, text := range r {
			if text = pad(text, widths[i]); i > 1 {
				text = e.dim(text)
			}
			line += "  " + text
		}
		fmt.Fprintln(&out, strings.TrimRight(line, " "))
	}
	_, err := fmt.Fprint(e.Out, out.String())
	return err
}

// widths returns the widths of labels, values and notes. The last text of a row does
// not count, since nothing follows it.
func (t rows) widths() []int {
	var widths []int
	for _, r := range t {
		for len(widths) < len(r) {
			widths = append(widths, 0)
		}
		for i, text := range r[:len(r)-1] {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	return widths
}

func (t *rows) explanation(x *explanation) {
	if x.Asked != "" {
		t.add("moved", "from "+x.Asked+": in this worktree, hosts have names of their own")
	}
	if x.Share != nil {
		t.share(x.Share)
	}
	if x.Host != nil {
		t.add("host", x.Host.Name, x.Host.String())
	}
	for _, s := range x.Skipped {
		t.add("skipped", s.Name, s.String(), s.Reason)
	}
	if x.Route != nil {
		t.add("route", x.Route.Name, x.Route.String(), x.Route.Text)
	}
	for _, effect := range x.Consent {
		note := "needs " + allowCommand
		if effect.Allowed {
			note = "allowed"
		}
		t.add("consent", hcl.Legible(effect.Kind+" "+effect.text)+": "+note)
	}
	for _, s := range x.Around {
		t.add(s.Name, s.Text+when(s.Does != "", "; "+s.Does))
	}
	if x.Answer != nil {
		t.answer(x.Answer)
	}
	if x.Sends != nil {
		t.add("sends", x.Sends.Method+" "+x.Sends.Target)
		t.fields("headers", x.Sends.Headers)
	}
	if x.Answer != nil {
		t.fields("answers", x.Answer.Headers)
	}
	if x.Error != nil {
		t.add("answer", fmt.Sprintf("%d: %s", x.Error.Status, x.Error.Reason))
		if x.Error.Near != "" {
			t.add("", fmt.Sprintf("did you mean %q?", x.Error.Near))
		}
	}
}

func (t *rows) share(s *shareView) {
	if !s.Hidden {
		t.add("share", "visible to visitors")
		return
	}
	t.add("share", "hidden from visitors ("+when(s.Kind != "", s.Kind+": ")+s.Reason+")")
	switch {
	case s.Show != "":
		t.add("to show", showAttribute(s.Show))
	case s.Kind != "":
		t.add("to show", "not possible")
	}
}

// showAttribute is what to write to show an entry.
func showAttribute(entry string) string { return fmt.Sprintf("share { show = [%q] }", entry) }

func (t *rows) answer(a *answering) {
	switch {
	case a.Kind == "upstream":
		t.upstream(a)
	case a.Kind == "files" && a.Path == "":
		t.add("file", a.Dir)
	case a.Kind == "files":
		t.add("files", a.Dir)
		t.add("path", a.Path)
	case a.Kind == "devproxy":
		t.add("answer", a.Text)
	case a.Kind == "redirect":
		t.add("redirect", fmt.Sprintf("%d %s", a.Status, a.Location))
	default:
		t.add("respond", strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, firstLine(a.Body))))
	}
}

func (t *rows) upstream(a *answering) {
	if f := a.TryFiles; f != nil {
		t.add("try_files", f.Dir)
		if f.Found {
			t.add("path", f.Path, "this file answers; nothing is sent to the upstream")
			return
		}
		t.add("path", f.Path, "not a file that may be served: forwarded")
	}
	t.members("upstream", a.Members)
	t.add("balance", a.Balance)
	t.add("first", a.First)
	t.add("health", a.Health)
	t.members("fallback", a.Fallback)
	t.add("timeout", a.Timeout)
	t.add("forwarded_proto", a.Proto)
	if a.Public {
		t.add("public_host", "true", "visitors of a share: Host, Origin and the like with the public names")
	}
	t.add("hold", a.Hold)
}

// members adds a row for each member, the first with the label.
func (t *rows) members(label string, members []member) {
	for _, m := range members {
		notes := []string{strings.Join(m.Addresses, ", ")}
		switch {
		case m.Verified:
			notes = append(notes, "certificate of "+m.TLSName)
		case m.TLSName != "":
			notes = append(notes, "any certificate")
		}
		t.add(label, m.Text, notes...)
		label = ""
	}
}

// fields adds a row for each header field, the first with the label.
func (t *rows) fields(label string, fields []changed) {
	for _, f := range fields {
		text := f.Name + ": " + f.Value
		if f.Remove {
			text = f.Name + " is removed"
		}
		t.add(label, text)
		label = ""
	}
}

// String returns the place as editors take it; empty if no file has it.
func (p place) String() string { return plan.Source{File: p.File, Line: p.Line}.String() }

// firstLine returns the first line of text, with a mark if there are more.
func firstLine(text string) string {
	line, rest, _ := strings.Cut(text, "\n")
	if rest != "" {
		line += " …"
	}
	return line
}
