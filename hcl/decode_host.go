package hcl

import (
	"path/filepath"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

func (d *decoder) decodeHost(b *block) *Host {
	defer d.enter(b)()
	host := &Host{Range: b.header}
	if b.label != "" {
		host.Name = Name{Value: d.name(b.label, b.labelRange, true), Range: b.labelRange}
	}
	host.Aliases = d.decodeAliases(b.body)
	host.Share = d.boolean(b.body, "share")
	answered := d.decodeSettings(b, &host.Settings)
	var routes []*Route
	for _, inner := range only(b.body.blocks, "route") {
		route, good := d.decodeRoute(inner, host, answered)
		if route == nil {
			continue
		}
		routes = append(routes, route)
		if good && (hasAnswer(&route.Settings) || hasAnswer(&host.Settings)) {
			host.Routes = append(host.Routes, route)
		}
	}
	d.findSecondRoutes(host.Name.Value, routes)
	d.findLoneStars(host, routes)
	d.findParameters(routes)
	if !answered && len(b.body.blocks) == 0 && !b.body.damaged {
		d.errorf(b.header, "write upstream = 3000, or files, redirect, respond, or a route", "%s answers with nothing", b.title())
	}
	return host
}

func hasAnswer(s *Settings) bool {
	return s.Upstream != nil || s.Files != nil || s.Redirect != nil || s.Respond != nil
}

func (d *decoder) decodeAliases(b *body) []Name {
	elements, _ := d.list(b, "aliases", "names", `"shop.localhost"`)
	var names []Name
	for _, element := range elements {
		text, ok := d.str(element, "an alias")
		if !ok {
			continue
		}
		if name := d.name(text, element.at(), true); name != "" {
			names = append(names, Name{Value: name, Range: element.at(), Flow: d.flow(element)})
		}
	}
	return names
}

// decodeSettings fills in what hosts and routes share, and reports whether b
// has an answer, be it a mistaken one.
func (d *decoder) decodeSettings(b *block, s *Settings) (answered bool) {
	var firstName string
	for _, name := range []string{"upstream", "files", "redirect", "respond"} {
		v, present := d.get(b.body, name)
		if !present {
			continue
		}
		if answered {
			d.secondAnswer(b, firstName, name)
			continue
		}
		answered, firstName = true, name
		switch name {
		case "upstream":
			s.Upstream = d.decodeUpstream(v)
		case "files":
			s.Files = d.decodeFiles(v, "files", d.exact)
		case "redirect":
			s.Redirect = d.decodeRedirect(v)
		case "respond":
			s.Respond = d.decodeRespond(v)
		}
	}
	d.decodeCompanions(b, s, firstName)
	d.decodeTryFiles(b, s, firstName)
	s.RequestHeaders, s.RequestFlows = d.decodeHeaders(b.body, "request_headers")
	s.ResponseHeaders, s.ResponseFlows = d.decodeHeaders(b.body, "response_headers")
	s.Timeout = d.decodeDuration(b.body, "timeout")
	s.Hold = d.decodeDuration(b.body, "hold")
	s.TLSSkipVerify = d.boolean(b.body, "tls_skip_verify")
	s.ForwardedProto = d.decodeForwardedProto(b.body)
	d.decodeAround(b.body, s)
	return answered
}

// secondAnswer reports the later of two answers.
func (d *decoder) secondAnswer(b *block, firstName, name string) {
	at, before := b.body.attrs[name].nameRange(), b.body.attrs[firstName].nameRange()
	if at.File == before.File && at.Start.Byte < before.Start.Byte {
		at, before, name, firstName = before, at, firstName, name
	}
	detail := "remove this or " + firstName + " at " + place(before)
	if at.File != before.File {
		detail = "unset the other one beside it: " + firstName + " = null"
	}
	d.errorf(at, detail, "%s has two answers, %s and %s", b.title(), firstName, name)
}

// decodeCompanions decodes spa and status, which belong to files and redirect.
func (d *decoder) decodeCompanions(b *block, s *Settings, answer string) {
	if spa := d.boolean(b.body, "spa"); spa != nil {
		if answer == "files" {
			if s.Files != nil {
				s.Files.SPA = *spa
			}
		} else if !b.body.damaged {
			d.errorf(b.body.attrs["spa"].nameRange(), `write files = "DIR" beside it`, "spa goes with files")
		}
	}
	v, present := d.get(b.body, "status")
	if !present {
		return
	}
	if answer != "redirect" {
		detail := `write redirect = "/PATH" beside it`
		if answer == "respond" {
			detail = "write respond = { status = …, body = … }"
		}
		if !b.body.damaged {
			d.errorf(b.body.attrs["status"].nameRange(), detail, "status goes with redirect")
		}
		return
	}
	if status := d.redirectStatus(v); status != 0 && s.Redirect != nil {
		s.Redirect.Status = status
		if f := d.comesFrom(v); !f.Empty() {
			f.Shown = s.Redirect.Target
			s.Redirect.Flow = s.Redirect.Flow.and(f)
		}
	}
}

// decodeTryFiles decodes try_files, which goes with upstream.
func (d *decoder) decodeTryFiles(b *block, s *Settings, answer string) {
	v, written, off := d.switched(b.body, "try_files")
	if !written || off {
		s.NoTryFiles = written
		return
	}
	if answer != "" && answer != "upstream" {
		detail := "remove one of them: what is not a file would go nowhere"
		if answer == "files" {
			detail = "replace files by upstream, for what is not a file"
		}
		d.errorf(b.body.attrs["try_files"].nameRange(), detail, "try_files goes with upstream, not with %s", answer)
		return
	}
	s.TryFiles = d.decodeFiles(v, "try_files", false)
}

// decodeFiles decodes the name of a folder, or with single of a file.
func (d *decoder) decodeFiles(v value, name string, single bool) *Files {
	if name == "try_files" && v.known() && triesPaths(v) {
		d.errorf(v.at(), `write try_files = "public", with the name of your folder; what is not a file there goes to upstream`, "try_files is a folder's name, not a list of what is tried")
		return nil
	}
	if v.is(cty.Bool) || v.known() && v.isObject() {
		detail := `write files = "DIR"; spa = true stands beside it`
		if name != "files" {
			detail = quotef("write "+name+" = %s", "public")
		}
		d.errorf(v.at(), detail, "%s is a folder's name", name)
		return nil
	}
	text, ok := d.str(v, name)
	if !ok {
		return nil
	}
	files := &Files{Text: text, Range: v.at(), Flow: d.flow(v)}
	switch {
	case text == "":
		d.errorf(v.at(), `write "." for the folder of the Proxyfile`, "the name of a folder is empty")
		return nil
	case strings.HasPrefix(text, "~"):
		d.errorf(v.at(), `write "${env("HOME")}`+text[1:]+`"`, `"~" is not expanded`)
		return nil
	case strings.ContainsRune(text, 0):
		d.errorf(v.at(), "remove it", "no file has a NUL in its name")
		return nil
	}
	files.Dir = d.absolute(text)
	files.Real = d.real(files.Dir)
	if !files.Flow.Empty() {
		files.Text = files.Flow.Shown
	}
	if isRemote(files.Dir) {
		return files // asking after it would send this user's credentials there
	}
	d.checkFiles(v, files, name, text, single)
	return files
}

// triesPaths reports what try_files is in nginx and Caddy: several paths, or variables
// in them.
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

// checkFiles looks at what is there now. A route of one path may name a file, which
// is what it serves then.
func (d *decoder) checkFiles(v value, files *Files, name, text string, single bool) {
	exists, isDir := d.env.folder(files.Dir)
	base := filepath.Base(files.Dir)
	switch {
	case isDir:
	case exists && !single:
		d.errorf(v.at(), "write it as files in a route with exact = true, or name the folder that it is in", "%q is not a folder", files.Text)
	case exists && strings.HasPrefix(base, "."):
		d.errorf(v.at(), "name another file", "a file whose name begins with \".\" is not served")
	case exists:
		// A link is followed when it is served, and must not lead out of its folder.
		files.Real = filepath.Join(d.real(filepath.Dir(files.Dir)), base)
	default:
		what, detail := "folder", "a page says so until it is"
		if single {
			what = "file or folder"
		}
		if name == "try_files" {
			detail = "until it is, all is forwarded"
		}
		if expr := environmentHabit(text); expr != "" && files.Flow.Empty() {
			detail = "for a variable, write " + expr
		}
		d.warnf(v.at(), detail, "the %s %q is not there yet", what, files.Text)
	}
}

// real is where path leads, links followed.
func (d *decoder) real(path string) string {
	if d.env.real == nil || isRemote(path) {
		return path
	}
	return d.env.real(path)
}

// absolute is a path of a file, relative to the Proxyfile.
func (d *decoder) absolute(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.file.Dir, path)
}
