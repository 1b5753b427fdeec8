// Package consent remembers what a user has allowed projects to do outside
// themselves: which folders, sockets and machines their Proxyfiles reach, and
// which values of the environment leave.
//
// A consent belongs to a repository and to an effect, so that the worktrees of a
// repository share it, and neither the line nor the route that causes the effect
// matters. Nothing in a repository can give consent: the store is a file in
// $DEVPROXY_HOME, and which repository a folder belongs to is told by what the
// repository itself says of its worktrees, not by what the folder claims.
package consent
