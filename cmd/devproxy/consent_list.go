package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// commandsNote follows a list of effects with commands.
const commandsNote = "A command runs as you. One such as `pnpm dev` runs whatever package.json says, today and after every pull."

// containersNote follows a list of effects with containers, labelsNote one with routes for
// them.
const (
	containersNote = "Who can use the API of Docker or Podman can do everything on this machine. devproxy reads from it which containers there are, and changes nothing."
	labelsNote     = "Containers of this project get hosts and routes by their labels, today and after every change of the compose file."
)

// portsNote follows a list of effects with shared ports.
const portsNote = "Visitors connect to the server of a shared port itself: to all data of a database. Neither the secret of the link nor its password protects it."

// effectsTitle is the line before a list of effects.
const effectsTitle = "This Proxyfile reaches outside its project:"

// listEffects prints effects to w: the place, the kind and the text of each in columns. On
// a terminal without room for columns, the text goes below. mark, which may be nil, adds a
// few words to each. The text of an effect stays in its column, so that no part of it can be
// taken for another line.
func (s *streams) listEffects(w io.Writer, effects []*plan.Effect, mark func(*plan.Effect) string) {
	fmt.Fprintln(w, effectsTitle)
	places := each(effects, func(e *plan.Effect) string {
		return hcl.Legible(strings.Join(each(e.Sources, plan.Source.String), ", "))
	})
	kinds := each(effects, func(e *plan.Effect) string { return string(e.Kind) })
	const below = "      "
	for i, e := range effects {
		head, text := "  "+pad(places[i], widest(places))+"  "+pad(kinds[i], widest(kinds))+"  ", hcl.Legible(e.Reach())
		if mark != nil {
			text += " " + unbroken(mark(e))
		}
		indent := shownWidth(head)
		if columns := s.columns(); columns > 0 && columns-indent < 2*minText {
			s.hang(w, "  ", len("  "), places[i]+"  "+kinds[i])
			head, indent = below, len(below)
		}
		for _, line := range broken(head, indent, text, s.columns()) {
			fmt.Fprintln(w, line)
		}
	}
	if slices.Contains(kinds, string(plan.KindCommand)) {
		s.hang(w, "", 0, commandsNote)
	}
	if slices.Contains(kinds, string(plan.KindPort)) {
		s.hang(w, "", 0, portsNote)
	}
	if slices.Contains(kinds, string(plan.KindContainers)) {
		s.hang(w, "", 0, containersNote)
	}
	if slices.ContainsFunc(effects, func(e *plan.Effect) bool { return e.Target == plan.ContainersByLabels }) {
		s.hang(w, "", 0, labelsNote)
	}
}
