// Package compress compresses answers: zstd (RFC 8878), br (RFC 7932) or gzip
// (RFC 1952), as the visitor likes best.
//
// What is flushed is flushed through the encoder, so that an answer shows as it
// comes. Never compressed are event streams, gRPC, ranges, what has a coding
// already, what Cache-Control: no-transform protects, what is small and what
// does not shrink; the last is known only of what is not flushed before its
// end. The compressed answer is another representation: Vary names
// Accept-Encoding, a strong ETag becomes weak (RFC 9110 section 8.8.1). The
// upstream is sent the strong one again in If-None-Match and If-Match. A HEAD
// names a coding only where the GET is sure to have it.
//
// Memory: one encoder for each answer under way, with a window of at most 1 MiB
// (measured with writes of 32 KiB: 3 MiB in all for br, 2.5 MiB for zstd, 1 MiB
// for gzip; longer writes cost br more), and up to maxWhole of an answer that is
// tried whole.
package compress
