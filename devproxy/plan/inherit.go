package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/devproxy/devproxy/hcl"
)

// inherit is route's settings with what they leave out taken from host, the
// answer included. What a service says of itself stands between the two: a
// route, then the service of its upstream, then the host.
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
	s.RequestHeaders = merge(host.RequestHeaders, route.RequestHeaders)
	s.ResponseHeaders = merge(host.ResponseHeaders, route.ResponseHeaders)
	s.RequestFlows = mergeFlows(host.RequestFlows, route.RequestHeaders, route.RequestFlows)
	s.ResponseFlows = mergeFlows(host.ResponseFlows, route.ResponseHeaders, route.ResponseFlows)
	inheritAround(&s, host, route)
	return s
}

// merge is under with over's values in place of its own.
func merge(under, over map[string]*string) map[string]*string {
	merged := map[string]*string{}
	maps.Copy(merged, under)
	maps.Copy(merged, over)
	return merged
}

// mergeFlows is what flows into the fields that merge gives: under's where over
// does not say the field.
func mergeFlows(under map[string]hcl.Flow, over map[string]*string, flows map[string]hcl.Flow) map[string]hcl.Flow {
	merged := map[string]hcl.Flow{}
	for name, flow := range under {
		if _, said := over[name]; !said {
			merged[name] = flow
		}
	}
	maps.Copy(merged, flows)
	return merged
}

// answerRange is where the answer of s is written; nil when it has none.
func answerRange(s *hcl.Settings) *hcl.Range {
	switch {
	case s.Upstream != nil:
		return &s.Upstream.Range
	case s.Files != nil:
		return &s.Files.Range
	case s.Redirect != nil:
		return &s.Redirect.Range
	case s.Respond != nil:
		return &s.Respond.Range
	}
	return nil
}

// headers is m sorted by name; a nil value removes.
func headers(m map[string]*string) []Header {
	var list []Header
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if value := m[name]; value != nil {
			list = append(list, Header{Name: name, Value: *value})
		} else {
			list = append(list, Header{Name: name, Remove: true})
		}
	}
	return list
}

func fixedHeaders(m map[string]string) []Header {
	var list []Header
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, Header{Name: name, Value: m[name]})
	}
	return list
}

func conditions(m *hcl.Match) Conditions {
	if m == nil {
		return Conditions{}
	}
	return Conditions{
		Methods: slices.Sorted(slices.Values(m.Methods)),
		Headers: patterns(m.Headers),
		Query:   patterns(m.Query),
	}
}

func patterns(m map[string]string) []Pattern {
	var list []Pattern
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, Pattern{Name: name, Value: m[name]})
	}
	return list
}
