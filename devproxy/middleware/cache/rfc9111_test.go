package cache

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

const second = time.Second

// ok is an upstream's answer with a Date and other fields.
func ok(body string, fields ...string) *up {
	return &up{header: append([]string{"Date", "now"}, fields...), body: body}
}

func with(status int, body string, fields ...string) *up {
	u := ok(body, fields...)
	u.status = status
	return u
}

// slice is a part of "abcdefghi".
func slice(from, end int) *up {
	return with(206, "abcdefghi"[from:end], "Cache-Control", "max-age=60", "ETag", `"1"`, "Content-Range", fmt.Sprintf("bytes %d-%d/9", from, end-1))
}

// kept: a second request is answered by the cache; asked: by the upstream.
func kept(first *up, ask ...string) []step {
	return []step{{up: first, body: first.body, status: first.status, ask: ask}, {wait: second, body: first.body, status: first.status, ask: ask}}
}

func notKept(first *up, ask ...string) []step {
	return []step{{up: first, body: first.body, status: first.status, ask: ask}, {wait: second, up: ok("again"), body: "again", ask: ask}}
}

// TestRFC9111 goes through the specification, section by section.
func TestRFC9111(t *testing.T) {
	fresh := []string{"Cache-Control", "max-age=60"}
	failed := errors.New("refused")
	tests := map[string][]step{
		"3 max-age is kept":                             kept(ok("a", fresh...)),
		"3 s-maxage is kept":                            kept(ok("a", "Cache-Control", "s-maxage=60")),
		"3 Expires is kept":                             kept(ok("a", "Expires", "now+60s")),
		"3 nothing said is not":                         notKept(ok("a")),
		"3 public alone is not fresh":                   notKept(ok("a", "Cache-Control", "public")),
		"3 an error with freshness is":                  kept(with(500, "a", fresh...)),
		"3 an unknown status with freshness is":         kept(with(299, "a", fresh...)),
		"3.4 a part is kept as one":                     {{ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {wait: second, ask: []string{"Range", "bytes=1-1"}, status: 206, body: "b", want: []string{"Content-Range", "bytes 1-1/9", "Content-Length", "1", "Age", "1"}}, {ask: []string{"Range", "bytes=2-3"}, up: slice(2, 4), status: 206, body: "cd"}, {ask: []string{"Range", "bytes=0-3"}, status: 206, body: "abcd"}},
		"3.4 parts become the whole":                    {{ask: []string{"Range", "bytes=6-"}, up: slice(6, 9), status: 206, body: "ghi"}, {ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {ask: []string{"Range", "bytes=-3"}, status: 206, body: "ghi"}, {ask: []string{"Range", "bytes=3-5"}, up: slice(3, 6), status: 206, body: "def"}, {body: "abcdefghi", want: []string{"Content-Length", "9", "Content-Range", ""}}},
		"3.4 not of another version":                    {{ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {ask: []string{"Range", "bytes=3-8"}, up: with(206, "DEFGHI", "Cache-Control", "max-age=60", "ETag", `"2"`, "Content-Range", "bytes 3-8/9"), status: 206, body: "DEFGHI"}, {up: ok("ABCDEFGHI"), body: "ABCDEFGHI"}},
		"3.4 not by a weak tag":                         {{ask: []string{"Range", "bytes=0-0"}, up: with(206, "a", "Cache-Control", "max-age=60", "ETag", `W/"1"`, "Content-Range", "bytes 0-0/9"), status: 206, body: "a"}, {ask: []string{"Range", "bytes=0-0"}, up: slice(0, 1), status: 206, body: "a"}},
		"3.4 not for the whole":                         {{ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {up: ok("abcdefghi"), body: "abcdefghi"}},
		"3.4 not a part that is stale":                  {{ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {wait: 60 * second, ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}},
		"3.4 If-Range of a part":                        {{ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {ask: []string{"Range", "bytes=0-2", "If-Range", `"1"`}, status: 206, body: "abc"}, {ask: []string{"Range", "bytes=0-2", "If-Range", `"0"`}, up: ok("new"), body: "new"}},
		"3.4 a POST drops parts":                        {{ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}, {method: "POST", up: ok("")}, {ask: []string{"Range", "bytes=0-2"}, up: slice(0, 3), status: 206, body: "abc"}},
		"3.4 several ranges are passed on":              {{ask: []string{"Range", "bytes=0-0,2-2"}, up: with(206, "multipart", "Cache-Control", "max-age=60", "ETag", `"1"`, "Content-Type", "multipart/byteranges; boundary=x"), status: 206, body: "multipart"}, {ask: []string{"Range", "bytes=0-0"}, up: slice(0, 1), status: 206, body: "a"}},
		"3 a 206 is not":                                notKept(with(206, "a", "Cache-Control", "max-age=60", "Content-Range", "bytes 0-0/2")),
		"3 Set-Cookie is not":                           notKept(ok("a", "Cache-Control", "max-age=60", "Set-Cookie", "a=b")),
		"3 an event stream is not":                      notKept(ok("a", "Cache-Control", "max-age=60", "Content-Type", "text/event-stream")),
		"3 trailers are not":                            notKept(ok("a", "Cache-Control", "max-age=60", "Trailer", "X-Sum")),
		"3 POST is not":                                 {{method: "POST", up: ok("a", fresh...), body: "a"}, {method: "POST", up: ok("b", fresh...), body: "b"}},
		"3 HEAD makes no entry":                         {{method: "HEAD", up: ok("", fresh...)}, {up: ok("b", fresh...), body: "b"}},
		"3 the query is part of the key":                {{path: "/?a", up: ok("a", fresh...), body: "a"}, {path: "/?b", up: ok("b", fresh...), body: "b"}, {path: "/?a", body: "a"}},
		"3.1 fields of the connection are not kept":     {{up: ok("a", "Cache-Control", "max-age=60", "Keep-Alive", "5", "Connection", "X-Here", "X-Here", "1", "X-End", "1"), body: "a"}, {body: "a", want: []string{"Keep-Alive", "", "X-Here", "", "X-End", "1"}}},
		"3.1 Proxy-Authenticate is not kept":            {{up: ok("a", "Cache-Control", "max-age=60", "Proxy-Authenticate", "Basic"), body: "a"}, {body: "a", want: []string{"Proxy-Authenticate", ""}}},
		"3.5 Authorization is not kept":                 notKept(ok("a", fresh...), "Authorization", "x"),
		"3.5 Authorization with public is":              kept(ok("a", "Cache-Control", "max-age=60, public"), "Authorization", "x"),
		"3.5 Authorization with s-maxage is":            kept(ok("a", "Cache-Control", "s-maxage=60"), "Authorization", "x"),
		"3.5 Authorization with must-revalidate is":     kept(ok("a", "Cache-Control", "max-age=60, must-revalidate"), "Authorization", "x"),
		"4.1 Vary selects":                              {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo"), ask: []string{"Foo", "1"}, body: "a"}, {ask: []string{"Foo", "2"}, up: ok("b", "Cache-Control", "max-age=60", "Vary", "Foo"), body: "b", want: []string{"Cache-Status", "devproxy; fwd=vary-miss; stored"}}, {ask: []string{"Foo", "1"}, body: "a"}, {ask: []string{"Foo", "2"}, body: "b"}},
		"4.1 absent is not empty":                       {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo"), body: "a"}, {ask: []string{"Foo", ""}, up: ok("b"), body: "b"}, {body: "a"}},
		"4.1 lines and space do not matter":             {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "foo"), ask: []string{"Foo", "1, 2"}, body: "a"}, {ask: []string{"Foo", "1", "Foo", "2"}, body: "a"}, {ask: []string{"Foo", "1,2"}, body: "a"}},
		"4.1 order matters":                             {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo"), ask: []string{"Foo", "1, 2"}, body: "a"}, {ask: []string{"Foo", "2, 1"}, up: ok("b"), body: "b"}},
		"4.1 two fields":                                {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo, Bar"), ask: []string{"Foo", "1"}, body: "a"}, {ask: []string{"Foo", "1", "Bar", "1"}, up: ok("b"), body: "b"}},
		"4.1 Vary: * is never used":                     notKept(ok("a", "Cache-Control", "max-age=60", "Vary", "*")),
		"4.1 * among others":                            notKept(ok("a", "Cache-Control", "max-age=60", "Vary", "Foo, *")),
		"4.2.1 s-maxage before max-age":                 kept(ok("a", "Cache-Control", "max-age=0, s-maxage=60")),
		"4.2.1 max-age before Expires":                  kept(ok("a", "Cache-Control", "max-age=60", "Expires", "now-60s")),
		"4.2.1 max-age 0 before Expires":                notKept(ok("a", "Cache-Control", "max-age=0", "Expires", "now+60s")),
		"4.2.1 fresh until the last second":             {{up: ok("a", fresh...), body: "a"}, {wait: 59 * second, body: "a"}, {wait: second, up: ok("b"), body: "b"}},
		"4.2.1 two that differ are stale":               notKept(ok("a", "Cache-Control", "max-age=60, max-age=90")),
		"4.2.1 two that agree are not":                  kept(ok("a", "Cache-Control", "max-age=60", "Cache-Control", "max-age=60")),
		"4.2.1 what cannot be read is stale":            notKept(ok("a", "Cache-Control", "max-age=6x")),
		"4.2.1 negative is stale":                       notKept(ok("a", "Cache-Control", "max-age=-60")),
		"4.2.1 a fraction is stale":                     notKept(ok("a", "Cache-Control", "max-age=60.5")),
		"4.2.1 in quotes":                               kept(ok("a", "Cache-Control", `max-age="60"`)),
		"4.2.1 in any case":                             kept(ok("a", "Cache-Control", "Max-AGE=60")),
		"4.2.1 enormous":                                kept(ok("a", "Cache-Control", "max-age=99999999999999999999")),
		"4.2.1 enormous, and not a number":              notKept(ok("a", "Cache-Control", "max-age=99999999999999999999x")),
		"4.2.1 behind a quoted comma":                   kept(ok("a", "Cache-Control", `ext="a, max-age=0", max-age=60`)),
		"4.2.2 a tenth of the age":                      {{up: ok("a", "Last-Modified", "now-100s"), body: "a"}, {wait: 9 * second, body: "a"}, {wait: 2 * second, up: ok("b"), body: "b"}},
		"4.2.2 at most an hour":                         {{up: ok("a", "Last-Modified", "now-10000h"), body: "a"}, {wait: 3599 * second, body: "a"}, {wait: 2 * second, up: ok("b"), body: "b"}},
		"4.2.2 not for a 302":                           notKept(with(302, "a", "Last-Modified", "now-100s")),
		"4.2.2 for a 404":                               kept(with(404, "a", "Last-Modified", "now-100s")),
		"4.2.2 for a 302 that is public":                kept(with(302, "a", "Last-Modified", "now-100s", "Cache-Control", "public")),
		"4.2.3 Age counts":                              {{up: ok("a", "Cache-Control", "max-age=60", "Age", "50"), body: "a"}, {wait: 9 * second, body: "a", want: []string{"Age", "59"}}, {wait: 2 * second, up: ok("b"), body: "b"}},
		"4.2.3 an old Date counts":                      {{up: &up{header: []string{"Date", "now-50s", "Cache-Control", "max-age=60"}, body: "a"}, body: "a"}, {wait: 9 * second, body: "a", want: []string{"Age", "59"}}, {wait: 2 * second, up: ok("b"), body: "b"}},
		"4.2.3 a Date to come does not":                 {{up: &up{header: []string{"Date", "now+50s", "Cache-Control", "max-age=60"}, body: "a"}, body: "a"}, {wait: 9 * second, body: "a", want: []string{"Age", "9"}}},
		"4.2.3 an Age that cannot be read does not":     {{up: ok("a", "Cache-Control", "max-age=60", "Age", "x"), body: "a"}, {wait: 9 * second, body: "a", want: []string{"Age", "9"}}},
		"4.2.3 without a Date":                          {{up: &up{header: fresh, body: "a"}, body: "a"}, {wait: 9 * second, body: "a", want: []string{"Age", "9"}}},
		"4.2.4 must-revalidate forbids stale":           {{up: ok("a", "Cache-Control", "max-age=1, must-revalidate, stale-if-error=60"), body: "a"}, {wait: 2 * second, ask: []string{"Cache-Control", "max-stale"}, up: &up{err: failed}}},
		"4.2.4 proxy-revalidate forbids stale":          {{up: ok("a", "Cache-Control", "max-age=1, proxy-revalidate"), body: "a"}, {wait: 2 * second, ask: []string{"Cache-Control", "max-stale"}, up: ok("b"), body: "b"}},
		"4.2.4 s-maxage forbids stale":                  {{up: ok("a", "Cache-Control", "s-maxage=1, stale-while-revalidate=60"), body: "a"}, {wait: 2 * second, up: ok("b"), body: "b"}},
		"4.2.4 stale without an upstream":               {{up: ok("a", "Cache-Control", "max-age=1"), body: "a"}, {wait: 2 * second, up: &up{err: failed}, body: "a", want: []string{"Cache-Status", "devproxy; fwd=stale; detail=disconnected", "Age", "2"}}, {wait: second, up: ok("b"), body: "b"}},
		"4.2.4 by Expires and by heuristics":            {{path: "/a", up: ok("a", "Expires", "now+1s"), body: "a"}, {path: "/b", up: ok("b", "Last-Modified", "now-10s"), body: "b"}, {wait: 5 * second, path: "/a", up: &up{err: failed}, body: "a"}, {path: "/b", up: &up{err: failed}, body: "b"}},
		"4.2.4 not with must-revalidate":                {{up: ok("a", "Cache-Control", "max-age=1, must-revalidate"), body: "a"}, {wait: 2 * second, up: &up{err: failed}}},
		"4.2.4 not with proxy-revalidate":               {{up: ok("a", "Cache-Control", "max-age=1, proxy-revalidate"), body: "a"}, {wait: 2 * second, up: &up{err: failed}}},
		"4.2.4 not with no-cache":                       {{up: ok("a", "Cache-Control", "max-age=9, no-cache"), body: "a"}, {up: &up{err: failed}}},
		"4.2.4 not with s-maxage":                       {{up: ok("a", "Cache-Control", "s-maxage=1"), body: "a"}, {wait: 2 * second, up: &up{err: failed}}},
		"4.2.4 not for who asks for a fresh one":        {{up: ok("a", "Cache-Control", "max-age=1"), body: "a"}, {wait: 2 * second, ask: []string{"Cache-Control", "no-cache"}, up: &up{err: failed}}, {ask: []string{"Cache-Control", "max-age=0"}, up: &up{err: failed}}, {ask: []string{"Pragma", "no-cache"}, up: &up{err: failed}}},
		"4.2.4 a server error is not a disconnection":   {{up: ok("a", "Cache-Control", "max-age=1"), body: "a"}, {wait: 2 * second, up: with(502, "down"), status: 502, body: "down"}},
		"4.1 languages in any case":                     {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Accept-Language"), ask: []string{"Accept-Language", "de-CH, EN;q=0.5"}, body: "a"}, {ask: []string{"Accept-Language", "DE-ch,en;Q=0.5"}, body: "a"}, {ask: []string{"Accept-Language", "de"}, up: ok("b"), body: "b"}},
		"4.1 codings in any case":                       {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Accept-Encoding"), ask: []string{"Accept-Encoding", "GZIP, br"}, body: "a"}, {ask: []string{"Accept-Encoding", "gzip,BR"}, body: "a"}},
		"4.1 others as they are":                        {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo"), ask: []string{"Foo", "A"}, body: "a"}, {ask: []string{"Foo", "a"}, up: ok("b"), body: "b"}},
		"9110 14.4 a stray Content-Range":               {{up: ok("abc", "Cache-Control", "max-age=60", "Content-Range", "bytes 0-2/9"), body: "abc"}, {wait: second, body: "abc", want: []string{"Content-Range", ""}}, {ask: []string{"Range", "bytes=1-1"}, status: 206, body: "b", want: []string{"Content-Range", "bytes 1-1/3"}}},
		"4.3.1 If-None-Match":                           {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, sent: []string{"If-None-Match", `"1"`, "If-Modified-Since", ""}, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60"), body: "a", want: []string{"Cache-Status", "devproxy; fwd=stale; fwd-status=304; stored", "Cache-Control", "max-age=60"}}, {wait: 30 * second, body: "a"}},
		"4.3.1 If-Modified-Since":                       {{up: ok("a", "Cache-Control", "max-age=1", "Last-Modified", "Mon, 01 Jan 1990 00:00:00 GMT"), body: "a"}, {wait: 2 * second, sent: []string{"If-Modified-Since", "Mon, 01 Jan 1990 00:00:00 GMT"}, up: with(304, ""), body: "a"}},
		"4.3.1 in place of the visitor's own":           {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, ask: []string{"If-None-Match", `"0"`, "Range", "bytes=0-0"}, sent: []string{"If-None-Match", `"1"`, "Range", ""}, up: ok("b"), body: "b"}},
		"4.3.2 the visitor has it":                      {{up: ok("a", "Cache-Control", "max-age=60", "ETag", `"1"`), body: "a"}, {ask: []string{"If-None-Match", `"0", W/"1"`}, status: 304}, {ask: []string{"If-None-Match", `*`}, status: 304}, {ask: []string{"If-None-Match", `"0"`}, body: "a"}},
		"4.3.2 since a time":                            {{up: ok("a", "Cache-Control", "max-age=60", "Last-Modified", "now-100s"), body: "a"}, {ask: []string{"If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"}, status: 304}, {ask: []string{"If-Modified-Since", "Mon, 01 Jan 1990 00:00:00 GMT"}, body: "a"}},
		"4.3.2 tags before times":                       {{up: ok("a", "Cache-Control", "max-age=60", "ETag", `"1"`, "Last-Modified", "now-100s"), body: "a"}, {ask: []string{"If-None-Match", `"0"`, "If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"}, body: "a"}},
		"4.3.2 If-Match is not a cache's":               {{up: ok("a", "Cache-Control", "max-age=60", "ETag", `"1"`), body: "a"}, {ask: []string{"If-Match", `"0"`}, body: "a"}},
		"4.3.2 a condition on a miss is passed on":      {{ask: []string{"If-None-Match", `"1"`}, sent: []string{"If-None-Match", `"1"`}, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60"), status: 304}, {up: ok("a"), body: "a"}},
		"4.3.3 a new answer takes the place":            {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, up: ok("b", "Cache-Control", "max-age=60", "ETag", `"2"`), body: "b"}, {wait: second, body: "b"}},
		"4.3.3 a server error is passed on":             {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, up: with(503, "down"), status: 503, body: "down"}, {up: with(304, ""), body: "a"}},
		"4.3.3 a client error drops it":                 {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, up: with(404, "gone"), status: 404, body: "gone"}, {sent: []string{"If-None-Match", ""}, up: ok("b"), body: "b"}},
		"4.3.4 fields of a 304 replace":                 {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`, "X-Old", "1", "X-Both", "1"), body: "a"}, {wait: 2 * second, up: with(304, "", "X-Both", "2", "X-New", "2", "Cache-Control", "max-age=60", "Content-Length", "0", "Content-Encoding", "gzip"), body: "a", want: []string{"X-Old", "1", "X-Both", "2", "X-New", "2", "Content-Encoding", ""}}, {body: "a", want: []string{"X-Both", "2", "Content-Encoding", ""}}},
		"4.3.4 a 304 about something else":              {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, up: with(304, "", "ETag", `"2"`), asked: 2, status: 304}, {up: ok("b"), body: "b"}},
		"4.3.4 Age begins again":                        {{up: ok("a", "Cache-Control", "max-age=10", "ETag", `"1"`, "Age", "9"), body: "a"}, {wait: 20 * second, up: with(304, ""), body: "a", want: []string{"Age", "0"}}, {wait: 5 * second, body: "a", want: []string{"Age", "5"}}},
		"4.3.5 HEAD freshens":                           {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, method: "HEAD", sent: []string{"If-None-Match", `"1"`}, up: with(304, "", "Cache-Control", "max-age=60"), want: []string{"ETag", `"1"`}}, {body: "a"}},
		"4.3.5 HEAD of something else drops":            {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`), body: "a"}, {wait: 2 * second, method: "HEAD", up: ok("", "ETag", `"2"`, "Cache-Control", "max-age=60")}, {up: ok("b"), body: "b"}},
		"4.4 POST invalidates":                          {{up: ok("a", fresh...), body: "a"}, {method: "POST", up: ok("done"), body: "done"}, {up: ok("b"), body: "b"}},
		"4.4 PUT and DELETE and others do":              {{up: ok("a", fresh...), body: "a"}, {method: "PURPLE", up: with(303, ""), status: 303}, {up: ok("b", fresh...), body: "b"}, {method: "DELETE", up: with(204, ""), status: 204}, {up: ok("c"), body: "c"}},
		"4.4 an error does not":                         {{up: ok("a", fresh...), body: "a"}, {method: "POST", up: with(500, "no"), status: 500, body: "no"}, {body: "a"}},
		"4.4 OPTIONS does not":                          {{up: ok("a", fresh...), body: "a"}, {method: "OPTIONS", up: ok("")}, {body: "a"}},
		"4.4 Location of the same origin":               {{path: "/x?q", up: ok("a", fresh...), body: "a"}, {method: "POST", up: with(201, "", "Location", "/x?q"), status: 201}, {path: "/x?q", up: ok("b"), body: "b"}},
		"4.4 Content-Location, absolute":                {{path: "/x", up: ok("a", fresh...), body: "a"}, {method: "POST", up: with(200, "", "Content-Location", "http://SHOP.localhost/x")}, {path: "/x", up: ok("b"), body: "b"}},
		"4.4 not of another origin":                     {{path: "/x", up: ok("a", fresh...), body: "a"}, {method: "POST", up: with(201, "", "Location", "http://other.localhost/x"), status: 201}, {path: "/x", body: "a"}},
		"4.4 all variants":                              {{up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo"), ask: []string{"Foo", "1"}, body: "a"}, {method: "POST", up: ok("")}, {ask: []string{"Foo", "1"}, up: ok("b"), body: "b"}},
		"5.2.1.1 max-age of the request":                {{up: ok("a", fresh...), body: "a"}, {wait: 5 * second, ask: []string{"Cache-Control", "max-age=5"}, body: "a"}, {wait: second, ask: []string{"Cache-Control", "max-age=5"}, up: ok("b"), body: "b"}},
		"5.2.1.1 max-age=0 asks":                        {{up: ok("a", fresh...), body: "a"}, {wait: second, ask: []string{"Cache-Control", "max-age=0"}, up: ok("b", fresh...), body: "b", want: []string{"Cache-Status", "devproxy; fwd=request; stored"}}, {body: "b"}},
		"5.2.1.2 max-stale":                             {{up: ok("a", "Cache-Control", "max-age=5"), body: "a"}, {wait: 8 * second, ask: []string{"Cache-Control", "max-stale=3"}, body: "a", want: []string{"Cache-Status", "devproxy; hit; ttl=-3"}}, {wait: second, ask: []string{"Cache-Control", "max-stale=3"}, up: ok("b"), body: "b"}},
		"5.2.1.2 max-stale without a number":            {{up: ok("a", "Cache-Control", "max-age=5"), body: "a"}, {wait: time.Hour, ask: []string{"Cache-Control", "max-stale"}, body: "a"}},
		"5.2.1.3 min-fresh":                             {{up: ok("a", "Cache-Control", "max-age=10"), body: "a"}, {wait: 5 * second, ask: []string{"Cache-Control", "min-fresh=5"}, body: "a"}, {wait: second, ask: []string{"Cache-Control", "min-fresh=5"}, up: ok("b"), body: "b"}},
		"5.2.1.4 no-cache of the request":               {{up: ok("a", "Cache-Control", "max-age=60", "ETag", `"1"`), body: "a"}, {ask: []string{"Cache-Control", "no-cache"}, sent: []string{"If-None-Match", `"1"`}, up: with(304, ""), body: "a"}},
		"5.2.1.5 no-store of the request":               {{ask: []string{"Cache-Control", "no-store"}, up: ok("a", fresh...), body: "a"}, {up: ok("b"), body: "b"}},
		"5.2.1.7 only-if-cached":                        {{ask: []string{"Cache-Control", "only-if-cached"}, status: 504, body: "This response is not in the cache, and the request accepts nothing else (only-if-cached).\n"}, {up: ok("a", fresh...), body: "a"}, {ask: []string{"Cache-Control", "only-if-cached"}, body: "a"}},
		"5.2.2.2 must-understand that is":               kept(ok("a", "Cache-Control", "max-age=60, no-store, must-understand")),
		"5.2.2.3 must-understand that is not":           notKept(with(299, "a", "Cache-Control", "max-age=60, must-understand")),
		"5.2.2.4 no-cache asks each time":               {{up: ok("a", "Cache-Control", "max-age=60, no-cache", "ETag", `"1"`), body: "a"}, {sent: []string{"If-None-Match", `"1"`}, up: with(304, ""), body: "a"}, {up: with(304, ""), body: "a"}},
		"5.2.2.4 no-cache of one field":                 {{up: ok("a", "Cache-Control", `max-age=60, no-cache="x-y"`, "ETag", `"1"`), body: "a"}, {up: with(304, ""), body: "a"}},
		"5.2.2.5 no-store":                              notKept(ok("a", "Cache-Control", "max-age=60, no-store")),
		"5.2.2.5 no-store among lines":                  notKept(ok("a", "Cache-Control", "max-age=60", "Cache-Control", "No-Store")),
		"5.2.2.7 private":                               notKept(ok("a", "Cache-Control", "max-age=60, private")),
		"5.2.2.7 private of one field":                  notKept(ok("a", "Cache-Control", `max-age=60, private="set-cookie"`)),
		"5.3 an Expires that cannot be read":            notKept(ok("a", "Expires", "0")),
		"5.3 an Expires that is over":                   notKept(ok("a", "Expires", "now-1s")),
		"5.4 Pragma":                                    {{up: ok("a", fresh...), body: "a"}, {ask: []string{"Pragma", "no-cache"}, up: ok("b"), body: "b"}},
		"5.4 Pragma next to Cache-Control":              {{up: ok("a", fresh...), body: "a"}, {ask: []string{"Pragma", "no-cache", "Cache-Control", "max-age=60"}, body: "a"}},
		"9110 14 a range of what is kept":               {{up: ok("abcdef", fresh...), body: "abcdef"}, {ask: []string{"Range", "bytes=1-3"}, status: 206, body: "bcd", want: []string{"Content-Range", "bytes 1-3/6"}}, {ask: []string{"Range", "bytes=-2"}, status: 206, body: "ef"}, {ask: []string{"Range", "bytes=9-"}, status: 416, body: "invalid range: failed to overlap\n"}},
		"9110 13.1.5 If-Range":                          {{up: ok("abc", "Cache-Control", "max-age=60", "ETag", `"1"`), body: "abc"}, {ask: []string{"Range", "bytes=0-0", "If-Range", `"1"`}, status: 206, body: "a"}, {ask: []string{"Range", "bytes=0-0", "If-Range", `"0"`}, body: "abc"}},
		"9110 14 a range of what is not":                {{ask: []string{"Range", "bytes=0-0"}, sent: []string{"Range", "bytes=0-0"}, up: with(206, "a", "Content-Range", "bytes 0-0/3", "Cache-Control", "max-age=60"), status: 206, body: "a"}, {up: ok("abc"), body: "abc"}},
		"9110 9.3.2 HEAD of what is kept":               {{up: ok("abc", fresh...), body: "abc"}, {method: "HEAD", want: []string{"Content-Length", "3"}}},
		"9110 15.4 a redirect is kept with its target":  {{up: with(301, "", "Location", "/x", "Cache-Control", "max-age=60"), status: 301}, {status: 301, want: []string{"Location", "/x"}}},
		"5861 3 stale-while-revalidate":                 {{up: ok("a", "Cache-Control", "max-age=1, stale-while-revalidate=10"), body: "a"}, {wait: 5 * second, up: ok("b", "Cache-Control", "max-age=60"), body: "a"}, {wait: second, body: "b"}},
		"5861 3 not for ever":                           {{up: ok("a", "Cache-Control", "max-age=1, stale-while-revalidate=10"), body: "a"}, {wait: 12 * second, up: ok("b"), body: "b"}},
		"5861 4 stale-if-error hides a status":          {{up: ok("a", "Cache-Control", "max-age=1, stale-if-error=10"), body: "a"}, {wait: 5 * second, up: with(502, "down"), body: "a"}, {wait: 10 * second, up: with(502, "down"), status: 502, body: "down"}},
		"5861 4 stale-if-error hides an error":          {{up: ok("a", "Cache-Control", "max-age=1, stale-if-error=10"), body: "a"}, {wait: 5 * second, up: &up{err: failed}, body: "a"}},
		"5861 4 stale-if-error of the request":          {{up: ok("a", "Cache-Control", "max-age=1"), body: "a"}, {wait: 5 * second, ask: []string{"Cache-Control", "stale-if-error=10"}, up: with(500, "down"), body: "a"}},
		"5861 4 not a 404":                              {{up: ok("a", "Cache-Control", "max-age=1, stale-if-error=10"), body: "a"}, {wait: 5 * second, up: with(404, "gone"), status: 404, body: "gone"}},
		"9211 a hit":                                    {{up: ok("a", fresh...), body: "a", want: []string{"Cache-Status", "devproxy; fwd=uri-miss; stored"}}, {wait: 10 * second, body: "a", want: []string{"Cache-Status", "devproxy; hit; ttl=50"}}},
		"9211 behind others":                            {{up: ok("a", "Cache-Status", "origin; hit"), body: "a", want: []string{"Cache-Status", "origin; hit"}}},
		"9211 another method":                           {{method: "PUT", up: ok("a"), body: "a", want: []string{"Cache-Status", "devproxy; fwd=method"}}},
		"9213 CDN-Cache-Control counts":                 kept(ok("a", "CDN-Cache-Control", "max-age=60")),
		"9213 before Cache-Control":                     kept(ok("a", "CDN-Cache-Control", "max-age=60", "Cache-Control", "no-store, private")),
		"9213 before Expires":                           kept(ok("a", "CDN-Cache-Control", "max-age=60", "Expires", "0")),
		"9213 no-store":                                 notKept(ok("a", "CDN-Cache-Control", "no-store", "Cache-Control", "max-age=60")),
		"9213 private":                                  notKept(ok("a", "CDN-Cache-Control", "private, max-age=60", "Cache-Control", "max-age=60")),
		"9213 max-age=0":                                notKept(ok("a", "CDN-Cache-Control", "max-age=0", "Cache-Control", "max-age=60")),
		"9213 no Expires next to it":                    notKept(ok("a", "CDN-Cache-Control", "must-revalidate", "Expires", "now+60s")),
		"9213 no-cache":                                 {{up: ok("a", "CDN-Cache-Control", "no-cache, max-age=60", "ETag", `"1"`), body: "a"}, {up: with(304, ""), body: "a"}},
		"9213 must-revalidate":                          {{up: ok("a", "CDN-Cache-Control", "max-age=1, must-revalidate"), body: "a"}, {wait: 2 * second, up: &up{err: failed}}},
		"9213 stale-while-revalidate":                   {{up: ok("a", "CDN-Cache-Control", "max-age=1, stale-while-revalidate=10"), body: "a"}, {wait: 5 * second, up: ok("b", "CDN-Cache-Control", "max-age=60"), body: "a"}, {wait: second, body: "b"}},
		"9213 two lines are one":                        kept(ok("a", "CDN-Cache-Control", "must-revalidate", "CDN-Cache-Control", "max-age=60", "Cache-Control", "no-store")),
		"9213 the last of two counts":                   kept(ok("a", "CDN-Cache-Control", "max-age=0, max-age=60")),
		"9213 parameters are ignored":                   kept(ok("a", "CDN-Cache-Control", "max-age=60;x=1")),
		"9213 a Boolean that is false":                  kept(ok("a", "CDN-Cache-Control", "max-age=60, no-store=?0")),
		"9213 unknown directives":                       kept(ok("a", "CDN-Cache-Control", `max-age=60, x="y", z=(1 2), t=token`)),
		"9213 an invalid one is ignored, it would keep": notKept(ok("a", "CDN-Cache-Control", "max-age=60, &&&", "Cache-Control", "no-store")),
		"9213 an invalid one is ignored, it would not":  kept(ok("a", "CDN-Cache-Control", "no-store, ,", "Cache-Control", "max-age=60")),
		"9213 upper case is invalid":                    kept(ok("a", "CDN-Cache-Control", "No-Store", "Cache-Control", "max-age=60")),
		"9213 an empty one is ignored":                  kept(ok("a", "CDN-Cache-Control", "", "Cache-Control", "max-age=60")),
		"9213 a number in quotes is none":               notKept(ok("a", "CDN-Cache-Control", `max-age="60"`)),
		"9213 a negative number is stale":               notKept(ok("a", "CDN-Cache-Control", "max-age=-1", "Cache-Control", "max-age=60")),
		"9213 other targets are not ours":               notKept(ok("a", "Example-Cache-Control", "max-age=60")),
		"9213 all is passed on":                         {{up: ok("a", "CDN-Cache-Control", "max-age=60", "Cache-Control", "no-store"), body: "a", want: []string{"CDN-Cache-Control", "max-age=60", "Cache-Control", "no-store"}}, {body: "a", want: []string{"CDN-Cache-Control", "max-age=60", "Cache-Control", "no-store"}}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(1 << 20)
				defer c.Close()
				for i, s := range steps {
					s.run(t, c, i+1)
				}
			})
		})
	}
	if len(tests) < 100 {
		t.Errorf("only %d cases", len(tests))
	}
}

// TestDates has the forms of RFC 9110 section 5.6.7, and what is none of them.
func TestDates(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for text, ok := range map[string]bool{
		"Sun, 06 Nov 1994 08:49:37 GMT": true, "Sunday, 06-Nov-94 08:49:37 GMT": true, "Sun Nov  6 08:49:37 1994": true,
		"Sun, 06 Nov 1994 08:49:37 gmt": true, "sun, 06 NOV 1994 08:49:37 Gmt": true, "Sun, 06 Nov 1994 08:49:37 UTC": true, "SUNDAY, 06-nov-94 08:49:37 utc": true, "sun nov  6 08:49:37 1994": true,
		"Mon, 06 Nov 1994 08:49:37 GMT": true, // the wrong day
		"Sun, 06 Nov 1994 8:49:37 GMT":  false, "Sun,  06 Nov 1994 08:49:37 GMT": false, "Sun, 06  Nov 1994 08:49:37 GMT": false, "Sun, 06 Nov 1994 08:49:37  GMT": false, "Sun, 06 Nov 1994  08:49:37 GMT": false,
		"Sun, 6 Nov 1994 08:49:37 GMT": false, "Sun, 06 Nov 94 08:49:37 GMT": false, "Sun 06 Nov 1994 08:49:37 GMT": false, "Sun, 06-Nov-1994 08:49:37 GMT": false, "Sun, 06 Nov 1994 08.49.37 GMT": false,
		"Sun, 06 Nov 1994 08:49:37 AEST": false, "Sun, 06 Nov 1994 08:49:37 +0000": false, "Sun, 06 Nov 1994 08:49:37": false, "Sun, 06 Nov 1994 08:49:37 GMT ": false, "Sun, 06 Nov 1994 08:49:37.5 GMT": false,
		"Sunday,  06-Nov-94 08:49:37 GMT": false, "Sun Nov 6 08:49:37 1994": false, "Sun Nov  6 8:49:37 1994": false, "Sun, 31 Nov 1994 08:49:37 GMT": false, "0": false, "": false, "-1": false, "784111777": false,
	} {
		got, err := parseDate(text)
		if (err == nil) != ok || ok && !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
