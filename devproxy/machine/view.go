package machine

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // the files of the page
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"path/filepath"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/tunnel/page"
)

var (
	//go:embed machine.html
	documents string
	//go:embed machine.css
	style string
	//go:embed machine.js
	script string
)

var layout = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(styles()) },
	"script": func() template.JS { return template.JS(page.Inline(script)) },
}).Parse(documents))

// styles are those of all pages of devproxy, and those of this one.
func styles() string { return page.Style() + page.Inline(style) }

// policy allows the inline style and script, requests to this origin, and the icon.
var policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	page.Hash(styles()), page.Hash(page.Inline(script)))

// view has the values of the template "projects".
type view struct{ Projects []project }

// project is an instance on the page.
type project struct {
	ID     string // the same as long as it runs
	Name   string // that of the folder
	Folder string
	Facts  string // "pid 123, since 10:31"
	// Silent says why the instance has not reported its state; empty if it has.
	Silent   string
	Rejected *rejection // nil if the last save is served
	Share    *sharing
	Services []route
	Hosts    []host
}

// rejection is a save that is not served.
type rejection struct {
	Text     string
	Mistakes []string // the first maxMistakes
	Check    bool     // `devproxy check` says more
}

// maxMistakes is how many mistakes of a save are shown.
const maxMistakes = 3

// host is a served host.
type host struct {
	Name, URL string
	Link      bool   // false for a wildcard
	Place     string // "Proxyfile:7"; may be empty
	Routes    []route
}

// route is a route, a member of its upstream, or a service.
type route struct {
	Path, Upstream string
	State          string // empty if devproxy itself answers
	Kind           string // the class of the state's mark
	Details        []string
	Members        []route
}

// sharing is a share of a project.
type sharing struct {
	Text  string
	Kind  string
	Links []control.SharedHost // the first has the secret
}

func (p *Page) view(answers []control.Answer) view {
	var v view
	for _, answer := range answers {
		v.Projects = append(v.Projects, p.project(answer))
	}
	return v
}

func (p *Page) project(answer control.Answer) project {
	holder, status := answer.Holder, answer.Status
	sum := sha256.Sum256([]byte(holder.Folder))
	shown := project{
		ID: "p" + hex.EncodeToString(sum[:8]), Name: filepath.Base(holder.Folder), Folder: p.opts.Short(holder.Folder),
		Facts: fmt.Sprintf("pid %d, since %s", holder.PID, day(holder.Started)),
	}
	if errors.Is(answer.Err, context.DeadlineExceeded) {
		shown.Silent = "This devproxy does not answer. If it was stopped with Ctrl-Z, fg in its terminal continues it."
	} else if answer.Err != nil {
		shown.Silent = page.Sentence(answer.Err.Error())
	}
	if answer.Err != nil {
		return shown
	}
	if status.Worktree != nil {
		shown.Facts += ", worktree " + status.Worktree.Name
	}
	if status.Engine != nil {
		shown.Facts += ", " + status.Engine.Text()
	}
	if status.Version != p.opts.Version {
		shown.Facts += ", devproxy " + status.Version
	}
	shown.Rejected = rejectionOf(status.Rejected)
	shown.Share = shareOf(status.Share)
	for _, s := range status.Services {
		shown.Services = append(shown.Services, serviceOf(s))
	}
	for _, h := range status.Hosts {
		shown.Hosts = append(shown.Hosts, hostOf(h))
	}
	return shown
}

func rejectionOf(r *control.Rejected) *rejection {
	if r == nil {
		return nil
	}
	shown := &rejection{Text: fmt.Sprintf("The save of %s is not served", clock(r.At))}
	if r.Error != "" {
		shown.Text += ": " + r.Error
	}
	var mistakes []struct {
		Summary, File string
		Line          int
	}
	_ = json.Unmarshal(r.Diagnostics, &mistakes) // of another version, they may be different
	for _, m := range mistakes[:min(len(mistakes), maxMistakes)] {
		shown.Mistakes = append(shown.Mistakes, fmt.Sprintf("%s:%d %s", m.File, m.Line, m.Summary))
	}
	shown.Check = len(mistakes) > 0
	return shown
}

func serviceOf(s control.Service) route {
	line := route{Path: s.Name, State: s.State, Kind: kindWaiting}
	switch s.State {
	case "ready":
		line.Kind = kindUp
	case "failed":
		line.Kind = kindFailed
	}
	if s.Port != 0 {
		line.Upstream = fmt.Sprintf(":%d", s.Port)
	}
	if s.PID != 0 {
		line.State += fmt.Sprintf(", pid %d", s.PID)
	}
	if len(s.WaitsFor) > 0 {
		line.Details = append(line.Details, "waits for "+strings.Join(s.WaitsFor, ", "))
	}
	if s.Late != "" {
		line.Details = append(line.Details, s.Late)
	}
	if s.Exit != "" {
		line.Details = append(line.Details, s.Exit)
	}
	if s.Next != nil {
		line.Details = append(line.Details, "starts again at "+s.Next.Local().Format("15:04:05"))
	}
	return line
}

func hostOf(h control.Host) host {
	shown := host{Name: h.Name, URL: h.URL, Link: !strings.Contains(h.Name, "*"), Place: h.Place()}
	for _, r := range h.Routes {
		line := route{Path: r.Path, Upstream: r.Upstream, Kind: kindOf(r.State)}
		if line.Kind != kindReady {
			line.State = r.State
		}
		if r.Detail != "" {
			line.Details = append(line.Details, r.Detail)
		}
		line.Details = append(line.Details, r.Hints...)
		for _, m := range r.Members {
			line.Members = append(line.Members, memberOf(m))
		}
		shown.Routes = append(shown.Routes, line)
	}
	return shown
}

func memberOf(m control.Member) route {
	line := route{Upstream: m.Upstream, State: m.State, Kind: kindOf(m.State)}
	if m.Fallback {
		line.State += ", fallback"
	}
	if m.Active > 0 {
		line.State += fmt.Sprintf(", %d in progress", m.Active)
	}
	if m.Detail != "" {
		line.Details = []string{m.Detail}
	}
	return line
}

// The kinds of states, which are classes of their marks.
const (
	kindUp      = "up"
	kindReady   = "ready"
	kindWaiting = "waiting"
	kindUnknown = "client"
	kindFailed  = "server"
)

func kindOf(state string) string {
	switch state {
	case control.StateUp:
		return kindUp
	case control.StateReady:
		return kindReady
	case control.StateUnknown:
		return kindUnknown
	}
	return kindWaiting // waiting, unhealthy, withheld
}

// shareOf is nil without a link that works or could work again.
func shareOf(s *control.Share) *sharing {
	if s == nil {
		return nil
	}
	until := ""
	if !s.Expires.IsZero() {
		until = ", until " + day(s.Expires)
	}
	through := "Shared through " + s.Relay
	switch s.State {
	case control.ShareUp:
		shown := &sharing{Text: through + until, Kind: kindUp, Links: s.Links()}
		if s.Password {
			shown.Text += ", with a password"
		}
		return shown
	case control.ShareConnecting, control.ShareResuming, control.ShareWaiting:
		return &sharing{Text: through + ": " + cmp.Or(s.Error, s.State), Kind: kindWaiting, Links: s.Hosts}
	case control.ShareAsleep:
		return &sharing{Text: "The share is paused", Kind: kindUnknown}
	case control.ShareFailed:
		return &sharing{Text: "The share has failed: " + s.Error, Kind: kindFailed}
	}
	return nil
}

func clock(at time.Time) string { return at.Local().Format("15:04") }

// day is a time of day, with the date if that is not today.
func day(at time.Time) string {
	now, local := time.Now(), at.Local()
	if now.YearDay() == local.YearDay() && now.Year() == local.Year() {
		return clock(at)
	}
	return local.Format("2 January 15:04")
}
