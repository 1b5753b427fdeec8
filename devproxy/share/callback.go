package share

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxAnswer is the longest JSON in which logins are found, in bytes.
	maxAnswer = 64 << 10
	// maxReads is how many times an answer is read that seems to be complete.
	maxReads = 50
	// maxLogins is how many logins one response can begin.
	maxLogins = 16
)

// Logins finds the logins that one response begins: authorization URLs (RFC 6749 section
// 4.1.1) whose redirect_uri is at the project's callback host, where only the project's
// server puts them. Its methods are called by one goroutine at a time. Create it with
// Share.Logins.
//
// The author of a URL whose state is found can learn the share's name. So a URL in a page or
// anywhere deeper in JSON does not count: strangers may have written it.
type Logins struct {
	callbacks []string // the URLs of the callback host
	host      []byte   // its name
	begun     func(state string)

	body  []byte // so far
	long  bool   // it is longer than maxAnswer, or was read maxReads times
	reads int
	seen  []string
}

// Logins returns a finder that calls begun with the `state` of every login, once; nil if
// the share has no callback host.
func (s *Share) Logins(begun func(state string)) *Logins {
	if len(s.opts.Callback) == 0 {
		return nil
	}
	u, err := url.Parse(s.opts.Callback[0])
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return &Logins{callbacks: s.opts.Callback, host: []byte(u.Hostname()), begun: begun}
}

// Field looks for a login in the value of a Location.
func (l *Logins) Field(location string) {
	if strings.Contains(location, string(l.host)) {
		l.look(location)
	}
}

// Body looks for a login in the next bytes of the answer to a POST: an object in JSON with
// the URL in one of its members, as Auth.js and Better Auth send to their own scripts.
func (l *Logins) Body(p []byte) {
	if l.long = l.long || len(l.body)+len(p) > maxAnswer; l.long {
		l.body = nil
		return
	}
	l.body = append(l.body, p...)
	if !bytes.HasSuffix(bytes.TrimSpace(l.body), []byte("}")) || !bytes.Contains(l.body, l.host) {
		return
	}
	l.reads++
	l.long = l.reads == maxReads
	var members map[string]any
	if json.Unmarshal(l.body, &members) != nil {
		return
	}
	for _, value := range members {
		if text, ok := value.(string); ok && strings.HasPrefix(text, "http") && !strings.ContainsAny(text, " \t\r\n") {
			l.look(text)
		}
	}
}

// look reports the state of an authorization URL.
func (l *Logins) look(text string) {
	_, query, _ := strings.Cut(text, "?")
	query, _, _ = strings.Cut(query, "#")
	values, err := url.ParseQuery(query)
	if err != nil || len(values["redirect_uri"]) != 1 || len(values["state"]) != 1 {
		return
	}
	to, _, _ := strings.Cut(values.Get("redirect_uri"), "?")
	state := values.Get("state")
	if !slices.Contains(l.callbacks, to) || slices.Contains(l.seen, state) || len(l.seen) == maxLogins {
		return
	}
	l.seen = append(l.seen, state)
	l.begun(state)
}

// otherCallback returns the redirect_uri of a login that comes back to this share or this
// machine although the project has a callback host; empty for any other response. h is as
// the project wrote it.
func (s *Share) otherCallback(h http.Header) string {
	if len(s.opts.Callback) == 0 {
		return ""
	}
	_, query, _ := strings.Cut(h.Get("Location"), "?")
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("redirect_uri") {
		return ""
	}
	to, err := url.Parse(values.Get("redirect_uri"))
	if err != nil {
		return ""
	}
	at, _ := parseAuthority(to.Host, httpsPort)
	_, isLocal := s.names.public(at)
	_, isPublic := s.names.local(at)
	if !isLocal && !isPublic || !slices.ContainsFunc(s.opts.Callback, func(callback string) bool { return strings.HasSuffix(callback, to.Path) }) {
		return ""
	}
	return to.Scheme + "://" + to.Host + to.Path
}
