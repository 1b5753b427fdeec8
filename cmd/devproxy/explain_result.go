package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/answer"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/hcl"
)

// explanation is the JSON of `devproxy explain --json`. Fields are added, never
// renamed or removed. Fields that do not apply are left out.
type explanation struct {
	URL string `json:"url"`
	// Asked is the URL that was asked for, if its host has moved in a worktree.
	Asked  string  `json:"asked,omitempty"`
	Method string  `json:"method"`
	Host   *place  `json:"host,omitempty"`
	Route  *placed `json:"route,omitempty"`
	// Around are the settings that apply before the answer, in order.
	Around []setting  `json:"around,omitempty"`
	Answer *answering `json:"answer,omitempty"`
	Sends  *sending   `json:"sends,omitempty"` // with an upstream
	// Consent are the effects of the route outside its project.
	Consent []effectJSON `json:"consent,omitempty"`
	// Skipped are routes whose path matches and whose conditions do not.
	Skipped []skipped `json:"skipped,omitempty"`
	// Share describes the result for a visitor of a share; with --share.
	Share *shareView `json:"share,omitempty"`
	// Error is set if devproxy itself answers. The exit code is 1 then.
	Error *refusal `json:"error,omitempty"`

	route *plan.Route // nil if devproxy itself answers
}

// place is a name and the line where it is written.
type place struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// placed is a route. Its name is its path and conditions, its line that of the answer.
type placed struct {
	place
	Path  string `json:"path"`
	Exact bool   `json:"exact"`
	Text  string `json:"text,omitempty"` // the line
}

// answering is the answer of a route. Kind is "upstream", "files", "redirect" or
// "respond", or "devproxy" for its own paths, which have no route.
type answering struct {
	Kind     string    `json:"kind"`
	Text     string    `json:"text"`
	Members  []member  `json:"members,omitempty"`         // upstream
	Balance  string    `json:"balance,omitempty"`         // upstream of several members
	First    string    `json:"first,omitempty"`           // upstream of several members: the first to get the request
	Health   string    `json:"health,omitempty"`          // upstream: "GET /healthz every 2s"
	Fallback []member  `json:"fallback,omitempty"`        // upstream: tried in order if no member answers
	Timeout  string    `json:"timeout,omitempty"`         // upstream: "30s"
	Hold     string    `json:"hold,omitempty"`            // upstream: "10s"
	Proto    string    `json:"forwarded_proto,omitempty"` // upstream that sees another scheme than its clients: "http"
	Public   bool      `json:"public_host,omitempty"`     // upstream that gets a visitor's public names
	TryFiles *tried    `json:"try_files,omitempty"`       // upstream: a file that comes first
	Dir      string    `json:"dir,omitempty"`             // files
	Path     string    `json:"path,omitempty"`            // files: within dir
	SPA      bool      `json:"spa,omitempty"`             // files
	Status   int       `json:"status,omitempty"`          // redirect, respond
	Location string    `json:"location,omitempty"`        // redirect
	Body     string    `json:"body,omitempty"`            // respond
	Headers  []changed `json:"headers,omitempty"`         // set on the response
}

// tried is a file that comes before an upstream.
type tried struct {
	Dir   string `json:"dir"`
	Path  string `json:"path"`
	Found bool   `json:"found"` // it exists and answers: nothing is sent
}

// member is one address of an upstream; addresses are tried in order.
type member struct {
	Text      string   `json:"text"`
	Protocol  string   `json:"protocol"` // "http", "https" or "h2c"
	Addresses []string `json:"addresses"`
	Host      string   `json:"host"` // the Host field that it gets
	TLSName   string   `json:"tls_name,omitempty"`
	Verified  bool     `json:"verified"` // its certificate is verified
}

// sending is the request as the upstream gets it.
type sending struct {
	Method  string    `json:"method"`
	Target  string    `json:"target"`
	Headers []changed `json:"headers"`
}

// changed is a field that is set or removed.
type changed struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Remove bool   `json:"remove,omitempty"`
}

type skipped struct {
	place
	Reason string `json:"reason"`
}

// refusal is an error that devproxy answers with.
type refusal struct {
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Near   string `json:"near,omitempty"` // the host that was probably meant
}

func explain(p *plan.Plan, v *visit) *explanation {
	x := &explanation{URL: v.url(), Method: v.method}
	tried := p.Trace(v.request())
	for _, t := range tried {
		if t.Failed != "" {
			x.Skipped = append(x.Skipped, skipped{placeOf(t.Route.Label(), t.Route.Source), t.Failed})
		}
	}
	if plan.IsOwnHost(v.request().Host) {
		x.Answer = &answering{Kind: "devproxy", Text: "devproxy itself: the page that devproxy open shows"}
		return x
	}
	m, err := p.Match(v.request())
	if err != nil {
		x.refuse(err)
		return x
	}
	if decoded, err := url.PathUnescape(v.path); err == nil && strings.HasPrefix(decoded, plan.OwnPaths) {
		x.Skipped = nil
		x.Answer = &answering{Kind: "devproxy", Text: "devproxy itself, before any route"}
		return x
	}
	r := m.Route
	x.route = r
	host := placeOf(r.Host.Name, r.Host.Source)
	x.Host = &host
	x.Route = &placed{placeOf(r.Label(), r.Source), r.Path, r.Exact, r.Source.Text}
	x.Around = settingsOf(r, v)
	x.answer(m, v)
	return x
}

// refuse says with which status devproxy answers, and why.
func (x *explanation) refuse(err error) {
	x.Error = &refusal{Status: http.StatusNotFound, Reason: err.Error()}
	if unknown, ok := errors.AsType[*plan.UnknownHostError](err); ok {
		x.Error.Reason, x.Error.Near = fmt.Sprintf("the Proxyfile has no host %q", unknown.Host), unknown.Near()
	}
	if missing, ok := errors.AsType[*plan.NoRouteError](err); ok {
		host := placeOf(missing.Host.Name, missing.Host.Source)
		x.Host = &host
	}
	if _, ok := errors.AsType[*plan.PathError](err); ok {
		x.Error.Status = http.StatusBadRequest
	}
}

func (x *explanation) answer(m plan.Match, v *visit) {
	m = m.With(plan.Values{Client: netip.MustParseAddrPort(here).Addr().String(), Host: v.authority, Path: v.path, Query: v.rawQuery(), ID: "{id}"})
	r := m.Route
	x.Answer = &answering{Text: r.Answer.String(), Headers: changes(r.ResponseHeaders)}
	switch a := r.Answer.(type) {
	case *plan.Upstream:
		x.Answer.Kind, x.Answer.Hold = "upstream", r.Hold.String()
		x.Answer.spread(a, v)
		if r.ForwardedHTTP {
			x.Answer.Proto = string(hcl.ForwardedHTTP)
		}
		x.Answer.Public = r.PublicHost
		if r.Timeout > 0 {
			x.Answer.Timeout = r.Timeout.String()
		}
		if f := r.TryFiles; f != nil {
			x.Answer.TryFiles = &tried{f.Dir, m.TryPath(), answer.HasTry(&http.Request{Method: v.method, Header: v.header}, f, m.TryPath())}
			if x.Answer.TryFiles.Found {
				break
			}
		}
		x.Sends = &sending{Method: v.method, Target: v.target(m.Target(v.path)), Headers: sentHeaders(m, a, v)}
	case *plan.Files:
		x.Answer.Kind, x.Answer.Dir, x.Answer.SPA = "files", a.Dir, a.SPA
		if !r.Exact || !answer.IsSingle(a) {
			x.Answer.Path = "/" + strings.TrimLeft(m.FilesPath(), "/")
		}
	case *plan.Redirect:
		x.Answer.Kind, x.Answer.Status, x.Answer.Location = "redirect", a.Status, m.Location(v.rawQuery())
	case *plan.Respond:
		x.Answer.Kind, x.Answer.Status, x.Answer.Body = "respond", a.Status, a.Body
		x.Answer.Headers = append(changes(a.Headers), x.Answer.Headers...)
	}
}

// spread lists the members among which requests are spread, and how.
func (a *answering) spread(u *plan.Upstream, v *visit) {
	a.Members, a.Fallback = membersOf(u.Members, v), membersOf(u.Fallback, v)
	if u.Health != nil {
		a.Health = u.Health.String()
	}
	if len(u.Members) < 2 {
		return
	}
	a.Balance = string(u.Balance)
	switch u.Balance {
	case plan.BalanceLeastConn:
		a.First = "the one with the fewest requests in progress"
	case plan.BalanceCookie:
		a.First = "the browser's own, by its cookie; in turn for a new browser"
	default:
		a.First = u.Members[0].Text + ", then in turn"
	}
}

func placeOf(name string, s plan.Source) place { return place{name, s.File, s.Line} }

func membersOf(members []plan.Member, v *visit) []member {
	return each(members, func(m plan.Member) member {
		return member{
			Text: m.Text, Protocol: string(m.Scheme), Addresses: m.Addrs, Host: cmp.Or(m.Authority, v.authority),
			TLSName: m.ServerName, Verified: m.ServerName != "" && !m.SkipVerify,
		}
	})
}

func changes(fields []plan.Header) []changed {
	return each(fields, func(f plan.Header) changed { return changed{f.Name, f.Value, f.Remove} })
}

// here is the visitor's address in an explanation: a browser of this machine.
const here = "127.0.0.1:0"

// sentHeaders returns the fields of the request as the first member of the
// upstream gets them: Host first, then by name, and last the fields that the
// route removes.
func sentHeaders(m plan.Match, u *plan.Upstream, v *visit) []changed {
	r := &http.Request{Method: v.method, Host: v.authority, Header: v.header, RemoteAddr: here}
	header, host := forward.RequestHeader(r, forward.Exchange{Match: m, Scheme: v.scheme}, &u.Members[0])
	list := []changed{{Name: "Host", Value: host}}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			list = append(list, changed{Name: name, Value: value})
		}
	}
	for _, field := range m.Route.RequestHeaders {
		if field.Remove {
			list = append(list, changed{Name: field.Name, Remove: true})
		}
	}
	return list
}

// shareView describes the result for a visitor of a share.
type shareView struct {
	// Hidden is true if the visitor gets 404.
	Hidden bool   `json:"hidden"`
	Kind   string `json:"kind,omitempty"` // "secret" or "developer tool"
	Reason string `json:"reason,omitempty"`
	// Show is the entry of `share { show = […] }` that shows it; empty if none can.
	Show string `json:"show,omitempty"`
}

// explainShare returns the result for a visitor with the request that x
// explains.
func explainShare(p *plan.Plan, v *visit, x *explanation) (*shareView, error) {
	if plan.IsOwnHost(v.request().Host) {
		return &shareView{Hidden: true, Reason: "no share has this host"}, nil
	}
	settings := p.Share()
	root, err := filepath.EvalSymlinks(settings.Folder)
	if err != nil {
		root = settings.Folder
	}
	// Hiding does not depend on the names.
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
