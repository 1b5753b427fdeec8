// Package urlfield knows which header fields contain URLs, and replaces the URLs
// in them. What a URL is replaced with is the caller's business. Everything else in
// a field stays as it is, byte for byte.
package urlfield
