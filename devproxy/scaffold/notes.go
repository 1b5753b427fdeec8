package scaffold

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Note is something that was seen and could not be carried over or determined.
type Note struct {
	File string // empty where several files are meant
	Line int    // from 1; 0 means the whole file
	Text string
}

// notes collects each thing once. Things that are left out for the same reason
// become one note.
type notes struct {
	list   []Note
	groups []noteGroup
}

type noteGroup struct {
	reason   string
	subjects []string
}

func (n *notes) add(note Note) {
	if !slices.Contains(n.list, note) {
		n.list = append(n.list, note)
	}
}

// group adds subject to the note of a reason.
func (n *notes) group(reason, subject string) {
	i := slices.IndexFunc(n.groups, func(g noteGroup) bool { return g.reason == reason })
	if i < 0 {
		n.groups = append(n.groups, noteGroup{reason: reason})
		i = len(n.groups) - 1
	}
	if !slices.Contains(n.groups[i].subjects, subject) {
		n.groups[i].subjects = append(n.groups[i].subjects, subject)
	}
}

// join adds the notes of more.
func (n *notes) join(more *notes) {
	for _, note := range more.list {
		n.add(note)
	}
	for _, g := range more.groups {
		for _, subject := range g.subjects {
			n.group(g.reason, subject)
		}
	}
}

// maxSubjects is how many things a note names; maxNotes is how many notes are
// shown.
const (
	maxSubjects = 8
	maxNotes    = 12
)

// all are the notes, those of the same text and file together.
func (n *notes) all() []Note {
	var out []Note
	for _, note := range n.list {
		i := slices.IndexFunc(out, func(o Note) bool { return o.File == note.File && o.Text == note.Text })
		if i < 0 {
			out = append(out, note)
		}
	}
	for _, g := range n.groups {
		subjects := g.subjects
		more := ""
		if len(subjects) > maxSubjects {
			more = fmt.Sprintf(" and %d more", len(subjects)-maxSubjects)
			subjects = subjects[:maxSubjects]
		}
		out = append(out, Note{Text: g.reason + ": " + strings.Join(subjects, ", ") + more})
	}
	if len(out) > maxNotes {
		rest := len(out) - maxNotes
		out = append(out[:maxNotes:maxNotes], Note{Text: strconv.Itoa(rest) + " more of this kind"})
	}
	return out
}

// short is text for a note, at most 60 characters.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return printable(text)
}

// printable is text for a terminal, which it must not steer.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if quoted[1:len(quoted)-1] == text {
		return text
	}
	return quoted
}
