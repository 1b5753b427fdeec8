package provider

// Find is the provider that `relay` names, ErrUnknown for the domain of a relay,
// or why the word cannot be meant: an *agent.Error with its fix.
func Find(relay string) (Provider, error) {
	if relay == "cloudflare" {
		return cloudflare(), nil
	}
	return Provider{}, ErrUnknown
}
