package hcl

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

func (d *decoder) decodeShare(b *block) {
	if first := d.file.Share; first != nil {
		d.errorf(b.header, "the first is at "+place(first.Range), "a second share block")
		return
	}
	defer d.enter(b)()
	share := &Share{Range: b.header}
	d.file.Share = share
	if v, present := d.get(b.body, "relay"); present {
		share.Relays = d.relays(v)
	}
	share.Hosts = d.decodeSharedHosts(b.body)
	if v, present := d.get(b.body, "name"); present {
		share.Name = d.publicName(v)
	}
	d.decodePassword(b.body, share)
	paths, public := d.decodePaths(b.body, "paths"), d.decodePaths(b.body, "public")
	d.findHidden(public, paths)
	share.Paths, share.Public = values(paths), values(public)
	share.Show = d.decodeShow(b.body)
	share.Allow = d.decodeAllow(b.body)
	share.SharedCookies = d.decodeSharedCookies(b.body)
	share.Expires = d.decodeExpires(b.body)
	for _, name := range sortedKeys(b.body.attrs) {
		if name == "password" && share.Unset != "" {
			continue // evaluating it is an error
		}
		v, _ := d.get(b.body, name)
		flow := d.comesFrom(v)
		if name == "password" && !flow.Computed {
			continue // visitors have to know it; they are not told
		}
		if !flow.Empty() {
			if share.Flows == nil {
				share.Flows = map[string]Flow{}
			}
			share.Flows[name] = flow
		}
	}
}

// decodePaths decodes a list of paths that match like those of routes. An
// empty list of public paths is none; one of paths would leave nothing.
func (d *decoder) decodePaths(b *body, name string) []Name {
	elements, there := d.list(b, name, "paths", `"/"`)
	if there && len(elements) == 0 && name == "paths" {
		d.errorf(b.attrs[name].nameRange(), "leave it out for all", "a share without paths has nothing to show")
	}
	var paths []Name
	for _, element := range elements {
		text, ok := d.str(element, "a path")
		if !ok {
			continue
		}
		if path, ok := d.sharedPath(text, element.at()); ok {
			paths = append(paths, Name{Value: path, Range: element.at()})
		}
	}
	return paths
}

// decodeShow decodes what is not hidden from visitors: paths, names of files,
// and parameters of a query.
func (d *decoder) decodeShow(b *body) []Name {
	elements, _ := d.list(b, "show", "paths and file names", `"/rails/mailers"`)
	var show []Name
	for _, element := range elements {
		text, ok := d.str(element, "an entry of show")
		switch {
		case !ok:
		case text == "" || text == "/":
			d.errorf(element.at(), `write one like "/rails/mailers"`, "%q in show names nothing that is hidden", text)
		case strings.Contains(text, "://"):
			d.errorf(element.at(), `write "/PATH": it is for all hosts`, "an entry of show is not a URL")
		default:
			show = append(show, Name{Value: text, Range: element.at()})
		}
	}
	return show
}

// sharedPath is path without the advice that is for routes.
func (d *decoder) sharedPath(text string, at Range) (clean string, ok bool) {
	before, _, query := strings.Cut(text, "?")
	switch {
	case strings.Contains(text, "://"):
		d.errorf(at, `write "/PATH": it holds for all hosts`, "a path is not a URL")
	case query:
		d.errorf(at, quotef("write %s", before), "a path has no query")
	default:
		return d.path(text, at)
	}
	return "", false
}

// findHidden warns of public paths that do not exist outside.
func (d *decoder) findHidden(public, paths []Name) {
	for _, p := range public {
		if len(paths) > 0 && !slices.ContainsFunc(paths, func(shown Name) bool { _, both := Overlap(p.Value, shown.Value); return both }) {
			d.warnf(p.Range, "add it to paths", "the public path %q is not among the paths of this share", p.Value)
		}
	}
}

// within reports whether path is prefix or below it.
func within(path, prefix string) bool {
	return prefix == "/" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

func values(names []Name) []string {
	var all []string
	for _, name := range names {
		all = append(all, name.Value)
	}
	return all
}

// decodeAllow decodes a list of CIDR ranges and addresses.
func (d *decoder) decodeAllow(b *body) []netip.Prefix {
	elements, there := d.list(b, "allow", "CIDR ranges", `"203.0.113.0/24"`)
	if there && len(elements) == 0 {
		d.errorf(b.attrs["allow"].nameRange(), "leave it out for everybody", "a share that allows nobody has no visitors")
	}
	var allow []netip.Prefix
	for _, element := range elements {
		text, ok := d.str(element, "a CIDR range")
		if !ok {
			continue
		}
		if prefix, ok := d.prefix(text, element.at()); ok {
			allow = append(allow, prefix)
		}
	}
	return allow
}

// decodeSharedCookies decodes cookies, which is "shared" or absent.
func (d *decoder) decodeSharedCookies(b *body) bool {
	v, present := d.get(b, "cookies")
	if !present || !v.known() {
		return false
	}
	if v.Type() == cty.String && v.AsString() == "shared" {
		return true
	}
	d.errorf(v.at(), `write "shared", or leave it out: then each host has its own cookies`, `cookies is "shared"`)
	return false
}

// decodeExpires decodes how long a link lives; 0 when it is absent.
func (d *decoder) decodeExpires(b *body) time.Duration {
	v, present := d.get(b, "expires")
	if !present {
		return 0
	}
	duration, ok := d.duration(v)
	if ok && duration <= 0 {
		d.errorf(v.at(), `write one like "8h", which it is when left out`, "a link lives for some time")
		return 0
	}
	return duration
}

// decodeSharedHosts decodes which hosts of this file get a public name.
func (d *decoder) decodeSharedHosts(b *body) []Name {
	elements, there := d.list(b, "hosts", "host names of this file", `"shop.localhost"`)
	if there && len(elements) == 0 {
		d.errorf(b.attrs["hosts"].nameRange(), "leave it out for all hosts without share = false", "a share has at least one host")
	}
	var hosts []Name
	first := map[string]Range{}
	for _, element := range elements {
		text, ok := d.str(element, "a host")
		if !ok {
			continue
		}
		name := Name{Value: strings.ToLower(text), Range: element.at()}
		if before, twice := first[name.Value]; twice {
			d.errorf(name.Range, "the first is at "+place(before), "a second %q", name.Value)
			continue
		}
		first[name.Value] = name.Range
		if d.isShared(name, text) {
			hosts = append(hosts, name)
		}
	}
	return hosts
}
