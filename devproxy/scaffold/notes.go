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

// all are the notes. Those with the same text are one, which names the files.
func (n *notes) all() []Note {
	var out []Note
	files := map[string][]string{}
	for _, note := range n.list {
		if files[note.Text] == nil {
			out = append(out, note)
		}
		if !slices.Contains(files[note.Text], note.File) {
			files[note.Text] = append(files[note.Text], note.File)
		}
	}
	for i, note := range out {
		if same := files[note.Text]; len(same) > 1 {
			out[i] = Note{Text: note.Text + ": " + some(same)}
		}
	}
	for _, g := range n.groups {
		out = append(out, Note{Text: g.reason + ": " + some(g.subjects)})
	}
	if len(out) > maxNotes {
		rest := len(out) - maxNotes
		out = append(out[:maxNotes:maxNotes], Note{Text: strconv.Itoa(rest) + " more of this kind"})
	}
	return out
}

// some are the first of several things, and how many there are more.
func some(things []string) string {
	if more := len(things) - maxSubjects; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:maxSubjects], ", "), more)
	}
	return strings.Join(things, ", ")
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
