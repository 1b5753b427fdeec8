package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// row is a line of an explanation: what it is about, what it says, and where
// that is from. Rows without a note may be of any width.
type row struct {
	label, value string
	notes        []string
}

// print writes x for people, in columns.
func (e *explainer) print(x *explanation) error {
	rows := x.rows()
	widths := columns(rows)
	var out strings.Builder
	fmt.Fprintln(&out, e.bold(x.URL))
	for _, r := range rows {
		line := "  " + pad(r.label, widths[0])
		for i, cell := range append([]string{r.value}, r.notes...) {
			if cell = pad(cell, widths[i+1]); i > 0 {
				cell = e.dim(cell)
			}
			line += "  " + cell
		}
		fmt.Fprintln(&out, strings.TrimRight(line, " "))
	}
	_, err := fmt.Fprint(e.Out, out.String())
	return err
}

// columns are the widths of label, value and notes. The last cell of a row
// counts for none: nothing has to stand behind it.
func columns(rows []row) []int {
	var widths []int
	for _, r := range rows {
		cells := append([]string{r.label, r.value}, r.notes...)
		for len(widths) < len(cells) {
			widths = append(widths, 0)
		}
		for i, cell := range cells[:len(cells)-1] {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
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
		return []row{{"try_files", f.Dir, nil}, {"path", f.Path, []string{"a file, which answers; the upstream is not asked"}}}
	} else if f != nil {
		rest := *a
		rest.TryFiles = nil
		return append([]row{{"try_files", f.Dir, nil}, {"path", f.Path, []string{"not a file to be served: forwarded"}}}, rest.upstreamRows()...)
	}
	rows := memberRows("upstream", a.Members)
	for _, line := range []struct{ label, value string }{
		{"balance", a.Balance}, {"first", a.First}, {"health", a.Health},
	} {
		if line.value != "" {
			rows = append(rows, row{line.label, line.value, nil})
		}
	}
	rows = append(rows, memberRows("fallback", a.Fallback)...)
	if a.Timeout != "" {
		rows = append(rows, row{"timeout", a.Timeout, nil})
	}
	if a.Proto != "" {
		rows = append(rows, row{"forwarded_proto", a.Proto, nil})
	}
	return append(rows, row{"hold", a.Hold, nil})
}

// memberRows are addresses, the label before the first.
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

// row is s on a line of any width.
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

// fieldRows are header fields, the label before the first.
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

// String is the place as editors take it; empty for what no file says.
func (p place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// firstLine is enough to know a text by.
func firstLine(text string) string {
	line, rest, _ := strings.Cut(text, "\n")
	if rest != "" {
		line += " …"
	}
	return line
}
