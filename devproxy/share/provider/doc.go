// Package provider will hold who can carry the bytes of a share: our own relay,
// and later the tunnels of others. Each gives, for a context, a listener of
// visitors and the public names that it was granted. The interface comes with
// the second provider; until then the agent of tunnel/agent is the only one.
package provider
