package hcl

import (
	"regexp"
	"strings"
)

// Relays make unguessable names and zones of Crockford's base32, without its
// upper case. A plain name shaped like one could stand where a stranger's is.
var (
	tokenShape = regexp.MustCompile(`-[0-9a-hjkmnp-tv-z]{16}$`)
	zoneShape  = regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{8}$`)
)

// sealedLabel is the parent of sealed names at every relay.
const sealedLabel = "s"

// publicName decodes the plain name of a share: one label, in lower case.
func (d *decoder) publicName(v value) string {
	text, ok := d.str(v, "name")
	if !ok {
		return ""
	}
	name := strings.ToLower(text)
	first, _, dotted := strings.Cut(name, ".")
	switch {
	case text == "":
		d.errorf(v.at(), "leave it out for an unguessable one", "name is empty")
	case dotted && first != "":
		d.errorf(v.at(), quotef("write %s: the relay's domain follows it", first), "name has no dots")
	case strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }):
		// Its xn-- form would have a "--" in it.
		d.errorf(v.at(), `write letters a to z, digits and "-"`, "%q is not ASCII", text)
	case !d.hostLabels(name, text, `write one like "shop"`, v.at()):
	case strings.Contains(name, "--"):
		d.errorf(v.at(), quotef("write %s", singleHyphens(name)), `name has no "--": unguessable names are told by it`)
	case tokenShape.MatchString(name):
		d.errorf(v.at(), "end it with fewer characters, or leave name out", "%q looks like an unguessable name, which nobody can choose", text)
	case zoneShape.MatchString(name):
		d.errorf(v.at(), quotef("write one that is longer or shorter than 8 characters, or %s", name[:4]+"-"+name[4:]), "%q looks like the zone of a key, which nobody can choose", text)
	case name == sealedLabel:
		d.errorf(v.at(), `write a longer one, like "shop"`, "%q is kept for sealed shares", text)
	default:
		return name
	}
	return ""
}

func singleHyphens(name string) string {
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return name
}
