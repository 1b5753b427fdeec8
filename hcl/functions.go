package hcl

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions returns what expressions may call.
//
//	strings  chomp format join lower replace split strlen substr title trim
//	         trimprefix trimspace trimsuffix upper
//	lists    coalesce compact concat contains distinct element flatten keys
//	         length lookup merge range reverse slice sort values zipmap
//	numbers  abs ceil floor max min parseint
//	others   env jsondecode jsonencode tobool tonumber tostring url
//
// None of them reads a file, the clock or the network: the meaning of a Proxyfile
// changes only with it or the environment.
func (s *scope) functions() map[string]function.Function {
	all := map[string]function.Function{
		"chomp": stdlib.ChompFunc, "format": checkedFormat(), "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc,
		"replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc,
		"substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc,
		"trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,

		"coalesce": stdlib.CoalesceFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc,
		"keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": stdlib.RangeFunc,
		"reverse": stdlib.ReverseListFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,

		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "max": stdlib.MaxFunc, "min": stdlib.MinFunc,
		"parseint": stdlib.ParseIntFunc,

		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"tobool": stdlib.MakeToFunc(cty.Bool), "tonumber": stdlib.MakeToFunc(cty.Number), "tostring": stdlib.MakeToFunc(cty.String),

		"env": s.envFunction(), "url": s.urlFunction(),
	}
	for name, f := range all {
		all[name] = s.meter.function(name, f)
	}
	return all
}

// wideVerb matches a format verb whose width makes more text than anyone needs.
var wideVerb = regexp.MustCompile(`%[^a-zA-Z%]*([0-9]{4,}|\*)`)

func checkedFormat() function.Function {
	return function.New(&function.Spec{
		Params: stdlib.FormatFunc.Params(), VarParam: stdlib.FormatFunc.VarParam(),
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if args[0].IsKnown() && !args[0].IsNull() && wideVerb.MatchString(args[0].AsString()) {
				return cty.DynamicVal, function.NewArgErrorf(0, "widths above 999 are not allowed")
			}
			return stdlib.FormatFunc.Call(args)
		},
	})
}

// unsetVariable begins the message about a variable that has no value.
const unsetVariable = "the environment variable"

// envFunction returns env(NAME) and env(NAME, DEFAULT).
func (s *scope) envFunction() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "default", Type: cty.String, AllowNull: true},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if len(args) > 2 {
				return cty.DynamicVal, fmt.Errorf("env takes a name and a default, not %d arguments", len(args))
			}
			if value := s.env.getenv(name); value != "" {
				s.secrets.leaves[value] = true
				return cty.StringVal(value).Mark(envMark(name)), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.DynamicVal, function.NewArgErrorf(0, unsetVariable+` %q is not set; give env a default: env(%q, "…")`, name, name)
		},
	})
}

// urlFunction returns url(HOST), the address of a host of this file.
func (s *scope) urlFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "host", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := strings.ToLower(args[0].AsString())
			if !hasHost(s.hostNames, name) {
				hint := "hosts: " + strings.Join(s.hostNames, ", ")
				return cty.DynamicVal, function.NewArgErrorf(0, "unknown host %q; %s", name, didYouMean(name, s.hostNames, hint))
			}
			if s.relocating {
				return cty.DynamicVal, fmt.Errorf("url can't be used in domain; write the name: domain = %q", name)
			}
			return cty.StringVal(s.originOf(name)), nil
		},
	})
}

// originOf returns the address of a host of this file, which may have moved.
func (s *scope) originOf(host string) string {
	host = s.relocation.Moved(host)
	if s.env.port != 0 && s.env.port != 443 {
		return fmt.Sprintf("https://%s:%d", host, s.env.port)
	}
	return "https://" + host
}

// hasHost reports whether name is one of hosts, or one that a wildcard among them matches.
func hasHost(hosts []string, name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return slices.Contains(hosts, name) || slices.Contains(hosts, "*."+parent)
}
