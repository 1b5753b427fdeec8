package hcl

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

func (d *decoder) decodeRedirect(v value) *Redirect {
	if v.known() && v.isObject() {
		d.errorf(v.at(), `write redirect = "/PATH"; status stands beside it`, "redirect is a URL or a path")
		return nil
	}
	target, ok := d.str(v, "redirect")
	if !ok {
		return nil
	}
	r := &Redirect{Target: target, Status: 302, Range: v.at(), Flow: d.flow(v)}
	if name := placeholderInHost(target); name != "" {
		d.errorf(v.at(), `write it behind the host: "https://example.com{rest}"`, "{%s} is what a visitor writes, and must not be a part of a host", name)
		return nil
	}
	sample := sampleTarget(target)
	lower := strings.ToLower(sample)
	switch {
	case strings.HasPrefix(target, "//"):
		d.errorf(v.at(), quotef("write %s", "https:"+target), "a redirect's URL has a scheme")
	case strings.HasPrefix(sample, "/"):
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		if u, err := url.Parse(sample); err != nil || u.Host == "" {
			d.errorf(v.at(), `write one like "https://example.com/docs{rest}"`, "%q is no URL", target)
			return nil
		}
	case strings.Contains(target, "://"):
		d.errorf(v.at(), `write one that begins with "https://" or "/"`, "%q is no address of the web", target)
		return nil
	default:
		detail := quotef("write %s", "/"+target)
		if host, _, _ := strings.Cut(target, "/"); strings.Contains(host, ".") || host == "{host}" {
			detail = quotef("write %s", "https://"+target)
		}
		d.errorf(v.at(), detail, "a redirect is a URL, or a path that begins with \"/\"")
		return nil
	}
	if !d.checkURL(v, target, true) || !d.checkPlaceholders(v, target, r.Flow) {
		return nil
	}
	if found := placeholder.FindString(braced.ReplaceAllString(target, "")); found != "" && r.Flow.Empty() {
		d.errorf(v.at(), placeholderAdvice(""), "unknown placeholder %s", found)
		return nil
	}
	return r
}

// sampleTarget is a redirect's target with something in the place of placeholders.
func sampleTarget(target string) string {
	var sample strings.Builder
	for part := range Placeholders(target) {
		switch {
		case part.Name == "":
			sample.WriteString(part.Text)
		case part.Name == "host":
			sample.WriteString("shop.localhost:8443")
		case part.IsPath():
			sample.WriteString("/x")
		default:
			sample.WriteString("x")
		}
	}
	return sample.String()
}

// placeholderInHost is the placeholder in the host of a URL that a visitor could lead elsewhere
// with: "https://{rest}example.com" leads to any host. {host} is a host of the
// Proxyfile, and what begins with "/" ends the host.
func placeholderInHost(target string) string {
	_, after, isURL := strings.Cut(target, "://")
	if !isURL || strings.HasPrefix(target, "/") {
		return ""
	}
	open := "" // a path that must be the end of the host
	for part := range Placeholders(after) {
		switch {
		case part.Name == "":
			end := strings.IndexAny(part.Text, "/?#")
			if open != "" && end != 0 {
				return open
			}
			if end >= 0 {
				return ""
			}
		case open != "":
			return open
		case part.IsPath():
			open = part.Name
		case part.Name != "host":
			return part.Name
		}
	}
	return ""
}

func redirectStatuses() []int { return []int{301, 302, 303, 307, 308} }

// redirectStatus is v if it is one; 0 otherwise.
func (d *decoder) redirectStatus(v value) int {
	if !v.known() {
		return 0
	}
	status, ok := integer(v.Value)
	if !ok || !slices.Contains(redirectStatuses(), status) {
		d.errorf(v.at(), "write 301, 302, 303, 307 or 308", "%s is no status of a redirect", v.written())
		return 0
	}
	return status
}

func (d *decoder) decodeRespond(v value) *Respond {
	if !v.IsKnown() {
		return nil
	}
	r := &Respond{Status: 200, Range: v.at(), Flow: d.flow(v)}
	if !v.isObject() {
		r.Status = d.status(v)
		if r.Status == 0 {
			return nil
		}
		return r
	}
	var body *field
	for _, f := range d.object(v, "respond", []string{"status", "body", "headers"}) {
		switch f.name {
		case "status":
			r.Status = d.status(f.value)
		case "body":
			body = &f
			r.Body, _ = d.scalar(f.value, "body")
		case "headers":
			headers, _ := d.headerMap(f.value, "headers")
			for name, text := range headers {
				if text == nil {
					d.errorf(f.at(), "leave it out", "there is no %s to remove here", name)
					continue
				}
				if r.Headers == nil {
					r.Headers = map[string]string{}
				}
				r.Headers[name] = *text
			}
		}
	}
	if r.Status == 0 {
		return nil
	}
	if body != nil && r.Body != "" && (r.Status == 204 || r.Status == 304) {
		d.errorf(body.at(), "leave it out, or take another status", "a %d has no body", r.Status)
	}
	return r
}

// status is v as the status of a fixed answer; 0 when it is none.
func (d *decoder) status(v value) int {
	if !v.known() {
		return 0
	}
	status, ok := integer(v.Value)
	if v.Type() == cty.String {
		detail := "write respond = { body = " + v.written() + " }"
		if _, err := strconv.Atoi(v.AsString()); err == nil {
			detail = "write " + v.AsString() + ", without quotes"
		}
		d.errorf(v.at(), detail, "a status is a number")
		return 0
	}
	if !ok || status < 200 || status > 599 {
		d.errorf(v.at(), "write one of 200 to 599", "%s is no status", v.written())
		return 0
	}
	return status
}
