package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"

	"github.com/devproxy/devproxy/devproxy/journal"
)

// minText is the least number of columns in which a text is wrapped. In less room
// its lines stay whole.
const minText = 16

// hang prints text after start, wrapped on a terminal. Further lines have indent
// columns before them.
func (s *streams) hang(w io.Writer, start string, indent int, text string) {
	for _, line := range wrapped(start, indent, text, s.columns()) {
		fmt.Fprintln(w, line)
	}
}

// row prints a label, padded to width columns, and a text in its own column.
func (s *streams) row(label string, width int, text string) {
	s.hang(s.Out, "  "+s.dim(pad(label, width))+"  ", len("  ")+width+len("  "), text)
}

// paragraph prints a text that is wrapped on a terminal.
func (s *streams) paragraph(text string) { s.hang(s.Out, "", 0, text) }

// indented prints a text in a column that begins after indent.
func (s *streams) indented(indent int, text string) {
	s.hang(s.Out, strings.Repeat(" ", indent), indent, text)
}

// result prints the result of a check: start has the columns before indent. fix is the
// command or edit that helps, below the text. A terminal that is too narrow has both of
// them below start.
func (s *streams) result(start string, indent int, text, fix string) {
	const narrow = len("    ")
	columns := s.columns()
	if columns > 0 && columns-indent < 2*minText {
		indent = narrow
		fmt.Fprintln(s.Out, strings.TrimRight(start, " "))
		s.indented(indent, text)
	} else {
		s.hang(s.Out, start, indent, text)
	}
	if fix == "" {
		return
	}
	if isEdit(fix) {
		s.indented(indent, s.bold(fix))
		return
	}
	if columns > 0 && indent+shownWidth(fix) > columns {
		indent = narrow
	}
	fmt.Fprintf(s.Out, "%*s%s\n", indent, "", s.bold(fix))
}

// line prints a text on Err that is wrapped on a terminal.
func (s *streams) line(text string) { s.hang(s.Err, "", 0, text) }

// isEdit reports whether a fix says what to do in words. Others are commands, which are not
// wrapped, so that they still run when they are copied.
func isEdit(fix string) bool {
	first, _, _ := strings.Cut(fix, " ")
	return slices.Contains([]string{"add", "let", "look", "raise", "remove", "set", "start", "turn", "write"}, first)
}

// note prints a text of little weight on Err.
func (s *streams) note(text string) {
	for line := range strings.Lines(text) {
		for _, part := range wrapped("", 0, strings.TrimSuffix(line, "\n"), s.columns()) {
			fmt.Fprintln(s.Err, s.dim(part))
		}
	}
}

// event prints on Err what happened at a time.
func (s *streams) event(at time.Time, text string) {
	const gap = "  "
	s.hang(s.Err, s.dim(clock(at))+gap, len("15:04:05")+len(gap), text)
}

// command prints a text and below it a command. Commands are not wrapped, so that
// they still run when they are copied.
func (s *streams) command(text, command string) {
	s.paragraph(text)
	fmt.Fprintf(s.Out, "  %s\n", s.bold(command))
}

// inlineCommand is command on one line if the terminal has room for it.
func (s *streams) inlineCommand(text, command string) {
	if columns := s.columns(); columns > 0 && shownWidth(text+" "+command) > columns {
		s.command(text, command)
		return
	}
	fmt.Fprintf(s.Out, "%s %s\n", text, s.bold(command))
}

// wrapped returns the lines of text after start, broken at spaces to fit in
// that number of columns. Further lines are indented. Longer words stay whole.
func wrapped(start string, indent int, text string, columns int) []string {
	width := shownWidth(start)
	if columns-max(width, indent) < minText || width+shownWidth(text) <= columns {
		return []string{strings.ReplaceAll(start+text, noBreak, " ")}
	}
	var lines []string
	line, first := start, true
	for word := range strings.SplitSeq(keepItems(oneLine.Replace(text)), " ") {
		n := shownWidth(word)
		switch {
		case first:
		case width+1+n > columns:
			lines, line, width = append(lines, line), strings.Repeat(" ", indent), indent
		default:
			line, width = line+" ", width+1
		}
		line, width, first = line+word, width+n, false
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], noBreak, " ")
	}
	return lines
}

// broken is wrapped for a text of which every character counts: words that are longer than
// a line are broken too, so that the terminal begins no line with a part of them.
func broken(start string, indent int, text string, columns int) (lines []string) {
	room := columns - indent
	if room < minText {
		return []string{start + strings.ReplaceAll(text, noBreak, " ")}
	}
	for text != "" {
		end, width, atSpace := 0, 0, 0
		for characters := displaywidth.StringGraphemes(text); characters.Next(); {
			if width += max(characters.Width(), 1); width > room {
				break
			}
			if end += len(characters.Value()); characters.Value() == " " {
				atSpace = end
			}
		}
		if end < len(text) && atSpace > 0 {
			end = atSpace
		}
		line := text[:end]
		if end < len(text) {
			line = strings.TrimSuffix(line, " ")
		}
		lines = append(lines, start+strings.ReplaceAll(line, noBreak, " "))
		start, text = strings.Repeat(" ", indent), text[end:]
	}
	return lines
}

// oneLine makes other white space a space. Several spaces stay: they may be in a command.
var oneLine = strings.NewReplacer("\n", " ", "\t", " ")

// noBreak replaces a space at which a line is not broken.
const noBreak = "\x01"

// unbroken returns text, such as a command, so that wrapped keeps it on one line.
func unbroken(text string) string { return strings.ReplaceAll(text, " ", noBreak) }

// keepItems keeps the words of each item of a list such as "o open · q quit"
// together, with the dot after them.
func keepItems(text string) string {
	items := strings.Split(text, " · ")
	if len(items) == 1 {
		return text
	}
	for i, item := range items {
		if len(item) <= 2*minText {
			items[i] = strings.ReplaceAll(item, " ", noBreak)
		}
	}
	return strings.Join(items, noBreak+"· ")
}

// height returns the number of rows that text takes on the terminal, which breaks
// long lines.
func (s *streams) height(text string) int {
	columns, height := s.columns(), 0
	for line := range strings.Lines(text) {
		height++
		if width := shownWidth(strings.TrimSuffix(line, "\n")); columns > 0 && width > columns {
			height += (width - 1) / columns
		}
	}
	return height
}

// fits reports whether the terminal shows all of text at once. One of an unknown size
// has the usual 80 columns and 24 rows.
func (s *streams) fits(text string) bool {
	sized := *s
	columns, rows := s.size()
	if columns == 0 || rows == 0 {
		columns, rows = 80, 24
		sized.Size = func() (int, int) { return columns, rows }
	}
	return sized.height(text) <= rows
}

// shownWidth returns the number of columns of text without its escape sequences for
// colours.
func shownWidth(text string) int { return utf8.RuneCountInString(journal.Plain(text)) }

// pad fills text with spaces up to width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// widest returns the width of the longest text.
func widest(texts []string) int {
	width := 0
	for _, text := range texts {
		width = max(width, utf8.RuneCountInString(text))
	}
	return width
}

// when returns part if condition holds, else nothing. It is for the optional parts of a
// text.
func when(condition bool, part string) string {
	if condition {
		return part
	}
	return ""
}

// each returns what f returns for every element of list.
func each[T, U any](list []T, f func(T) U) []U {
	results := make([]U, len(list))
	for i, element := range list {
		results[i] = f(element)
	}
	return results
}

// count is "1 error", "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// clock is a time of day.
func clock(at time.Time) string { return at.Format("15:04:05") }

// short is a duration as people say it: "340 ms", "1.6 s", "29 s", "3 min".
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	default:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
}

// lasting is a time to come as people say it: "8 h", "1 h 30 min", "30 days".
func lasting(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	switch hours := minutes / 60; {
	case d < time.Minute:
		return short(max(d, 0))
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case hours >= 72:
		return count((hours+12)/24, "day")
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d h %d min", hours, minutes%60)
	}
}

// untilText is "23:04 (8 h)", with the day unless that is today.
func untilText(until, now time.Time) string {
	until = until.Local()
	day, today := until.Format("2 January"), now.Local().Format("2 January")
	return until.Format("15:04") + when(day != today, ", "+day) + " (" + lasting(until.Sub(now)) + ")"
}
