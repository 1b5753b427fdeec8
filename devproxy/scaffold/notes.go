package scaffold

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Note says what could not be carried over or determined.
type Note struct {
	File string // empty if several files are meant
	Line int    // from 1; 0 means the whole file
	Text string
}

const (
	// maxSubjects is how many things one note names.
	maxSubjects = 8
	// maxNotes is how many notes are shown.
	maxNotes = 12
)

// notes collects notes, each text once.
type notes struct {
	single  []entry // their subjects are files
	grouped []entry // the items left out for the same reason
}

type entry struct {
	Note
	subjects []string
}

func (n *notes) add(note Note) { n.single = collect(n.single, note, note.File) }

// group adds subject to the note with this reason.
func (n *notes) group(reason, subject string) {
	n.grouped = collect(n.grouped, Note{Text: reason}, subject)
}

func collect(list []entry, note Note, subject string) []entry {
	i := slices.IndexFunc(list, func(e entry) bool { return e.Text == note.Text })
	if i < 0 {
		return append(list, entry{note, []string{subject}})
	}
	if e := &list[i]; !slices.Contains(e.subjects, subject) {
		e.subjects = append(e.subjects, subject)
	}
	return list
}

// join adds the notes of more.
func (n *notes) join(more *notes) {
	for _, e := range more.single {
		for _, file := range e.subjects {
			n.add(Note{file, e.Line, e.Text})
		}
	}
	for _, e := range more.grouped {
		for _, subject := range e.subjects {
			n.group(e.Text, subject)
		}
	}
}

// all returns the notes. A text that several files have becomes one note, which
// names them.
func (n *notes) all() []Note {
	var out []Note
	for _, e := range n.single {
		if len(e.subjects) > 1 {
			e.Note = Note{Text: e.Text + ": " + some(e.subjects)}
		}
		out = append(out, e.Note)
	}
	for _, e := range n.grouped {
		out = append(out, Note{Text: e.Text + ": " + some(e.subjects)})
	}
	if more := len(out) - maxNotes; more > 0 {
		out = append(out[:maxNotes:maxNotes], Note{Text: strconv.Itoa(more) + " more notes"})
	}
	return out
}

// some joins the first few things, with the number of the others.
func some(things []string) string {
	if more := len(things) - maxSubjects; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:maxSubjects], ", "), more)
	}
	return strings.Join(things, ", ")
}

// short shortens text for a note to 60 characters.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return printable(text)
}

// printable quotes text that could control the terminal.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if quoted[1:len(quoted)-1] == text {
		return text
	}
	return quoted
}
