// Package localca is a certificate authority for one person's machine. It signs
// TLS server certificates for localhost, the names below it, and loopback
// addresses; nothing else it could sign is accepted by anyone.
//
// The root is what a person asks browsers to trust, so it promises little. Its
// name constraints (RFC 5280 section 4.2.1.10) are critical: whoever steals the
// key still cannot pass as example.com. It may sign leaves only (path length 0),
// and those only as servers (EKU serverAuth). The key never leaves its folder,
// mode 0600 in a folder of mode 0700.
//
// Leaves are made in memory when a name is first asked for, are never stored,
// and live for months rather than years. Each has one exact name: a browser
// treats localhost as a public suffix and refuses *.localhost.
//
// A root is worth its trust, so it is kept as long as it can be. [Open] makes a
// new one only when there is none to use, moves what it replaces aside instead
// of deleting it, and tells of it in [CA.Fresh].
package localca
