package main

import (
	"fmt"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy/answer"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
)

// shareView says what a visitor of a share would get.
type shareView struct {
	// Hidden is true if the visitor gets 404.
	Hidden bool   `json:"hidden"`
	Kind   string `json:"kind,omitempty"` // "secret" or "developer tool"
	Reason string `json:"reason,omitempty"`
	// Show is the entry of `share { show = […] }` that shows it; empty if none can.
	Show string `json:"show,omitempty"`
}

// explainShare returns what a visitor would get for the request that x explains.
func explainShare(p *plan.Plan, v *visit, x *explanation) (*shareView, error) {
	settings := p.Share()
	root, err := filepath.EvalSymlinks(settings.Folder)
	if err != nil {
		root = settings.Folder
	}
	// What is hidden does not depend on the names.
	s, err := share.New(share.Options{
		Hosts: []share.Host{{Local: "local.invalid", Public: "public.invalid"}},
		Root:  root, Paths: settings.Paths, Show: settings.Show,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot explain the share: %w", err)
	}
	if x.Host != nil {
		for _, host := range settings.NotShared {
			if host.Name == x.Host.Name {
				return &shareView{Hidden: true, Reason: "the host is not shared: " + host.Reason}, nil
			}
		}
	}
	if hit, hidden := s.Hides(v.target(v.path)); hidden {
		return hiddenView(hit), nil
	}
	if !s.Exists(v.path) {
		return &shareView{Hidden: true, Reason: "the path is not in share.paths"}, nil
	}
	if m, err := p.Match(v.request()); err == nil {
		paths := []string{m.Target(v.path), m.Rest}
		if files, ok := m.Route.Answer.(*plan.Files); ok {
			paths = []string{answer.LooksUp(files, m), m.Rest}
		}
		if m.Route.TryFiles != nil {
			paths = append(paths, m.TryPath())
		}
		for _, sent := range paths {
			if hit, hidden := s.HidesSent(v.target(sent)); hidden {
				return hiddenView(hit), nil
			}
		}
	}
	return &shareView{}, nil
}

func hiddenView(hit share.Hit) *shareView {
	return &shareView{Hidden: true, Kind: string(hit.Kind), Reason: hit.What, Show: hit.Show}
}

func (s *shareView) rows() []row {
	if !s.Hidden {
		return []row{{"share", "visible to visitors", nil}}
	}
	text := s.Reason
	if s.Kind != "" {
		text = s.Kind + ": " + text
	}
	rows := []row{{"share", "hidden from visitors (" + text + ")", nil}}
	switch {
	case s.Show != "":
		rows = append(rows, row{"to show", showAttribute(s.Show), nil})
	case s.Kind != "":
		rows = append(rows, row{"to show", "not possible", nil})
	}
	return rows
}

// showAttribute is what to write to show an entry.
func showAttribute(entry string) string { return fmt.Sprintf("share { show = [%q] }", entry) }
