package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/devproxy/devproxy/hcl"
)

// Build makes the plan of a checked file. Diagnostics are what only the plan
// can tell: a loop to devproxy itself or of redirects, a route that can never match, a host's
// own answer beside a route "/". A plan with errors is whole, so that it can be
// looked at, but is not to be served. Equal files and environments make equal
// plans.
func Build(file *hcl.File, env Env) (*Plan, hcl.Diagnostics) {
	b := builder{file: file, env: env, redirects: map[*Route]hcl.Range{}, effects: effects{root: cmp.Or(env.Root, file.RealDir, file.Dir), byID: map[string]*Effect{}, routes: map[hcl.Range][]*Route{}}}
	p := &Plan{mask: file.Mask}
	for _, h := range file.Hosts {
		p.hosts = append(p.hosts, b.host(h))
	}
	p.table = newTable(p.hosts)
	b.findLoops(p)
	p.shares = []*Share{b.share()}
	b.effects.sharing(&b)
	b.effects.rest(&b, p.hosts)
	p.effects = b.effects.all
	b.diags.Sort()
	return p, b.diags
}

type builder struct {
	file    *hcl.File
	env     Env
	diags   hcl.Diagnostics
	effects effects
	// redirects are the routes that redirect, and where that is written.
	redirects map[*Route]hcl.Range
}

func (b *builder) host(h *hcl.Host) *Host {
	host := &Host{Name: h.Name.Value, Folder: b.file.Dir, Source: b.source(h.Range)}
	host.names = []name{{h.Name.Value, b.source(h.Name.Range)}}
	for _, alias := range h.Aliases {
		host.Aliases = append(host.Aliases, alias.Value)
		host.names = append(host.names, name{alias.Value, b.source(alias.Range)})
	}

	var written []*hcl.Route
	if answerRange(&h.Settings) != nil {
		written = append(written, &hcl.Route{Path: "/", PathRange: *answerRange(&h.Settings)})
	}
	written = append(written, h.Routes...)
	ranges := map[*Route]hcl.Range{}
	for _, w := range written {
		if r := b.route(host, h, w); r != nil {
			host.Routes = append(host.Routes, r)
			ranges[r] = w.PathRange
		}
	}
	b.findDuplicates(host, ranges)
	slices.SortStableFunc(host.Routes, order)
	b.findUnreachable(host, ranges)
	b.findOverlaps(host, ranges)
	host.tree = newTree(host.Routes)
	b.effects.routes[h.Range] = host.Routes
	host.guarded = anyGuarded(host.Routes)
	compareRoutes(host.Routes)
	b.effects.names(b, h)
	return host
}

// route is w with what it leaves out taken from h; nil when neither has an
// answer.
func (b *builder) route(host *Host, h *hcl.Host, w *hcl.Route) *Route {
	s := inherit(&h.Settings, &w.Settings)
	at := answerRange(&s)
	if at == nil {
		b.errorf(w.Range, "write upstream, files, redirect or respond", "route %q answers with nothing", w.Path)
		return nil
	}
	r := &Route{
		Host: host, Path: w.Path, Exact: w.Exact, Match: conditions(w.Match),
		StripPrefix: w.StripPrefix, Rewrite: w.Rewrite, ForwardedHTTP: s.ForwardedProto == hcl.ForwardedHTTP,
		ResponseHeaders: headers(s.ResponseHeaders),
		Hold:            DefaultHold,
		Source:          b.source(*at),
	}
	if s.Timeout != nil {
		r.Timeout = *s.Timeout
	}
	if s.Hold != nil {
		r.Hold = *s.Hold
	}
	r.RequestHeaders, r.Answer = b.answer(&s)
	if _, redirects := r.Answer.(*Redirect); redirects {
		b.redirects[r] = s.Redirect.Range
	}
	if f := s.TryFiles; f != nil && s.Upstream != nil {
		r.TryFiles = &TryFiles{Files: b.files(f), Whole: w.TryFiles == nil}
	}
	b.around(r, &s)
	b.checkAround(r, w, &s)
	r.ID = r.identity()
	b.effects.route(b, r, &s, w)
	return r
}

// answer is what s answers with, and the request headers that are left once an
// upstream has taken Host as its authority.
func (b *builder) answer(s *hcl.Settings) ([]Header, Answer) {
	request := headers(s.RequestHeaders)
	switch {
	case s.Upstream != nil:
		authority := ""
		if i := slices.IndexFunc(request, func(h Header) bool { return h.Name == "Host" }); i >= 0 {
			authority = request[i].Value // KeepHost, or without placeholders
			request = slices.Delete(request, i, i+1)
		}
		return request, b.upstream(s.Upstream, authority, s.TLSSkipVerify != nil && *s.TLSSkipVerify)
	case s.Files != nil:
		files := b.files(s.Files)
		return request, &files
	case s.Redirect != nil:
		return request, &Redirect{Target: s.Redirect.Target, Status: s.Redirect.Status}
	default:
		return request, &Respond{Status: s.Respond.Status, Body: s.Respond.Body, Headers: fixedHeaders(s.Respond.Headers)}
	}
}

func (b *builder) files(f *hcl.Files) Files {
	return Files{Dir: f.Dir, Text: f.Text, SPA: f.SPA, Within: b.effects.boundary(cmp.Or(f.Real, f.Dir))}
}

// source quotes the line that r begins on.
func (b *builder) source(r hcl.Range) Source {
	if r.Start.Line == 0 {
		return Source{File: r.File}
	}
	src := b.file.Sources[r.File]
	at := min(r.Start.Byte, len(src))
	line := src[bytes.LastIndexByte(src[:at], '\n')+1:]
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return Source{File: r.File, Line: r.Start.Line, Text: string(bytes.TrimSpace(line))}
}

// errorf adds an error once: a service that several routes use is wrong once.
func (b *builder) errorf(at hcl.Range, detail, format string, args ...any) {
	d := hcl.Diagnostic{Severity: hcl.Error, Summary: b.file.Mask.Text(fmt.Sprintf(format, args...)), Detail: b.file.Mask.Text(detail), Range: at}
	if !slices.Contains(b.diags, d) {
		b.diags = append(b.diags, d)
	}
}

func (b *builder) warnf(at hcl.Range, detail, format string, args ...any) {
	b.diags = append(b.diags, hcl.Diagnostic{
		Severity: hcl.Warning, Summary: b.file.Mask.Text(fmt.Sprintf(format, args...)), Detail: b.file.Mask.Text(detail), Range: at,
	})
}
