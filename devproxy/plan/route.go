package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// DefaultHold is how long a request waits for an upstream that refuses
// connections, unless the Proxyfile says otherwise.
const DefaultHold = 10 * time.Second

// Route is one route of a host, with its own settings and the inherited ones.
type Route struct {
	// ID is the route's identity across plans: host, path, exact and match.
	ID    string
	Host  *Host
	Path  string // "/" or "/api"; "*" in it matches any characters within one segment
	Exact bool
	Match Conditions

	// Answer is one of *Upstream, *Files, *Redirect, *Respond, *Withheld.
	Answer Answer

	// TryFiles is the folder whose files answer before an *Upstream; nil means
	// none.
	TryFiles *TryFiles

	StripPrefix bool
	Rewrite     string // path to forward, with {rest} in it; empty means unchanged

	RequestHeaders, ResponseHeaders []Header // sorted by name

	// ForwardedHTTP tells the upstream that its clients use plain HTTP. False tells
	// it the scheme that they use.
	ForwardedHTTP bool
	// PublicHost tells the upstream the public names of a share, in the requests of
	// its visitors. False tells it the local ones.
	PublicHost bool

	Timeout time.Duration // to the first response byte; 0 means none
	Hold    time.Duration // for a refusing upstream; 0 means none

	// Around are the settings around the answer, in the order in which a request
	// meets them. It has at most one of each type. See SettingOf.
	Around []Setting

	// Source is the line that gives the route its answer. Labelled is true if that is
	// the line with discover: labels of containers have made the route.
	Source   Source
	Labelled bool

	// guard and effect number the routes of a host: routes with equal guards let
	// in the same clients, and routes with equal effects treat a request alike.
	guard, effect int
	rank          int // in Host.Routes
	// original is set in the copies of Host.folded.
	original *Route
}

// Header is a field that a route sets (Value) or removes.
type Header struct {
	Name   string // canonical
	Value  string
	Remove bool
}

// String returns the field as it is sent, or "-" and its name if it is removed.
func (h Header) String() string {
	if h.Remove {
		return "-" + h.Name
	}
	return h.Name + ": " + h.Value
}

// Label identifies the route within its host: its path and its other
// conditions: "/api", "/api (exact)", "/api (POST; X-Debug: 1)".
func (r *Route) Label() string {
	var requires []string
	if r.Exact {
		requires = append(requires, "exact")
	}
	if c := r.Match.String(); c != "" {
		requires = append(requires, c)
	}
	if len(requires) == 0 {
		return r.Path
	}
	return r.Path + " (" + strings.Join(requires, "; ") + ")"
}

// identity returns the route's ID. Its parts are unambiguous, whatever they
// contain.
func (r *Route) identity() string {
	id := r.Host.Name + r.Path
	if r.Exact {
		id += " exact"
	}
	if r.Match.Count() > 0 {
		id += fmt.Sprintf(" %q %q %q", r.Match.Methods, r.Match.Headers, r.Match.Query)
	}
	return id
}

// SameResponses reports whether an upstream's responses for r are those that
// other would get, so that a cache of one serves the other.
func (r *Route) SameResponses(other *Route) bool {
	if r == other {
		return true
	}
	_, forwards := r.Answer.(*Upstream)
	return forwards && sameAnswer(r.Answer, other.Answer) && reflect.DeepEqual(r.forwarding(), other.forwarding())
}

// forwarding returns the settings that change the request to an upstream and
// its response.
func (r *Route) forwarding() []namedSetting {
	proto := hcl.ForwardedHTTPS
	if r.ForwardedHTTP {
		proto = hcl.ForwardedHTTP
	}
	files := ""
	if r.TryFiles != nil {
		files = r.TryFiles.Text
	}
	return []namedSetting{
		{name: "try_files", text: files, value: r.TryFiles},
		{name: "strip_prefix", text: onlyTrue(r.StripPrefix)},
		{name: "rewrite", text: r.Rewrite},
		{name: "request_headers", text: headerText(r.RequestHeaders), value: r.RequestHeaders},
		{name: "response_headers", text: headerText(r.ResponseHeaders), value: r.ResponseHeaders},
		{name: "forwarded_proto", text: string(proto)},
		{name: "public_host", text: onlyTrue(r.PublicHost)},
	}
}

// settings returns all settings of the route in the order in which changes name
// them.
func (r *Route) settings() []namedSetting {
	list := append(r.forwarding(),
		namedSetting{name: "timeout", text: r.Timeout.String()},
		namedSetting{name: "hold", text: r.Hold.String()},
	)
	for _, s := range r.Around {
		list = append(list, namedSetting{name: s.Name(), text: s.String(), value: s})
	}
	return list
}

func onlyTrue(on bool) string {
	if on {
		return "true"
	}
	return ""
}

func headerText(fields []Header) string {
	return strings.Join(mapped(fields, Header.String), ", ")
}

// guarded reports whether r lets in only some clients.
func (r *Route) guarded() bool { return r != nil && slices.ContainsFunc(r.Around, guards) }

// weaker reports whether a request that reaches r would avoid the guard of other:
// other is guarded, and r is not guarded in the same way.
func (r *Route) weaker(other *Route) bool {
	return other.guarded() && (r == nil || r.guard != other.guard)
}

// same reports whether it doesn't matter which of two routes a request reaches:
// their answers and all settings around them are equal.
func (r *Route) same(other *Route) bool {
	return r == other || r != nil && other != nil && r.effect == other.effect
}

// mapsPath reports whether the answer depends on the part after the route's
// path, and not on the whole path as it came.
func (r *Route) mapsPath() bool {
	switch a := r.Answer.(type) {
	case *Files:
		return true
	case *Redirect:
		return strings.Contains(a.Target, restMark)
	}
	rest := func(h Header) bool { return strings.Contains(h.Value, restMark) }
	return r.StripPrefix || r.Rewrite != "" || r.TryFiles != nil && !r.TryFiles.Whole ||
		slices.ContainsFunc(r.RequestHeaders, rest) || slices.ContainsFunc(r.ResponseHeaders, rest)
}

// compareRoutes sets guard and effect of routes: equal numbers mean equal guards
// and effects.
func compareRoutes(routes []*Route) {
	seenGuards, effects := map[string]int{}, map[string]int{}
	number := func(of map[string]int, text string) int {
		if _, ok := of[text]; !ok {
			of[text] = len(of) + 1
		}
		return of[text]
	}
	for _, r := range routes {
		guard, around := map[string]Setting{}, map[string]Setting{}
		for _, s := range r.Around {
			switch s.(type) {
			case Access, BasicAuth:
				guard[s.Name()] = s
			case Compress: // only changes how a response is sent
			default:
				around[s.Name()] = s
			}
		}
		r.guard = number(seenGuards, asText(guard))
		var path string
		if r.mapsPath() {
			path = r.ID
		}
		var answer any = r.Answer
		switch a := r.Answer.(type) {
		case *Upstream:
			answer = a.Key // its text is only for people
		case *Withheld:
			answer = r.ID
		}
		r.effect = number(effects, asText(r.guard, path, fmt.Sprintf("%T", r.Answer), answer, around,
			r.TryFiles, r.StripPrefix, r.Rewrite, r.ForwardedHTTP, r.PublicHost, r.RequestHeaders, r.ResponseHeaders))
	}
}

// asText returns a text that is equal for equal values. They are plain data,
// which can always be encoded.
func asText(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// route returns w with missing attributes taken from h, or nil if neither has
// an answer.
func (b *builder) route(host *Host, h *hcl.Host, w *hcl.Route) *Route {
	s := inherit(&h.Settings, &w.Settings)
	labelled := false
	if s.Upstream != nil && s.Upstream.Service != nil {
		if _, labelled = b.labelled[s.Upstream.Service]; labelled {
			withoutEnvironment(&s)
		}
	}
	at := answerRange(&s)
	if at == nil {
		b.errorf(w.Range, "add one of them", "route %q has no upstream, files, redirect or respond", w.Path)
		return nil
	}
	r := &Route{
		Host: host, Path: w.Path, Exact: w.Exact, Match: conditions(w.Match),
		StripPrefix: w.StripPrefix, Rewrite: w.Rewrite, ForwardedHTTP: s.ForwardedProto == hcl.ForwardedHTTP,
		PublicHost:      s.PublicHost != nil && *s.PublicHost,
		ResponseHeaders: headers(s.ResponseHeaders),
		Hold:            DefaultHold,
		Source:          b.source(*at),
		Labelled:        labelled,
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
	r.Around = b.around(&s)
	b.checkAround(r, w, &s)
	r.ID = r.identity()
	b.effects.route(r, &s, w)
	return r
}

// inherit returns route's settings with missing ones taken from host, the
// answer included. The settings of a service come in between: first the route,
// then the service of its upstream, then the host.
func inherit(host, route *hcl.Settings) hcl.Settings {
	s := *route
	if answerRange(route) == nil {
		s.Upstream, s.Files, s.Redirect, s.Respond = host.Upstream, host.Files, host.Redirect, host.Respond
		if !s.NoTryFiles {
			s.TryFiles = cmp.Or(s.TryFiles, host.TryFiles)
		}
	}
	service := &hcl.Service{}
	if s.Upstream != nil && s.Upstream.Service != nil {
		service = s.Upstream.Service
	}
	s.Hold = cmp.Or(route.Hold, service.Hold, host.Hold)
	s.Timeout = cmp.Or(route.Timeout, service.Timeout, host.Timeout)
	s.TLSSkipVerify = cmp.Or(route.TLSSkipVerify, service.TLSSkipVerify, host.TLSSkipVerify)
	s.ForwardedProto = cmp.Or(route.ForwardedProto, service.ForwardedProto, host.ForwardedProto)
	s.PublicHost = cmp.Or(route.PublicHost, host.PublicHost)
	s.RequestHeaders = merge(host.RequestHeaders, route.RequestHeaders)
	s.ResponseHeaders = merge(host.ResponseHeaders, route.ResponseHeaders)
	s.RequestFlows = mergeFlows(host.RequestFlows, route.RequestHeaders, route.RequestFlows)
	s.ResponseFlows = mergeFlows(host.ResponseFlows, route.ResponseHeaders, route.ResponseFlows)
	inheritAround(&s, host)
	return s
}

// merge returns under, with the values of over in place of its own.
func merge[V any](under, over map[string]V) map[string]V {
	merged := map[string]V{}
	maps.Copy(merged, under)
	maps.Copy(merged, over)
	return merged
}

// mergeFlows returns what flows into merged fields: the flows of the host for
// the fields that the route doesn't have, and those of the route.
func mergeFlows(host map[string]hcl.Flow, own map[string]*string, ownFlows map[string]hcl.Flow) map[string]hcl.Flow {
	merged := merge(host, ownFlows)
	for name := range own {
		if _, flows := ownFlows[name]; !flows {
			delete(merged, name)
		}
	}
	return merged
}

// headers returns m sorted by name. A nil value removes the field.
func headers(m map[string]*string) []Header {
	var list []Header
	for _, name := range sortedNames(m) {
		if value := m[name]; value != nil {
			list = append(list, Header{Name: name, Value: *value})
		} else {
			list = append(list, Header{Name: name, Remove: true})
		}
	}
	return list
}

// mapped returns the result of to for each of values.
func mapped[V, W any](values []V, to func(V) W) []W {
	var results []W
	for _, v := range values {
		results = append(results, to(v))
	}
	return results
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
