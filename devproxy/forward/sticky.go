package forward

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// stickyPrefix begins the name of the cookie by which balance = "cookie" knows
// a browser's member. What follows tells the upstreams of one host apart.
const stickyPrefix = "devproxy_member_"

// stickyName is the name of an upstream's cookie; empty when it has none. It
// lives as long as the spec: a changed list of members spreads anew.
func stickyName(spec *plan.Upstream) string {
	if spec.Balance != plan.BalanceCookie {
		return ""
	}
	sum := sha256.Sum256([]byte(spec.Key))
	return stickyPrefix + hex.EncodeToString(sum[:4])
}

// nameMembers gives each member its name in the cookie: its place among the
// addresses in order. So it is the same after a restart, however the Proxyfile
// lists them, and says nothing of an address.
func nameMembers(members []*member) {
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(a.Network, b.Network), slices.Compare(a.Addrs, b.Addrs))
	})
	for i, m := range sorted {
		m.id = strconv.Itoa(i)
	}
}

// stickyOf is the member that a request names; empty when it names none.
func stickyOf(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setSticky tells the browser which member answered, unless it knows. A
// fallback member is no one to stay with.
func (f *forwarding) setSticky(header http.Header) {
	name := f.upstream.cookie
	if name == "" || f.member.standby || stickyOf(f.r, name) == f.member.id {
		return
	}
	cookie := http.Cookie{Name: name, Value: f.member.id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: f.Scheme == "https"}
	header["Set-Cookie"] = append(slices.Clip(header["Set-Cookie"]), cookie.String())
}

// withoutSticky takes devproxy's own cookies out of what an upstream sees, of
// whichever upstream they are, and leaves the others byte for byte.
func withoutSticky(lines []string) []string {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, stickyPrefix) }) {
		return lines
	}
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			if !strings.HasPrefix(strings.TrimSpace(pair), stickyPrefix) {
				pairs = append(pairs, pair)
			}
		}
		if line = strings.TrimLeft(strings.Join(pairs, ";"), " "); line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}
