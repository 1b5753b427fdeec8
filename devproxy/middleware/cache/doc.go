// Package cache is a shared cache in memory (RFC 9111) for the answers of one
// route's upstream.
//
// It keeps what the upstream allows a shared cache to keep, and where the
// specification leaves a choice it takes the one that cannot show anybody what
// is not theirs: an answer with Set-Cookie or with any form of private is not
// kept, and no-cache="FIELD" means all of the answer. CDN-Cache-Control (RFC 9213)
// counts in place of Cache-Control and Expires, so that a developer sees what a CDN
// will do; all three are passed on as they came.
//
// Requests for what is not there yet are collapsed into one (section 4). The
// visitors who wait are given the bytes as they come once the head shows that
// they may have them, and otherwise go to the upstream by themselves, all at
// once. The upstream is asked in the goroutine of the first; when that visitor
// leaves and others want the answer it is read on for them.
//
// Ranges are cut from whole answers, and partial ones of the same strong
// validator are put together (section 3.4). What is done is said in Cache-Status
// (RFC 9211).
package cache
