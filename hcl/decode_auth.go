package hcl

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

const (
	// minCost is the least that bcrypt knows.
	minCost = 4
	// maxCost takes two to three seconds of a core: more would let a few
	// strangers with wrong passwords keep the machine busy.
	maxCost = 15
	// maxUser bounds a name of basic_auth; header fields carry it.
	maxUser = 255
)

// bcryptHash is a hash in the form of crypt(3). "2x" is left out: it marks the
// hashes of a library that was wrong.
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

const hashCommand = "run devproxy hash-password and write what it prints"

// decodeBasicAuth decodes basic_auth = { NAME = "bcrypt hash" }; nil when it is
// absent or a mistake.
func (d *decoder) decodeBasicAuth(b *body) *BasicAuth {
	v, written, off := d.switched(b, "basic_auth")
	switch {
	case !written || !off && !v.IsKnown():
		return nil
	case off:
		return &BasicAuth{Off: true, Range: v.at()}
	case !v.isObject():
		d.errorf(v.at(), `write basic_auth = { NAME = "HASH" }; for the hash, `+hashCommand, "basic_auth is an object of names and hashes")
		return nil
	}
	fields := d.fields(v)
	if len(fields) == 0 {
		d.errorf(v.at(), "write null to ask for none", "basic_auth lets nobody in")
		return nil
	}
	auth := &BasicAuth{Users: map[string]string{}, Range: v.at()}
	for _, f := range fields {
		if hash := d.hash(f); d.userName(f) && hash != "" {
			auth.Users[f.name] = hash
		}
	}
	if len(auth.Users) < len(fields) {
		return nil
	}
	return auth
}

// userName checks the name of f (RFC 7617 section 2).
func (d *decoder) userName(f field) bool {
	switch {
	case f.name == "":
		d.errorf(f.nameAt, `write one like "ann"`, "the name of a user is empty")
	case strings.Contains(f.name, ":"):
		d.errorf(f.nameAt, quotef("write %s", strings.ReplaceAll(f.name, ":", "-")), `the name of a user has no ":", which ends it where it is sent`)
	case strings.ContainsFunc(f.name, isControl):
		d.errorf(f.nameAt, "remove it", "the name of a user has a control character")
	case len(f.name) > maxUser:
		d.errorf(f.nameAt, "", "the name of a user has at most %d bytes", maxUser)
	default:
		return true
	}
	return false
}

// hash is the bcrypt hash of f; empty for a mistake. The text itself is in no
// message of ours: it may be a password.
func (d *decoder) hash(f field) string {
	switch {
	case !f.IsWhollyKnown():
		return ""
	case f.IsNull() || f.Type() != cty.String:
		d.errorf(f.at(), hashCommand, "the hash of %q is a string", f.name)
		return ""
	}
	text := f.AsString()
	m := bcryptHash.FindStringSubmatch(text)
	if m == nil {
		summary := fmt.Sprintf("this is a password of %q, not a bcrypt hash", f.name)
		if strings.HasPrefix(text, "$") || strings.HasPrefix(text, "{") {
			summary = fmt.Sprintf("this is no whole bcrypt hash, for %q", f.name)
		}
		d.errorf(f.at(), hashCommand, "%s", summary)
		return ""
	}
	if cost, _ := strconv.Atoi(m[1]); cost < minCost || cost > maxCost {
		d.errorf(f.at(), hashCommand, "the cost of this hash is %d, not one of %d to %d", cost, minCost, maxCost)
		return ""
	}
	return text
}
