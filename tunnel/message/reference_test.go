package message

import (
	"math/big"
	"net/netip"
	"regexp"
	"strings"
)

// reference is what the scanner must agree with: the same rules once more, on
// the whole input, with regular expressions, sharing nothing with it.
type reference struct {
	messages []referenceMessage // complete ones
	end      string             // "eof", "refused" or "broken"
	tail     string             // the rest of the input after them
}

type referenceMessage struct{ raw, method, target, body string }

const tokenPattern = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

var (
	requestPattern  = regexp.MustCompile(`^(` + tokenPattern + `) ([!-~]+) HTTP/1\.([01])$`)
	fieldPattern    = regexp.MustCompile(`(?s)^(` + tokenPattern + `):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f])*)$`)
	originPattern   = regexp.MustCompile(`^/(?:[!-$&->@-\[\]-~]|%[0-9A-Fa-f]{2})*(?:\?[!-~]*)?$`)
	absolutePattern = regexp.MustCompile(`^(?i:https?)://([^/?]+)((?:/(?:[!-$&->@-\[\]-~]|%[0-9A-Fa-f]{2})*)?(?:\?[!-~]*)?)$`)
	hostPattern     = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+)|\[([0-9A-Fa-f:.]+)\])(?::(?:0*([1-9][0-9]{0,4}))?)?$`)
	lengthsPattern  = regexp.MustCompile(`(?im)^(content-length:[ \t]*[0-9]+)((?:[ \t]*,[ \t]*[0-9]+)+)([ \t]*\r)$`)
	chunkPattern    = regexp.MustCompile(`(?s)^([0-9A-Fa-f]{1,15})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?$`)
	lateTrailer     = regexp.MustCompile(`(?i)^(content-(length|type|encoding|range)|transfer-encoding|host|trailer|connection|upgrade|te|expect|(proxy-)?authorization|cookie)$`)
)

// referenceHead is what the lines of a head say.
type referenceHead struct {
	method, target, authority       string
	old                             bool
	fields, hosts, lengths, codings int
	expects                         int
	length                          int
}

func refer(in string) reference {
	r := reference{}
	for {
		rest := strings.TrimPrefix(in, "\r\n")
		r.tail = rest
		if rest == "" || rest == "\r" && rest == in {
			r.end = "eof"
			return r
		}
		head, after, end := referHead(rest)
		if end != "" {
			r.end = end
			return r
		}
		body, after, ok := referBody(head, after)
		if !ok {
			r.end, r.tail = "broken", withOneLength(rest)
			return r
		}
		raw := withOneLength(rest[:len(rest)-len(after)])
		r.messages = append(r.messages, referenceMessage{raw, head.method, head.target, body})
		in = after
	}
}

// withOneLength is a message as it goes out: a list of equal lengths is the first
// one, and blanks.
func withOneLength(message string) string {
	until := strings.Index(message, "\r\n\r\n") + len("\r\n\r\n")
	return lengthsPattern.ReplaceAllStringFunc(message[:until], func(line string) string {
		parts := lengthsPattern.FindStringSubmatch(line)
		return parts[1] + strings.Repeat(" ", len(parts[2])) + parts[3]
	}) + message[until:]
}

func referHead(in string) (h referenceHead, after, end string) {
	for used, first := 0, true; ; first = false {
		limit := 64 << 10
		if first {
			limit = 16 << 10
		}
		line, rest, ok := strings.Cut(in[used:], "\n")
		if used+len(line)+1 > limit && (ok || len(in) >= limit) {
			return h, "", "refused"
		}
		if !ok {
			return h, "", "eof"
		}
		used = len(in) - len(rest)
		line, ok = strings.CutSuffix(line, "\r")
		switch {
		case !ok, first && !h.request(line), !first && line != "" && !h.field(line):
			return h, "", "refused"
		case !first && line == "":
			if h.codings > 0 && (h.old || h.lengths > 0) || h.hosts == 0 && !h.old {
				return h, "", "refused"
			}
			return h, rest, ""
		}
	}
}

func (h *referenceHead) request(line string) bool {
	parts := requestPattern.FindStringSubmatch(line)
	if parts == nil || parts[1] == "!REFUSED!" || parts[1] == "CONNECT" || strings.Contains(parts[2], "#") {
		return false
	}
	h.method, h.target, h.old = parts[1], parts[2], parts[3] == "0"
	if originPattern.MatchString(h.target) {
		return true
	}
	absolute := absolutePattern.FindStringSubmatch(h.target)
	if absolute == nil || !referHost(absolute[1]) {
		return false
	}
	h.authority = absolute[1]
	return true
}

func referHost(host string) bool {
	parts := hostPattern.FindStringSubmatch(host)
	if parts == nil {
		return false
	}
	if parts[2] != "" {
		if ip, err := netip.ParseAddr(parts[2]); err != nil || !ip.Is6() {
			return false
		}
	}
	return len(parts[3]) < 5 || parts[3] <= "65535"
}

func (h *referenceHead) field(line string) bool {
	parts := fieldPattern.FindStringSubmatch(line)
	if h.fields++; parts == nil || h.fields > 200 {
		return false
	}
	value := strings.TrimRight(parts[2], " \t")
	switch strings.ToLower(parts[1]) {
	case "host":
		h.hosts++
		return h.hosts == 1 && referHost(value) && (h.authority == "" || strings.EqualFold(strings.TrimSuffix(h.authority, ":"), strings.TrimSuffix(value, ":")))
	case "content-length":
		h.lengths++
		members := strings.Split(value, ",")
		for i := range members {
			if members[i] = strings.Trim(members[i], " \t"); members[i] != members[0] {
				return false
			}
		}
		value = members[0]
		n, ok := new(big.Int).SetString(value, 10)
		if !ok || !n.IsInt64() || strings.ContainsAny(value, "+-_") {
			return false
		}
		h.length = int(n.Int64())
		return h.lengths == 1
	case "expect":
		h.expects++
		return h.expects == 1 && (value == "" || len(value) == 12 && strings.EqualFold(value, "100-continue"))
	case "transfer-encoding":
		h.codings++
		return h.codings == 1 && len(value) == len("chunked") && strings.EqualFold(value, "chunked")
	}
	return true
}

func referBody(h referenceHead, in string) (body, after string, ok bool) {
	if h.codings == 0 {
		if len(in) < h.length {
			return "", "", false
		}
		return in[:h.length], in[h.length:], true
	}
	for {
		line, rest, ok := strings.Cut(in, "\r\n")
		parts := chunkPattern.FindStringSubmatch(line)
		if !ok || parts == nil || len(line)+2 > 1<<10 {
			return "", "", false
		}
		size, _ := new(big.Int).SetString(parts[1], 16)
		if size.Sign() == 0 {
			after, ok := referTrailers(rest)
			return body, after, ok
		}
		n := size.Int64()
		if int64(len(rest)) < n+2 || rest[n:n+2] != "\r\n" {
			return "", "", false
		}
		body, in = body+rest[:n], rest[n+2:]
	}
}

func referTrailers(in string) (after string, ok bool) {
	for used := 0; ; {
		line, rest, ok := strings.Cut(in[used:], "\r\n")
		used = len(in) - len(rest)
		if !ok || used > 4<<10 {
			return "", false
		}
		if line == "" {
			return rest, true
		}
		parts := fieldPattern.FindStringSubmatch(line)
		if parts == nil || lateTrailer.MatchString(parts[1]) {
			return "", false
		}
	}
}
