package share

import (
	"errors"
	"fmt"
	"strings"
)

// minSecret is how many characters a secret has at least: with the 32 of
// base32, 80 bits.
const minSecret = 16

// cookieKeySize is the size of Options.CookieKey in bytes, that of its hash.
const cookieKeySize = 32

func checkGate(opts *Options) error {
	open := newPrefixes(opts.Public).all()
	switch gated := opts.Named || opts.Password != ""; {
	case !gated || open:
		return nil
	case opts.Password == "" && len(opts.Secret) < minSecret:
		return fmt.Errorf("the secret of a share with a plain name has %d characters, fewer than %d: anybody could guess it", len(opts.Secret), minSecret)
	case opts.Password == "" && strings.ContainsFunc(string(opts.Secret), notUnreserved):
		return errors.New("the secret of the share holds characters that a URL cannot carry as they are (RFC 3986 section 2.3)")
	case len(opts.CookieKey) != cookieKeySize:
		return fmt.Errorf("the key that signs the cookies of the gate has %d bytes, not %d", len(opts.CookieKey), cookieKeySize)
	}
	return nil
}

func notUnreserved(r rune) bool {
	alphanumeric := '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	return !alphanumeric && !strings.ContainsRune("-._~", r)
}

func checkPaths(opts *Options) error {
	return errors.Join(checkList("paths", opts.Paths), checkList("public", opts.Public))
}

func checkList(name string, paths []string) error {
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%q in `share { %s }` matches nothing: a path begins with \"/\"", path, name)
		}
	}
	return nil
}
