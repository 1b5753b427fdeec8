package tunnel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Callback requests a callback host: a public name that does not change with the link,
// which OAuth providers send a browser back to. The relay itself answers there, with a
// redirect to the share that began the login, or to Local.
type Callback struct {
	// Key is an Ed25519 public key of its own, which all folders of one project have. The
	// callback host's name is made from it: see CallbackName.
	Key []byte `json:"key"`
	// Proof is Key's signature of the agent's key: see NewCallback.
	Proof []byte `json:"proof"`
	// Paths are the paths that are redirected, each as a browser sends it.
	Paths []string `json:"paths"`
	// Local is the origin of the developer's own machine to which requests go that no
	// share has begun: "https://shop.localhost". Empty answers them with 404.
	Local string `json:"local,omitempty"`
}

const (
	// CallbackLabel begins the name of every callback host. It cannot be the project of
	// an unguessable name.
	CallbackLabel = "callback"
	// MaxCallbackPaths is how many paths a callback host can have.
	MaxCallbackPaths = 16
	// MaxCallbackPath is the longest path of a callback host, in bytes.
	MaxCallbackPath = 256
	// MinState is the shortest value of `state`, in characters, that leads to a share. A
	// shorter one can be guessed, and the redirect reveals the share's name. The shortest of
	// a known library is django-allauth's, with 71 random bits.
	MinState = 12
)

// NewCallback returns a claim of the callback host of key for the agent whose key is pub.
func NewCallback(key ed25519.PrivateKey, pub ed25519.PublicKey, paths []string, local string) *Callback {
	public, _ := key.Public().(ed25519.PublicKey)
	return &Callback{Key: public, Proof: ed25519.Sign(key, callbackProof(pub)), Paths: paths, Local: local}
}

// callbackProof is the text that Callback.Proof signs. It names the agent's key, which
// every session proves, so that another agent can't use a proof that a relay has seen.
func callbackProof(pub ed25519.PublicKey) []byte {
	return append([]byte("devproxy callback proof"), pub...)
}

// CallbackName returns the name of the callback host of a key below a relay's domain:
// callback-X.DOMAIN, X being 16 characters of Alphabet. It depends on the domain, so that
// a name that was seen at one relay can't be taken at another.
func CallbackName(key ed25519.PublicKey, domain string) string {
	sum := sha256.Sum256(slices.Concat([]byte("devproxy callback name"), key, []byte(domain)))
	return CallbackLabel + "-" + encoding().EncodeToString(sum[:LinkLength*5/8]) + "." + domain
}

// StateHash returns the text by which an agent names a value of `state` to its relay.
func StateHash(state string) string {
	sum := sha256.Sum256(append([]byte("devproxy callback state"), state...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// IsStateHash reports whether text could have come from StateHash.
func IsStateHash(text string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(sum) == 16
}

// Check checks a callback that the agent with the key pub claims. Every error is a
// *NameError.
func (c *Callback) Check(pub ed25519.PublicKey) error {
	switch {
	case len(c.Key) != ed25519.PublicKeySize || bytes.Equal(c.Key, pub) || !ed25519.Verify(c.Key, callbackProof(pub), c.Proof):
		return nameErrorf(updateFix, "the claim of a callback host is not signed with its key")
	case len(c.Paths) == 0 || len(c.Paths) > MaxCallbackPaths:
		return nameErrorf("write fewer in callback", "a callback host has 1 to %d paths, not %d", MaxCallbackPaths, len(c.Paths))
	case c.Local != "" && !IsLocalOrigin(c.Local):
		return nameErrorf(updateFix, "%.100q is not the https origin of a name of *.localhost", c.Local)
	}
	for _, path := range c.Paths {
		if !IsCallbackPath(path) {
			return nameErrorf(`write one like "/auth/callback"`, "%.100q is not the path of a callback", path)
		}
	}
	return nil
}

// IsCallbackPath reports whether path can be one of a callback host: it has one spelling
// alone. It begins with "/" and has no empty segment but a last one, no dot segment, and
// only characters that need no encoding (RFC 3986 section 3.3: pchar without "%").
func IsCallbackPath(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || len(path) > MaxCallbackPath || !consistsOf(rest, pathCharacters) {
		return false
	}
	segments := strings.Split(rest, "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." || segment == "" && i < len(segments)-1 {
			return false
		}
	}
	return true
}

// pathCharacters are those of a path without encoding: pchar and the slash.
const pathCharacters = lettersAndDigits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+,;=:@/"

// IsLocalOrigin reports whether origin is https, a name of *.localhost and perhaps a port,
// written as browsers write it. Only a browser's own machine has such names (RFC 6761
// section 6.3).
func IsLocalOrigin(origin string) bool {
	authority, ok := strings.CutPrefix(origin, "https://")
	name, port, hasPort := strings.Cut(authority, ":")
	if !ok || len(name) > maxName || name != "localhost" && !strings.HasSuffix(name, ".localhost") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	if !hasPort {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n != 0 && n != 443 && strconv.FormatUint(n, 10) == port
}

// StateOf returns the value of `state` in the parameters of a URL or form. ok is false
// unless there is exactly one, of at least MinState characters.
func StateOf(parameters ...url.Values) (state string, ok bool) {
	var all []string
	for _, values := range parameters {
		all = append(all, values["state"]...)
	}
	if len(all) != 1 || len(all[0]) < MinState {
		return "", false
	}
	return all[0], true
}
