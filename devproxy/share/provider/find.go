package provider

import "strings"

// words are the values of `relay` that name a provider, and what makes it, the one
// to try first before the others. A word
// that ends in "://" begins a URL. The function's error is an *agent.Error.
var words = []struct {
	word string
	make func(relay string) (Provider, error)
}{
	{"cloudflare", func(string) (Provider, error) { return cloudflare(), nil }},
	{"localhost.run", localhostRun},
	{"pinggy", pinggy},
	{sshScheme, sshURL},
}

// Find is the provider that `relay` names, ErrUnknown for the domain of a relay,
// or why the word cannot be meant: an *agent.Error with its fix.
func Find(relay string) (Provider, error) {
	for _, w := range words {
		isURL := strings.HasSuffix(w.word, "://")
		if relay == w.word && !isURL || isURL && hasPrefixFold(relay, w.word) {
			return w.make(relay)
		}
	}
	return Provider{}, ErrUnknown
}

// Names are the words that Find knows, for help and completion. One that ends in
// "://" is the beginning of a URL.
func Names() []string {
	var names []string
	for _, w := range words {
		names = append(names, w.word)
	}
	return names
}

// hasPrefixFold reports whether text begins with prefix, whatever the case: the
// scheme of a URL has none (RFC 3986 section 3.1).
func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
