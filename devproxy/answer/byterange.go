package answer

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// withPlainRange returns r with a Range field that makes http.ServeContent follow
// RFC 9110 section 14, for a file of size bytes. ServeContent alone refuses
// unknown units, knows "bytes" in lower case only, takes signs in numbers and
// answers a suffix of no length with 206.
//
// The field is removed, so that the whole file is sent, when
//   - the method is not GET, the only one with ranges (section 14.2),
//   - its unit is not "bytes", in any case (sections 14.1 and 14.2), or nothing
//     follows the unit,
//   - it comes more than once: it is not a list (section 5.3),
//   - If-Range has anything but the file's own tag or date (section 13.1.5).
//
// A set of ranges that is invalid, or has no satisfiable range, gets 416 with the
// file's length (section 15.5.17). An empty file has no satisfiable range; it is
// sent whole with 200, since clients that limit what they load send Range with
// each request. Section 14.2 allows a server to ignore the field.
func withPlainRange(r *http.Request, size int64, tag string) *http.Request {
	lines := r.Header.Values("Range")
	if len(lines) == 0 {
		return r
	}
	plain := r.Clone(r.Context())
	plain.Header.Del("Range")
	unit, set, _ := strings.Cut(lines[0], "=")
	if r.Method != http.MethodGet || len(lines) > 1 || set == "" || !strings.EqualFold(unit, "bytes") || otherTag(r.Header.Values("If-Range"), tag) {
		return plain
	}
	ranges := parseRanges(set, size)
	if len(ranges) == 0 {
		ranges = []string{fmt.Sprintf("%d-", size)} // not satisfiable
	}
	plain.Header.Set("Range", "bytes="+strings.Join(ranges, ","))
	return plain
}

// otherTag reports whether the If-Range lines have a tag that is not exactly tag.
// ServeContent compares the dates, and refuses weak tags.
func otherTag(lines []string, tag string) bool {
	if len(lines) != 1 {
		return len(lines) > 1
	}
	value := strings.TrimSpace(lines[0])
	return strings.HasPrefix(value, `"`) && value != tag
}

// parseRanges returns the satisfiable ranges of a range-set, each as
// "FIRST-LAST" within size, in the order given. It is empty when none is
// satisfiable or one is invalid (RFC 9110 section 14.1.2). Empty elements of the
// list are skipped (section 5.6.1.2), and spaces around a position are too, as in
// nginx.
func parseRanges(set string, size int64) []string {
	var satisfiable []string
	for element := range strings.SplitSeq(set, ",") {
		element = strings.Trim(element, " \t")
		if element == "" {
			continue
		}
		from, to, dash := strings.Cut(element, "-")
		first, hasFirst, firstOK := position(from, size)
		last, hasLast, lastOK := position(to, size)
		if !dash || !firstOK || !lastOK || !hasFirst && !hasLast || hasFirst && hasLast && less(to, from) {
			return nil
		}
		switch {
		case !hasFirst:
			first, last = size-last, size-1
		case !hasLast || last >= size:
			last = size - 1
		}
		if first < size {
			satisfiable = append(satisfiable, fmt.Sprintf("%d-%d", first, last))
		}
	}
	return satisfiable
}

// position parses digits of any length, up to size: in a range of a file of that
// size, a higher number means the same as size. present is false when text is
// blank, ok is false when it is not a number.
func position(text string, size int64) (n int64, present, ok bool) {
	text = strings.Trim(text, " \t")
	if text == "" {
		return 0, false, true
	}
	if strings.Trim(text, "0123456789") != "" {
		return 0, true, false
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // it is out of range
		return size, true, true
	}
	return min(value, size), true, true
}

// less compares two numbers of any length.
func less(a, b string) bool {
	a, b = strings.TrimLeft(strings.Trim(a, " \t"), "0"), strings.TrimLeft(strings.Trim(b, " \t"), "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
