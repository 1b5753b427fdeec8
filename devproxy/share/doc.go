// Package share is what a share does to the requests of its visitors: it knows
// which public name stands for which local host, decides who gets in, hides
// what nobody outside may see, and rewrites the headers of requests and
// responses from one set of names to the other.
//
// It is pure: it opens no socket and no file, and starts nothing. A Share is
// never changed; when a name, the link or the Proxyfile changes, another one
// takes its place. Who carries the bytes is not its business either.
package share
