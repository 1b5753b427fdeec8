package hcl

import (
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// decodeSettings decodes what hosts and routes share. exact is true for a route of
// one path. It reports whether b has an answer, even if that has a mistake.
func (d *decoder) decodeSettings(b *block, into *Settings, exact bool) (answered bool) {
	answer := d.decodeAnswer(b, into, exact)
	d.decodeCompanions(b, into, answer)
	d.decodeTryFiles(b, into, answer)
	decodeBlock(d.scope, b, settingEntries(), into)
	return answer != ""
}

// decodeAnswer decodes how requests are answered and returns the name of that
// attribute.
func (d *decoder) decodeAnswer(b *block, into *Settings, exact bool) (answer string) {
	for _, name := range []string{"upstream", "files", "redirect", "respond"} {
		f, present := d.get(b, name)
		if !present {
			continue
		}
		if answer != "" {
			d.reportSecondAnswer(b, answer, name)
			continue
		}
		answer = name
		switch name {
		case "upstream":
			into.Upstream = decodeUpstream(f.value)
		case "files":
			into.Files = decodeFiles(f, exact)
		case "redirect":
			into.Redirect = decodeRedirect(f.value)
		case "respond":
			into.Respond = decodeRespond(f.value)
		}
	}
	return answer
}

// reportSecondAnswer reports the later of two answers.
func (d *decoder) reportSecondAnswer(b *block, first, second string) {
	at, before := b.attrs[second].nameRange(), b.attrs[first].nameRange()
	if at.File == before.File && at.Start.Byte < before.Start.Byte {
		at, before, second, first = before, at, first, second
	}
	detail := "remove one of them; " + first + " is at " + before.line()
	if at.File != before.File {
		detail = "to unset the other one, add " + first + " = null"
	}
	d.at(at).errorf(detail, "%s has both %s and %s", b.title(), first, second)
}

// decodeCompanions decodes spa and status, which go with files and redirect.
func (d *decoder) decodeCompanions(b *block, into *Settings, answer string) {
	if spa, present := d.get(b, "spa"); present {
		is := spa.boolean()
		switch {
		case is == nil:
		case answer == "files":
			if into.Files != nil {
				into.Files.SPA = *is
			}
		case !b.damaged:
			d.at(spa.nameAt).errorf(`add files = "DIR"`, "spa needs files")
		}
	}
	status, present := d.get(b, "status")
	switch {
	case !present:
	case answer == "redirect":
		if code := status.redirectStatus(); code != 0 && into.Redirect != nil {
			into.Redirect.Status = code
			if flow := status.comesFrom(); !flow.Empty() {
				flow.Shown, flow.Whole, flow.Locals = into.Redirect.Target, into.Redirect.Target, ""
				into.Redirect.Flow = into.Redirect.Flow.and(flow)
			}
		}
	case !b.damaged:
		detail := `add redirect = "/PATH"`
		if answer == "respond" {
			detail = "write respond = { status = …, body = … }"
		}
		d.at(status.nameAt).errorf(detail, "status needs redirect")
	}
}

// decodeTryFiles decodes try_files, which goes with upstream.
func (d *decoder) decodeTryFiles(b *block, into *Settings, answer string) {
	f, _ := d.get(b, "try_files")
	switch {
	case b.attrs["try_files"] == nil:
	case f.isOff():
		into.NoTryFiles = true
	case answer == "" || answer == "upstream":
		into.TryFiles = decodeFiles(f, false)
	default:
		detail := "remove one of them: try_files needs an upstream for all other requests"
		if answer == "files" {
			detail = "replace files by upstream, which gets all other requests"
		}
		d.at(f.nameAt).errorf(detail, "try_files can't be combined with %s", answer)
	}
}

// decodeFiles decodes the name of a folder. With single it may be a file.
func decodeFiles(f field, single bool) *Files {
	advice := `write files = "DIR"; spa = true is a separate attribute`
	if f.name != "files" {
		advice = "write " + f.name + ` = "public"`
	}
	if !f.place().passes(
		when(f.name == "try_files" && f.known() && triesPaths(f.value),
			`write try_files = "public", with the name of your folder; all other requests go to upstream`, "try_files must be the name of a folder, not a list of what to try"),
		when(f.is(cty.Bool) || f.known() && f.isObject(), advice, "%s must be the name of a folder", f.name),
	) {
		return nil
	}
	text, ok := f.str(f.name)
	if !ok {
		return nil
	}
	files := &Files{Text: text, Range: f.at(), Flow: f.flow()}
	if !f.place().passes(
		when(text == "", `write "." for the folder of the Proxyfile`, "the folder name is empty"),
		when(strings.HasPrefix(text, "~"), `write "${env("HOME")}`+strings.TrimPrefix(text, "~")+`"`, `"~" is not expanded`),
		when(strings.ContainsRune(text, 0), "remove it", "a file name can't contain a NUL byte"),
	) {
		return nil
	}
	files.Dir = f.scope.absolute(text)
	files.Real = f.scope.real(files.Dir)
	if !files.Flow.Empty() {
		files.Text = files.Flow.Shown
	}
	if !isRemote(files.Dir) { // a look at it would send this user's credentials there
		checkFiles(f, files, text, single)
	}
	return files
}

// triesPaths reports a try_files of nginx or Caddy: several paths, or variables in
// them.
func triesPaths(v value) bool {
	if v.isList() {
		return true
	}
	if v.Type() != cty.String {
		return false
	}
	text := v.AsString()
	return strings.HasPrefix(text, "@") || strings.Contains(text, "$uri") || strings.Contains(text, "$request_uri") || HasPlaceholder(text)
}

// checkFiles checks what exists now. A route of one path may name a file, which it
// serves then.
func checkFiles(f field, files *Files, text string, single bool) {
	exists, isDir := f.scope.env.folder(files.Dir)
	base := filepath.Base(files.Dir)
	switch {
	case isDir:
	case exists && !single:
		f.errorf("name its folder; or for this file only, write it in a route with exact = true", "%q is not a folder", files.Text)
	case exists && strings.HasPrefix(base, "."):
		f.errorf("name another file", "a file whose name begins with \".\" is never served")
	case exists:
		// A link is followed when it is served, and must not lead out of its folder.
		files.Real = filepath.Join(f.scope.real(filepath.Dir(files.Dir)), base)
	default:
		what, detail := "folder", "until it does, a page says so"
		if single {
			what = "file or folder"
		}
		if f.name == "try_files" {
			detail = "until it does, all requests are forwarded"
		}
		if expr := envExpression(text); expr != "" && files.Flow.Empty() {
			detail = "for a variable, write " + expr
		}
		f.warnf(detail, "the %s %q does not exist yet", what, files.Text)
	}
}

func decodeRedirect(v value) *Redirect {
	if v.known() && v.isObject() {
		v.errorf(`write redirect = "/PATH"; status is a separate attribute`, "redirect must be a URL or a path")
		return nil
	}
	target, ok := v.str("redirect")
	if !ok {
		return nil
	}
	r := &Redirect{Target: target, Status: 302, Range: v.at(), Flow: v.flow()}
	p := v.place()
	if !p.isRedirectTarget(target) || !p.checkTarget(target, true) || !p.checkPlaceholders(target, r.Flow) {
		return nil
	}
	if found := placeholder.FindString(braced.ReplaceAllString(target, "")); found != "" && r.Flow.Empty() {
		p.errorf(placeholderAdvice(""), "unknown placeholder %s", found)
		return nil
	}
	return r
}

// isRedirectTarget checks that target is a path or a URL whose host no visitor can
// choose.
func (p place) isRedirectTarget(target string) bool {
	sample, name := sampleTarget(target), placeholderInHost(target)
	advice := suggest("/" + target)
	if host, _, _ := strings.Cut(target, "/"); strings.Contains(host, ".") || host == "{host}" {
		advice = suggest("https://" + target)
	}
	lower := strings.ToLower(sample)
	isWeb := strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")
	isPath := strings.HasPrefix(sample, "/")
	u, err := url.Parse(sample)
	return p.passes(
		when(name != "", `write it after the host: "https://example.com{rest}"`, "{%s} comes from the client and must not be part of a host", name),
		when(strings.HasPrefix(target, "//"), suggest("https:"+target), "the URL of a redirect needs a scheme"),
		when(isWeb && (err != nil || u.Host == ""), `write one like "https://example.com/docs{rest}"`, "%q is not a valid URL", target),
		when(!isWeb && !isPath && strings.Contains(target, "://"), `write one that begins with "https://" or "/"`, "%q is not an http or https URL", target),
		when(!isWeb && !isPath, advice, "redirect must be a URL, or a path that begins with \"/\""),
	)
}

// sampleTarget returns a redirect's target with values for its placeholders.
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

// placeholderInHost returns a placeholder in the host of a URL, by which a visitor
// could choose the host: "https://{rest}example.com" leads to any host. {host} is a
// host of the Proxyfile, and a value that begins with "/" ends the host.
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

// redirectStatus returns v as the status of a redirect; 0 for a mistake.
func (v value) redirectStatus() int {
	if !v.known() {
		return 0
	}
	status, ok := integer(v.Value)
	if !ok || !slices.Contains([]int{301, 302, 303, 307, 308}, status) {
		v.errorf("write 301, 302, 303, 307 or 308", "%s is not a redirect status", v.written())
		return 0
	}
	return status
}

func decodeRespond(v value) *Respond {
	if !v.IsKnown() {
		return nil
	}
	r := &Respond{Status: 200, Range: v.at(), Flow: v.flow()}
	body := v
	if v.isObject() {
		decodeObject(v, "respond", []entry[Respond]{
			{name: "status", decode: func(f field, r *Respond) { r.Status = f.status("200") }},
			{name: "body", decode: func(f field, r *Respond) {
				body = f.value
				r.Body, _ = f.scalar("body")
			}},
			{name: "headers", decode: func(f field, r *Respond) { r.Headers = responseHeaders(f) }},
		}, r)
	} else {
		r.Status = v.status("respond = { body = " + v.written() + " }")
	}
	if r.Status == 0 {
		return nil
	}
	if r.Body != "" && (r.Status == 204 || r.Status == 304) {
		body.errorf("leave it out, or use another status", "a %d response has no body", r.Status)
	}
	return r
}

// responseHeaders decodes the headers of a fixed response, which has none to
// remove.
func responseHeaders(f field) map[string]string {
	var all map[string]string
	headers, _ := f.headers()
	for name, text := range headers {
		if text == nil {
			f.errorf("leave it out", "respond has no %s to remove", name)
			continue
		}
		all = put(all, name, *text)
	}
	return all
}

// status returns v as the status of a response; 0 for a mistake. instead is what to write
// in place of a text that is not a number.
func (v value) status(instead string) int {
	if !v.known() {
		return 0
	}
	if v.Type() == cty.String {
		detail := "write " + instead
		if _, err := strconv.Atoi(v.AsString()); err == nil {
			detail = "write " + v.AsString() + ", without quotes"
		}
		v.errorf(detail, "a status must be a number")
		return 0
	}
	status, ok := integer(v.Value)
	if !ok || status < 200 || status > 599 {
		v.errorf("write a number from 200 to 599", "%s is not a valid status", v.written())
		return 0
	}
	return status
}
