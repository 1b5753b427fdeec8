package plan

import (
	"maps"
	"slices"
)

// sinks says of each attribute of the language what becomes of a variable that
// flows into it: the kinds of effects, or why there are none. Where there are none,
// and for true, false, null and what is empty, a computed value is one of
// KindSetting all the same, or of KindShare in what is about shares.
func sinks() map[string]sink {
	return map[string]sink{
		"aliases":          {kinds: []Kind{KindHostName}},
		"cors":             {kinds: []Kind{KindCORS}},
		"domain":           {kinds: []Kind{KindShare}},
		"fallback":         {kinds: []Kind{KindUpstream, KindSocket}},
		"files":            {kinds: []Kind{KindFiles}},
		"health":           {kinds: []Kind{KindHealth}},
		"match":            {kinds: []Kind{KindMatch}},
		"redirect":         {kinds: []Kind{KindRedirect}},
		"request_headers":  {kinds: []Kind{KindRequestHeader}},
		"respond":          {kinds: []Kind{KindRespond}},
		"response_headers": {kinds: []Kind{KindResponseHeader}},
		"rewrite":          {kinds: []Kind{KindRewrite}},
		"try_files":        {kinds: []Kind{KindFiles}},
		"status":           {kinds: []Kind{KindRedirect}}, // of a redirect
		"upstream":         {kinds: []Kind{KindUpstream, KindSocket}},
		"relay":            {kinds: []Kind{KindRelay, KindShare}},
		"hosts":            {kinds: []Kind{KindShare}},
		"name":             {kinds: []Kind{KindShare}},
		"paths":            {kinds: []Kind{KindShare}},
		"public":           {kinds: []Kind{KindShare}},

		// share is true or false of a host: it decides, and carries nothing.
		"share":    {why: "true or false"},
		"password": {why: "visitors have to know it; it is compared, and sent to nobody"},

		"basic_auth": {why: "bcrypt hashes: they are compared, and sent to nobody"},
		"allow":      {why: "ranges of addresses that are compared with the client's"},
		"deny":       {why: "ranges of addresses that are compared with the client's"},
		"cookies":    {why: "one word"},
		"expires":    {why: "a time"},
		"show":       {why: "paths of a fixed table: they decide, and are sent to nobody"},

		"https": {why: "a port of this machine that devproxy listens on"},
		"http":  {why: "a port of this machine that devproxy listens on"},

		"balance":         {why: "one of three words"},
		"cache":           {why: "true, false or a size"},
		"compress":        {why: "true or false"},
		"exact":           {why: "true or false"},
		"forwarded_proto": {why: "one of two words"},
		"hold":            {why: "a time"},
		"max_body":        {why: "a size"},
		"rate_limit":      {why: "a rate"},
		"simulate":        {why: "a delay, a share of errors, a rate"},
		"spa":             {why: "true or false"},
		"strip_prefix":    {why: "true or false"},
		"timeout":         {why: "a time"},
		"tls_skip_verify": {why: "true or false"},
	}
}

// sink is what becomes of variables in an attribute.
type sink struct {
	kinds []Kind
	why   string // there are no effects; empty where there are
}

// carries reports whether a setting of a share is told to anybody.
func carries(setting string) bool {
	switch setting {
	case "share.allow", "share.expires", "share.show", "share.password", "share.relay":
		return false // the relay is an effect of its own
	}
	return true
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
