package provider

// Find is the provider that `relay` names, ErrUnknown for the domain of a relay,
// or why the word cannot be meant: an *agent.Error with its fix.
func Find(relay string) (Provider, error) {
	return Provider{}, ErrUnknown
}

// Names are the words that `relay` has for providers, the one to try first
// before the others. An SSH server has a URL in place of a word.
func Names() []string { return nil }
