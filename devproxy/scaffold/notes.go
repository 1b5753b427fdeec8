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
type notes []entry

type entry struct {
	Note
	// subjects are files, or the items left out for the same reason if it is
	// grouped.
	subjects []string
	grouped  bool
}

func (n *notes) add(note Note) { n.collect(note, note.File, false) }

// group adds subject to the note with this reason.
func (n *notes) group(reason, subject string) { n.collect(Note{Text: reason}, subject, true) }

func (n *notes) collect(note Note, subject string, grouped bool) {
	i := slices.IndexFunc(*n, func(e entry) bool { return e.Text == note.Text && e.grouped == grouped })
	if i < 0 {
		*n = append(*n, entry{note, []string{subject}, grouped})
	} else if e := &(*n)[i]; !slices.Contains(e.subjects, subject) {
		e.subjects = append(e.subjects, subject)
	}
}

// all returns the notes, those on files first. A text that several files have
// becomes one note, which names them.
func (n *notes) all() []Note {
	var out, grouped []Note
	for _, e := range *n {
		switch joined := (Note{Text: e.Text + ": " + some(e.subjects)}); {
		case e.grouped:
			grouped = append(grouped, joined)
		case len(e.subjects) > 1:
			out = append(out, joined)
		default:
			out = append(out, e.Note)
		}
	}
	out = append(out, grouped...)
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
