// Package compress compresses answers: zstd (RFC 8878), br (RFC 7932) or gzip
// (RFC 1952), as the visitor likes best.
//
// What is flushed is flushed through the encoder, so that an answer shows as it
// comes. Never compressed are event streams, ranges, what has a coding already,
// what Cache-Control: no-transform protects, what is small and what does not
// shrink. The compressed answer is another representation: Vary names
// Accept-Encoding, a strong ETag becomes weak (RFC 9110 section 8.8.1).
//
// Memory: one encoder for each answer under way, of at most 1 MiB of window, and
// up to maxWhole of an answer that is tried whole.
package compress
