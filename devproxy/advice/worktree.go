package advice

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// In a linked worktree, an upstream may still name the hosts as the Proxyfile has
// them: in settings of its own. They are those of the main worktree, whose cookies with
// such a Domain reach the hosts of every worktree, since those are below it.

// ownSuffix ends the names of the cookies that a worktree has for itself. Browsers send
// two cookies of one name without saying whose they are. It is at the end because the
// beginning of a name has a meaning (__Secure-). Scripts do not see the name: only
// cookies with HttpOnly get it.
const ownSuffix = "~worktree"

// moved returns a URL reference with the host that it has in this worktree, if it is a
// host of the project as the Proxyfile has it, on devproxy's port.
func (o Outside) moved(value string) string {
	if o.Relocation == nil {
		return value
	}
	absolute, cut := value, 0
	if strings.HasPrefix(value, "//") {
		absolute, cut = "https:"+value, len("https:")
	}
	u, err := url.Parse(absolute)
	if err != nil || u.User != nil || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
		return value
	}
	_, authority, _ := strings.Cut(o.Origin, "://")
	_, port := splitAuthority(authority)
	if own := u.Port(); own != "" && own != port && own != "80" && own != "443" {
		return value // a server of its own
	}
	return o.Relocation.Link(absolute)[cut:]
}

// movedSource is moved for a source of a Content-Security-Policy, which may be without
// a scheme.
func (o Outside) movedSource(value string) string {
	if o.Relocation == nil || !strings.Contains(value, ".") {
		return value
	}
	if strings.Contains(value, "://") {
		return o.moved(value)
	}
	return o.moved("//" + value)[len("//"):]
}

// OwnCookies returns the Cookie lines that the upstreams of a worktree get: its own
// cookies by the names that their upstream gave them, without the others of these
// names.
func OwnCookies(lines []string) []string {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, ownSuffix) }) {
		return lines
	}
	own := map[string]bool{}
	for pair := range pairs(lines) {
		if name, is := strings.CutSuffix(nameOf(pair), ownSuffix); is {
			own[name] = true
		}
	}
	var kept []string
	for pair := range pairs(lines) {
		name := nameOf(pair)
		value := strings.TrimPrefix(pair, name)
		switch before, is := strings.CutSuffix(name, ownSuffix); {
		case is && value == "=": // it was removed
		case is:
			kept = append(kept, before+value)
		case !own[name]:
			kept = append(kept, pair)
		}
	}
	if kept == nil {
		return nil
	}
	return []string{strings.Join(kept, "; ")}
}

// pairs are the cookies of Cookie lines, name and value as they came.
func pairs(lines []string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for pair := range strings.SplitSeq(line, ";") {
				if pair = trim(pair); pair != "" && !yield(pair) {
					return
				}
			}
		}
	}
}

func nameOf(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return trim(name)
}

// ownCookies returns the Set-Cookie lines for one of a worktree's upstream:
//
//   - A Domain that is a host or the domain of the Proxyfile moves with them, and one
//     above becomes the worktree's domain: the cookie stays in the worktree.
//   - A cookie for all hosts with HttpOnly gets a name of its own, since the main
//     worktree's would reach the upstream under the same name. When the upstream
//     removes it, an empty one stays in its place, which keeps the main worktree's away.
func (o Outside) ownCookies(line string) []string {
	r := o.Relocation
	if r == nil {
		return []string{line}
	}
	domain := parseCookie(line).domain
	if !strings.Contains(domain, ".") || !o.inDomain(r.To) || domainMatch(domain, r.To) {
		return []string{line} // browsers refuse a single label
	}
	c, forAll := splitCookie(line), domainMatch(r.From, domain)
	switch moved := r.Moved(domain); {
	case forAll:
		c = c.with("Domain", r.To)
	case moved != domain:
		c = c.with("Domain", moved)
	default:
		return []string{line}
	}
	_, httpOnly := c.attribute("httponly")
	own, empty := c, c.without("max-age", "expires")
	own.name, empty.name, empty.value = c.name+ownSuffix, c.name+ownSuffix, ""
	switch {
	case !forAll || c.name == "":
		return []string{c.String()}
	case httpOnly && c.removed():
		return []string{empty.String()}
	case httpOnly:
		return []string{own.String()}
	case !o.hasOwn(c.name):
		return []string{c.String()}
	case c.removed(): // many programs leave out HttpOnly here
		return []string{c.String(), empty.String()}
	default: // from now on, scripts see it
		return []string{c.String(), empty.with("Max-Age", "0").String()}
	}
}

// hasOwn reports whether the request has the worktree's own cookie of that name.
func (o Outside) hasOwn(name string) bool {
	for pair := range pairs(o.Cookie) {
		if nameOf(pair) == name+ownSuffix {
			return true
		}
	}
	return false
}

// splitCookie splits a Set-Cookie line.
func splitCookie(line string) setCookie {
	parts := strings.Split(line, ";")
	name, value, named := strings.Cut(parts[0], "=")
	if !named {
		name, value = "", parts[0]
	}
	return setCookie{trim(name), value, parts[1:]}
}

// setCookie is a Set-Cookie line in parts. The attributes are as they came.
type setCookie struct {
	name, value string
	attributes  []string
}

func (c setCookie) String() string {
	return strings.Join(append([]string{c.name + "=" + c.value}, c.attributes...), ";")
}

// attribute returns the value of an attribute, of several that of the last. key is in
// lower case.
func (c setCookie) attribute(key string) (value string, found bool) {
	for _, text := range c.attributes {
		if k, v := attributeOf(text); k == key {
			value, found = v, true
		}
	}
	return value, found
}

// without returns c without attributes of these names.
func (c setCookie) without(keys ...string) setCookie {
	c.attributes = slices.DeleteFunc(slices.Clone(c.attributes), func(text string) bool {
		key, _ := attributeOf(text)
		return slices.Contains(keys, key)
	})
	return c
}

// with returns c with that value of an attribute.
func (c setCookie) with(key, value string) setCookie {
	c = c.without(strings.ToLower(key))
	c.attributes = append(c.attributes, " "+key+"="+value)
	return c
}

// removed reports whether browsers remove the cookie (RFC 6265bis section 5.7).
func (c setCookie) removed() bool {
	if text, found := c.attribute("max-age"); found {
		age, err := strconv.Atoi(text)
		return err == nil && age <= 0
	}
	text, found := c.attribute("expires")
	expires, err := http.ParseTime(strings.ReplaceAll(text, "-", " "))
	return found && err == nil && !expires.After(time.Now())
}
