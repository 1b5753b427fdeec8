package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// row is a line of an explanation: what it is about, its value, and where that comes
// from. A row without notes may have any width.
type row struct {
	label, value string
	notes        []string
}

// print prints x for people, in columns.
func (e *explainer) print(x *explanation) error {
	rows := x.rows()
	widths := columns(rows)
	var out strings.Builder
	fmt.Fprintln(&out, e.bold(x.URL))
	for _, r := range rows {
		line := "  " + pad(r.label, widths[0])
		for i, text := range append([]string{r.value}, r.notes...) {
			if text = pad(text, widths[i+1]); i > 0 {
				text = e.dim(text)
			}
			line += "  " + text
		}
		fmt.Fprintln(&out, strings.TrimRight(line, " "))
	}
	_, err := fmt.Fprint(e.Out, out.String())
	return err
}

// columns returns the widths of labels, values and notes. The last text of a row does
// not count, since nothing follows it.
func columns(rows []row) []int {
	var widths []int
	for _, r := range rows {
		texts := append([]string{r.label, r.value}, r.notes...)
		for len(widths) < len(texts) {
			widths = append(widths, 0)
		}
		for i, text := range texts[:len(texts)-1] {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	return widths
}

func (x *explanation) rows() []row {
	var rows []row
	if x.Share != nil {
		rows = append(rows, x.Share.rows()...)
	}
	if x.Host != nil {
		rows = append(rows, row{"host", x.Host.Name, []string{x.Host.String()}})
	}
	for _, s := range x.Skipped {
		rows = append(rows, row{"skipped", s.Name, []string{s.String(), s.Reason}})
	}
	if x.Route != nil {
		rows = append(rows, row{"route", x.Route.Name, []string{x.Route.String(), x.Route.Text}})
	}
	for _, effect := range x.Consent {
		note := "needs " + allowCommand
		if effect.Allowed {
			note = "allowed"
		}
		rows = append(rows, row{"consent", printable(effect.Kind+" "+effect.text) + ": " + note, nil})
	}
	for _, around := range x.Around {
		rows = append(rows, around.row())
	}
	if x.Answer != nil {
		rows = append(rows, x.Answer.rows()...)
	}
	if x.Sends != nil {
		rows = append(rows, row{"sends", x.Sends.Method + " " + x.Sends.Target, nil})
		rows = append(rows, fieldRows("headers", x.Sends.Headers)...)
	}
	if x.Answer != nil {
		rows = append(rows, fieldRows("answers", x.Answer.Headers)...)
	}
	if x.Error != nil {
		rows = append(rows, row{"answer", fmt.Sprintf("%d: %s", x.Error.Status, x.Error.Reason), nil})
		if x.Error.Near != "" {
			rows = append(rows, row{"", fmt.Sprintf("did you mean %q?", x.Error.Near), nil})
		}
	}
	return rows
}

func (a *answering) rows() []row {
	switch a.Kind {
	case "upstream":
		return a.upstreamRows()
	case "files":
		if a.Path == "" {
			return []row{{"file", a.Dir, nil}}
		}
		return []row{{"files", a.Dir, nil}, {"path", a.Path, nil}}
	case "devproxy":
		return []row{{"answer", a.Text, nil}}
	case "redirect":
		return []row{{"redirect", fmt.Sprintf("%d %s", a.Status, a.Location), nil}}
	}
	return []row{{"respond", strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, firstLine(a.Body))), nil}}
}

func (a *answering) upstreamRows() []row {
	if f := a.TryFiles; f != nil && f.Found {
		return []row{{"try_files", f.Dir, nil}, {"path", f.Path, []string{"this file answers; nothing is sent to the upstream"}}}
	} else if f != nil {
		rest := *a
		rest.TryFiles = nil
		return append([]row{{"try_files", f.Dir, nil}, {"path", f.Path, []string{"not a file that may be served: forwarded"}}}, rest.upstreamRows()...)
	}
	rows := memberRows("upstream", a.Members)
	rows = append(rows, row{"balance", a.Balance, nil}, row{"first", a.First, nil}, row{"health", a.Health, nil})
	rows = append(rows, memberRows("fallback", a.Fallback)...)
	rows = append(rows, row{"timeout", a.Timeout, nil}, row{"forwarded_proto", a.Proto, nil}, row{"hold", a.Hold, nil})
	return slices.DeleteFunc(rows, func(r row) bool { return r.value == "" })
}

// memberRows returns a row for each member, the first with the label.
func memberRows(label string, members []member) []row {
	var rows []row
	for _, m := range members {
		notes := []string{strings.Join(m.Addresses, ", ")}
		if m.TLSName != "" {
			notes = append(notes, m.security())
		}
		rows = append(rows, row{label, m.Text, notes})
		label = ""
	}
	return rows
}

// row returns s as a row.
func (s setting) row() row {
	if s.Does == "" {
		return row{s.Name, s.Text, nil}
	}
	return row{s.Name, s.Text + "; " + s.Does, nil}
}

func (m *member) security() string {
	if m.Verified {
		return "certificate of " + m.TLSName
	}
	return "any certificate"
}

// fieldRows returns a row for each header field, the first with the label.
func fieldRows(label string, fields []changed) []row {
	var rows []row
	for _, f := range fields {
		text := f.Name + ": " + f.Value
		if f.Remove {
			text = f.Name + " is removed"
		}
		rows = append(rows, row{label, text, nil})
		label = ""
	}
	return rows
}

// String returns the place as editors take it; empty if no file has it.
func (p place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// firstLine returns the first line of text, with a mark if there are more.
func firstLine(text string) string {
	line, rest, _ := strings.Cut(text, "\n")
	if rest != "" {
		line += " …"
	}
	return line
}
