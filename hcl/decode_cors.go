package hcl

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// decodeCORS decodes cors = true, or a list of origins; nil when it is absent
// or a mistake.
func (d *decoder) decodeCORS(b *body) *CORS {
	v, written, off := d.switched(b, "cors")
	switch {
	case !written || !off && !v.IsKnown() && !v.writtenOut():
		return nil
	case off:
		return &CORS{Off: true, Range: v.at()}
	case v.is(cty.Bool):
		return &CORS{Own: true, Range: v.at()}
	case !v.isList() && !v.writtenOut():
		detail := `write true for the hosts of this Proxyfile, or ["https://app.example.com"]`
		if v.is(cty.String) {
			detail = "write [" + v.written() + "]"
		}
		d.errorf(v.at(), detail, "cors is true, false or a list of origins")
		return nil
	}
	return d.origins(v)
}

// origins are the elements of cors = ["https://…"].
func (d *decoder) origins(v value) *CORS {
	c := &CORS{Range: v.at()}
	elements := d.elements(v)
	if len(elements) == 0 {
		d.errorf(v.at(), "write false to allow none", "cors has at least one origin")
		return nil
	}
	for _, element := range elements {
		text, ok := d.str(element, "an origin")
		switch {
		case !ok:
		case text == "*" && len(elements) > 1:
			d.errorf(element.at(), `write ["*"] for all without credentials, or the others alone`, `"*" stands alone`)
		case text == "*":
			c.Any = true
			c.note("*", d.flow(element))
		default:
			if origin := d.origin(text, element.at()); origin != "" && !slices.Contains(c.Origins, origin) {
				c.Origins = append(c.Origins, origin)
				c.note(origin, d.flow(element))
			}
		}
	}
	if !c.Any && c.Origins == nil {
		return nil
	}
	return c
}

// note notes what flows into an origin.
func (c *CORS) note(origin string, f Flow) {
	if f.Empty() {
		return
	}
	if c.Flows == nil {
		c.Flows = map[string]Flow{}
	}
	c.Flows[origin] = f
}

// originScheme is any scheme (RFC 3986 section 3.1): the pages of desktop and
// mobile frameworks have their own.
var originScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// origin is text as browsers send it in Origin (RFC 6454 section 6.2): in lower
// case, without the port that the scheme has anyway. Empty for a mistake.
func (d *decoder) origin(text string, at Range) string {
	scheme, rest, isURL := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	switch {
	case text == "null":
		d.errorf(at, "name the page's own origin", `any page can be of the origin "null"`)
	case !isURL || !originScheme.MatchString(scheme):
		d.errorf(at, quotef("write %s", "https://"+strings.TrimLeft(text, "/")), "an origin has a scheme")
	case strings.Contains(rest, "*"):
		d.errorf(at, "name each of them; true allows any tenant of a wildcard host of this Proxyfile", `an origin has no "*" in it`)
	case strings.Contains(rest, "@"):
		d.errorf(at, quotef("write %s", scheme+"://"+rest[strings.LastIndexByte(rest, '@')+1:]), "an origin has no user name")
	case end >= 0:
		d.errorf(at, quotef("write %s", scheme+"://"+rest[:end]), "an origin has no path")
	default:
		return d.serialized(strings.ToLower(scheme), rest, text, at)
	}
	return ""
}

// serialized is scheme and authority as one origin.
func (d *decoder) serialized(scheme, authority, text string, at Range) string {
	const example = `write one like "https://app.example.com:8443"`
	u, err := url.Parse("http://" + authority)
	if err != nil || !isDialable(u.Hostname()) {
		d.errorf(at, example, "%q is no origin", text)
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + addr.String() + "]"
	}
	port := u.Port()
	if port == map[string]string{"http": "80", "https": "443"}[scheme] || port == "" {
		return scheme + "://" + host
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		d.errorf(at, example, "port %s is out of range", port)
		return ""
	}
	return scheme + "://" + host + ":" + strconv.FormatUint(n, 10)
}
