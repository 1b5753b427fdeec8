package tunnel

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// Alphabet is what the generated parts of public names are written in:
// Crockford's base32 in lower case, without i, l, o and u, so that none is
// read for another.
const Alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	// LinkLength is the length of a link, the secret part of unguessable
	// names: 16 characters of 5 bits are 80 bits.
	LinkLength = 16
	// ZoneLength is the length of a key's zone. 40 bits keep keys apart that
	// mean no harm; the relay's registry keeps the others apart.
	ZoneLength = 8
	// MaxHosts is how many hosts one share may have.
	MaxHosts = 100
)

const (
	// maxName and maxLabel are RFC 1035 section 2.3.4, in bytes of text.
	maxName  = 253
	maxLabel = 63
)

// joint stands between the labels of a host that became one label: "a.b" of
// the project shop is "a--b--shop-LINK".
const joint = "--"

func encoding() *base32.Encoding {
	return base32.NewEncoding(Alphabet).WithPadding(base32.NoPadding)
}

// Link is the secret part of unguessable names, LinkLength characters. It
// comes from the private key, so that nobody can guess it and nothing has to be
// stored; a new link is that of the next generation.
func Link(key ed25519.PrivateKey, generation uint64) string {
	info := string(binary.BigEndian.AppendUint64([]byte("devproxy link"), generation))
	bits, err := hkdf.Key(sha256.New, key.Seed(), nil, info, LinkLength*5/8)
	if err != nil {
		panic(err) // only for lengths above 8160 bytes (RFC 5869 section 2.3)
	}
	return encoding().EncodeToString(bits)
}

// Zone is the label below which the names of a key's shares with several hosts
// lie, ZoneLength characters.
func Zone(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return encoding().EncodeToString(sum[:ZoneLength*5/8])
}

// PublicNames is what the hosts of a claim are called in public, in their
// order: domain is the relay's. zone is the parent of all of them that no
// stranger shares; empty when there is one unguessable name, which has none. A
// claim without hosts has no names. Every error is a *NameError.
//
// Unguessable names are one label each, so that one wildcard certificate covers
// them: PROJECT-LINK.DOMAIN when there is one host, and below the key's zone
// PROJECT-LINK for the project's domain and HOST--PROJECT-LINK for others. With
// a plain name that is the zone: NAME.DOMAIN and HOST.NAME.DOMAIN.
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
		if err := checkPublic(host, name); err != nil {
			return "", nil, err
		}
		if other, taken := names[name]; taken {
			return "", nil, collision(host, other, name)
		}
		names[name] = host
		hosts = append(hosts, name)
	}
	return zone, hosts, nil
}

// zoneOf is empty for one host with an unguessable name. A wildcard host is
// several hosts.
func zoneOf(pub ed25519.PublicKey, domain string, claim Claim) string {
	switch {
	case claim.Name != "":
		return claim.Name + "." + domain
	case len(claim.Hosts) == 1 && !isWildcard(claim.Hosts[0]):
		return ""
	}
	return Zone(pub) + "." + domain
}

func publicName(host, zone, domain string, claim Claim) string {
	switch {
	case claim.Name != "" && host == "":
		return zone
	case claim.Name != "":
		return host + "." + zone
	case zone == "":
		return claim.Project + "-" + claim.Link + "." + domain
	case host == "":
		return claim.Project + "-" + claim.Link + "." + zone
	}
	return strings.ReplaceAll(host, ".", joint) + joint + claim.Project + "-" + claim.Link + "." + zone
}

// Root is the name under which a relay remembers name, a public name below
// domain: the plain name or the zone that it lies in, and for an unguessable
// name its link, "*-LINK.DOMAIN", whatever the rest of it. A host below a plain
// name has no entry of its own. It reports false for names that PublicNames
// never makes.
func Root(name, domain string) (root string, ok bool) {
	inner, below := strings.CutSuffix(name, "."+domain)
	if !below || inner == "" {
		return "", false
	}
	first, _, deep := strings.Cut(inner, ".")
	last := inner[strings.LastIndexByte(inner, '.')+1:]
	switch {
	case !deep && isTokenName(first):
		return linkEntry(first, domain), true
	case !deep || !isGenerated(last, ZoneLength):
		return last + "." + domain, last != ""
	case isTokenName(first) && len(first)+1+len(last) == len(inner):
		return linkEntry(first, domain), true
	}
	return "", false
}

// linkEntry is the entry of an unguessable label.
func linkEntry(label, domain string) string {
	return "*" + label[len(label)-LinkLength-1:] + "." + domain
}

func isWildcard(host string) bool { return host == "*" || strings.HasPrefix(host, "*.") }
