package tunnel

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// Alphabet has the characters of the generated parts of public names:
// Crockford's base32 in lower case, without i, l, o and u, so that none is
// mistaken for another.
const Alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	// LinkLength is the length of a link, the secret part of unguessable
	// names: 16 characters of 5 bits are 80 bits.
	LinkLength = 16
	// ZoneLength is the length of a key's zone. 40 bits distinguish the keys of
	// honest agents; the relay's registry distinguishes the others.
	ZoneLength = 8
	// ownBytes are 128 bits: nobody finds another key with the same name.
	ownBytes = 16
	// MaxHosts is how many hosts one share may have.
	MaxHosts = 100
)

const (
	// maxName and maxLabel are RFC 1035 section 2.3.4, in bytes of text.
	maxName  = 253
	maxLabel = 63
	// joint joins a project's label and the labels of a host into one label: "a.b" of
	// the project shop is "shop-LINK--a--b".
	joint = "--"
	// hashLength is the length of the label that replaces a host's labels.
	hashLength = 8
	// wildcardRoom is the least number of bytes that a label has left to replace "*".
	wildcardRoom = 10
)

func encoding() *base32.Encoding {
	return base32.NewEncoding(Alphabet).WithPadding(base32.NoPadding)
}

// Link returns the secret part of unguessable names, LinkLength characters. It is
// derived from the private key, so that no one can guess it and nothing has to be
// stored. The next generation is a new link.
func Link(key ed25519.PrivateKey, generation uint64) string {
	info := string(binary.BigEndian.AppendUint64([]byte("devproxy link"), generation))
	bits, err := hkdf.Key(sha256.New, key.Seed(), nil, info, LinkLength*5/8)
	if err != nil {
		panic(err) // only for lengths above 8160 bytes (RFC 5869 section 2.3)
	}
	return encoding().EncodeToString(bits)
}

// Zone returns the label below which a key has unguessable names whose hosts share
// cookies, ZoneLength characters.
func Zone(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return encoding().EncodeToString(sum[:ZoneLength*5/8])
}

// OwnName returns the name below a relay's domain by which DNS records name a key. No
// claim can get it: it is below the sealed label. It does not have to resolve, but does, so
// that a CNAME to it leads to the relay.
func OwnName(pub ed25519.PublicKey, domain string) string {
	sum := sha256.Sum256(append([]byte("devproxy own name"), pub...))
	return encoding().EncodeToString(sum[:ownBytes]) + "." + sealed + "." + domain
}

// PublicNames returns the public names of a claim's hosts, in their order. domain
// is the relay's. zone is the parent of all of the names, which no other key's names
// have; it is empty when they have none. A claim without hosts has no names.
// Every error is a *NameError.
//
// With NamesInOneLabel, a name starts with START, which is PROJECT-LINK or the plain
// name, and the host follows it in the same label, so that one certificate for
// *.DOMAIN covers all names: START.DOMAIN for the project's domain, and
// START--HOST.DOMAIN for the host "HOST", with "--" for each dot. So no label has
// "--" as its third and fourth character, which IDNA forbids (RFC 5891 section
// 4.2.3.1). A host that does not fit into 63 bytes, or is not made of letters,
// digits and hyphens, is replaced by 8 characters of its hash.
//
// With shared cookies, the names have a zone. It is the key's for unguessable
// names: START--HOST.ZONE.DOMAIN. It is the plain name's own for plain names:
// START.DOMAIN and HOST.START.DOMAIN.
//
// The first host's name is claim.Domain, if there is one. Its form is not checked here.
//
// Otherwise a name depends on the host alone: sharing another host does not change it.
// NamesByZone has other rules; see zonedName.
func PublicNames(pub ed25519.PublicKey, domain string, claim Claim) (zone string, hosts []string, err error) {
	if len(claim.Hosts) == 0 {
		return "", nil, nil
	}
	if err := checkClaim(claim); err != nil {
		return "", nil, err
	}
	zone = zoneOf(pub, domain, claim)
	names := make(map[string]string, len(claim.Hosts))
	for _, host := range claim.Hosts {
		name := publicName(host, zone, domain, claim)
		if err := checkPublic(host, name, claim); err != nil {
			return "", nil, err
		}
		if other, taken := names[name]; taken {
			return "", nil, collision(host, other, name)
		}
		names[name] = host
		hosts = append(hosts, name)
	}
	if claim.Domain != "" {
		hosts[0] = claim.Domain
	}
	return zone, hosts, nil
}

func zoneOf(pub ed25519.PublicKey, domain string, claim Claim) string {
	switch {
	case claim.Names == NamesByZone && claim.Name == "" && len(claim.Hosts) == 1 && !isWildcard(claim.Hosts[0]):
		return ""
	case claim.Names != NamesByZone && !claim.SharedCookies:
		return ""
	case claim.Name != "":
		return claim.Name + "." + domain
	}
	return Zone(pub) + "." + domain
}

func publicName(host, zone, domain string, claim Claim) string {
	switch {
	case claim.Name != "" && zone != "" && host == "":
		return zone
	case claim.Name != "" && zone != "":
		return host + "." + zone
	case claim.Names == NamesByZone:
		return zonedName(host, zone, domain, claim)
	}
	start := cmp.Or(claim.Name, claim.Project+"-"+claim.Link)
	return oneLabel(start, host) + "." + cmp.Or(zone, domain)
}

// oneLabel returns the label of a host whose names begin with start.
func oneLabel(start, host string) string {
	label, rest, room := start, host, 0
	if isWildcard(host) {
		label, rest, room = start+joint+"*", strings.TrimPrefix(strings.TrimPrefix(host, "*"), "."), wildcardRoom-1
	}
	if rest == "" {
		return label
	}
	// Some clients, such as Java's URI, refuse names with an underscore.
	if name := label + joint + strings.ReplaceAll(rest, ".", joint); len(name)+room <= maxLabel && !strings.Contains(rest, "_") {
		return name
	}
	sum := sha256.Sum256([]byte(rest))
	return label + joint + encoding().EncodeToString(sum[:hashLength*5/8])
}

// zonedName returns an unguessable name by the first version of the rules: one host
// is PROJECT-LINK.DOMAIN, and several are below the key's zone, PROJECT-LINK for the
// project's domain and HOST--PROJECT-LINK for others. Plain names have a zone.
func zonedName(host, zone, domain string, claim Claim) string {
	name := claim.Project + "-" + claim.Link + "." + cmp.Or(zone, domain)
	if zone == "" || host == "" {
		return name
	}
	return strings.ReplaceAll(host, ".", joint) + joint + name
}

// Root returns the name under which a relay remembers name, a public name below
// domain: the plain name or the zone that it is below. For an unguessable name, only
// the link counts, and the result is LinkEntry's. ok is false for names that
// PublicNames never makes.
func Root(name, domain string) (root string, ok bool) {
	inner, below := strings.CutSuffix(name, "."+domain)
	if !below || inner == "" {
		return "", false
	}
	first, _, deep := strings.Cut(inner, ".")
	last := inner[strings.LastIndexByte(inner, '.')+1:]
	start, _, joined := strings.Cut(first, joint)
	switch {
	case !deep && isTokenName(start):
		return LinkEntry(start[len(start)-LinkLength:], domain), true
	case !deep && joined: // a host of a plain name
		return start + "." + domain, PlainName(start)
	case !deep || !isGenerated(last, ZoneLength):
		return last + "." + domain, last != ""
	case len(first)+1+len(last) != len(inner):
		return "", false
	}
	at, ok := LinkAt(first)
	if !ok {
		return "", false
	}
	return LinkEntry(first[at:at+LinkLength], domain), true
}

// LinkEntry returns the name under which a relay remembers a link.
func LinkEntry(link, domain string) string { return "*-" + link + "." + domain }

func isWildcard(host string) bool { return host == "*" || strings.HasPrefix(host, "*.") }

// maxProject leaves a label room for a link and a host of 20 characters.
const maxProject = maxLabel - LinkLength - 1 - len(joint) - 20

// lettersAndDigits are the characters that any label may have.
const lettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

// Label makes a project's label for public names from any text, such as the
// name of a folder: lower case, everything but letters and digits a single
// hyphen, at most 24 bytes. Text that has none of them is "share", and "callback" is
// "callbacks".
func Label(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !strings.ContainsRune(lettersAndDigits, r) })
	label := strings.Join(words, "-")
	label = strings.TrimRight(label[:min(len(label), maxProject)], "-")
	if label == CallbackLabel { // whose names are those of callback hosts
		return label + "s"
	}
	return cmp.Or(label, "share")
}

// isLabel reports whether s is one label of a name (RFC 952, 1123), with the
// underscore that names made from folders have and every client accepts.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' && consistsOf(s, lettersAndDigits+"-_")
}

// isGenerated reports whether s could have come from Link or Zone.
func isGenerated(s string, length int) bool { return len(s) == length && consistsOf(s, Alphabet) }

func consistsOf(s, characters string) bool { return strings.Trim(s, characters) == "" }

// isTokenName reports whether label ends as unguessable names do.
func isTokenName(label string) bool {
	cut := len(label) - LinkLength
	return cut > 0 && label[cut-1] == '-' && isGenerated(label[cut:], LinkLength)
}

// LinkAt returns where the link of an unguessable name begins, LinkLength bytes
// of its first label. ok is false for a name that is not shaped like one.
func LinkAt(name string) (at int, ok bool) {
	label, _, _ := strings.Cut(name, ".")
	start, _, _ := strings.Cut(label, joint)
	switch {
	case isTokenName(start):
		return len(start) - LinkLength, true
	case isTokenName(label): // by NamesByZone
		return len(label) - LinkLength, true
	}
	return 0, false
}

// TokenName reports whether name, up to its first dot, is shaped like an
// unguessable name, which only the key that made it may claim.
func TokenName(name string) bool {
	_, ok := LinkAt(name)
	return ok
}

// PlainName reports whether the first label of name is a label that people
// choose: shaped neither like an unguessable name nor like the zone of a key.
func PlainName(name string) bool {
	label, _, _ := strings.Cut(name, ".")
	return label != "" && !TokenName(label) && !isGenerated(label, ZoneLength)
}
