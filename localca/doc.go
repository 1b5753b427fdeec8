// Package localca is a certificate authority for one person's machine. It signs TLS server
// certificates for localhost, the names below it, and loopback addresses. Clients accept
// nothing else that it could sign.
//
// Browsers are made to trust the root, so it can do little. Its name constraints (RFC 5280
// section 4.2.1.10) are critical: someone who steals the key still cannot impersonate
// example.com. It may sign only leaves (path length 0), and those only for servers (EKU
// serverAuth). The key never leaves its folder; it has mode 0600 in a folder of mode 0700.
//
// Leaves are made in memory when a name is first used, are never stored, and live for
// months rather than years. Each has one exact name: a browser treats localhost as a
// public suffix and refuses *.localhost.
//
// Trusting a root takes work, so it is kept as long as possible. [Open] makes a new one
// only when no usable one exists, renames what it replaces instead of deleting it, and
// reports it in [CA.Fresh].
package localca
