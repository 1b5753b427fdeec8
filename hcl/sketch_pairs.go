package hcl

import (
	"regexp"
	"slices"
	"strings"
)

// pair is a key and a value of a file that is made of such. A key that holds
// more keys has an empty value.
type pair struct{ key, value string }

var (
	jsonPair = regexp.MustCompile(`(?:"([^"\\\n]*)"|'([^'\\\n]*)'|([A-Za-z_$][\w$]*))[ \t]*:[ \t]*(?:"([^"\\\n]*)"|'([^'\\\n]*)'|([0-9]+)|[\[{])`)
	linePair = regexp.MustCompile(`^[ \t]*(?:- +)?(?:export +)?["']?([^\s"':=\[\]]+|[^\s"'=\[\]]+\.[^\s"'=\[\]:]+)["']?[ \t]*[:=][ \t]*(.*)$`)
	section  = regexp.MustCompile(`^[ \t]*\[\[?([^\]]+)\]`)
)

// jsonPairs returns the pairs of a text in JSON, or in what people take for it.
func jsonPairs(text string) []pair {
	var all []pair
	for _, m := range jsonPair.FindAllStringSubmatch(text, -1) {
		all = append(all, pair{m[1] + m[2] + m[3], m[4] + m[5] + m[6]})
	}
	return all
}

// linePairs returns the pairs of a text in YAML, TOML, INI or .env, one for each line.
func linePairs(text string) []pair {
	var all []pair
	for line := range strings.Lines(text) {
		if m := section.FindStringSubmatch(line); m != nil {
			name := m[1]
			if i := strings.IndexAny(name, `"'`); i >= 0 {
				name = name[i:]
			}
			all = append(all, pair{strings.Trim(name, `"' `), ""})
			continue
		}
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
			continue
		}
		m := linePair.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			all = append(all, pair{"", trimmed})
			continue
		}
		value := m[2]
		if i := strings.Index(value, " #"); i >= 0 {
			value = value[:i]
		}
		all = append(all, pair{m[1], strings.Trim(strings.TrimSpace(value), `"',`)})
	}
	return all
}

// sketchPairs returns the sketch of keys that are a host and its port by their
// names. It is empty if several ports may belong to one host.
func sketchPairs(pairs []pair) *sketch {
	s := &sketch{}
	h := &sketchHost{}
	s.hosts = append(s.hosts, h)
	named := func(name string) {
		if h.name == "" && len(s.hosts) == 1 && (h.upstream == "" || len(pairs) < 4) {
			h.name = name
			return
		}
		h = &sketchHost{name: name}
		s.hosts = append(s.hosts, h)
	}
	for _, p := range pairs {
		key := strings.ToLower(p.key[strings.LastIndexAny(p.key, ".")+1:])
		upstream, prefix := sketchUpstream(p.value)
		switch {
		case isSiteName(p.key) && p.value == "":
			named(convertName(p.key))
		case isSiteName(p.key) && strings.HasSuffix(strings.ToLower(p.key), suffix) && upstream != "" && strings.Trim(prefix, "/") == "":
			named(convertName(p.key))
			h.upstream = upstream
		case strings.HasPrefix(p.key, "/") && upstream != "":
			if !h.add(sketchPath(p.key), p.value, false) {
				s.partial = true
			}
		case slices.Contains([]string{"host", "hosts", "hostname", "domain", "server_name", "name", "site"}, key) && strings.HasSuffix(p.value, suffix) && convertName(p.value) != "":
			named(convertName(p.value))
		case isPortKey(key) && upstream != "" && strings.Trim(prefix, "/") == "":
			if h.upstream != "" && h.upstream != upstream {
				return &sketch{}
			}
			h.upstream = upstream
		case p.value == "":
		default:
			s.partial = true
		}
	}
	return s
}
