package middleware

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxPassword is the longest password that bcrypt compares, in bytes.
const maxPassword = 72

// authenticated lets in clients whose Authorization has a user with the right
// password (RFC 7617). The field is then devproxy's, and is not forwarded.
func (x *exchange) authenticated(users plan.BasicAuth, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, password, ok := r.BasicAuth()
		if !ok {
			return &UnauthorizedError{x.route.Host.Name}
		}
		if err := x.prove(users, name, password); err != nil {
			return err
		}
		x.user = name
		in := r.WithContext(r.Context())
		in.Header = r.Header.Clone()
		delete(in.Header, "Authorization")
		return next(w, in)
	}
}

// prove compares a password, unless it has been right before.
func (x *exchange) prove(users plan.BasicAuth, name, password string) error {
	token := x.proven.token(users, name, password)
	if x.proven.has(token) {
		return nil
	}
	right, wait := x.attempts.Try(x.addr, func() bool { return matches(users, name, password) })
	switch {
	case wait > 0:
		return &LimitedError{wait, "too many wrong passwords"}
	case !right:
		return &UnauthorizedError{x.route.Host.Name}
	}
	x.proven.add(token)
	return nil
}

// matches compares password with the hash of name. It does as much work for
// an unknown user, and when the hash of another user costs more: the time that it
// takes reveals no names.
func matches(users []plan.User, name, password string) bool {
	hash, highest := "", bcrypt.MinCost
	for _, user := range users {
		if user.Name == name {
			hash = user.Hash
		}
		if cost, err := bcrypt.Cost([]byte(user.Hash)); err == nil {
			highest = max(highest, cost)
		}
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		compare(unmatched(highest), password)
		return false
	}
	right := compare(hash, password) && len(password) <= maxPassword
	// One more step costs twice as much: from cost up to below the highest, the
	// sum equals the time of the highest.
	for ; cost < highest; cost++ {
		compare(unmatched(cost), password)
	}
	return right
}

func compare(hash, password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

// unmatched returns a hash of a given cost that no password has.
func unmatched(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", 53)) // 22 characters of salt, 31 of hash
}

// maxProven bounds the passwords that need not be compared again. A bcrypt takes
// tens of milliseconds, and a page sends a hundred requests.
const maxProven = 256

// proven remembers credentials that were right, as MACs under a secret key.
type proven struct {
	key [32]byte

	mu  sync.Mutex
	all map[[sha256.Size]byte]struct{}
}

func newProven() *proven {
	p := &proven{all: map[[sha256.Size]byte]struct{}{}}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

// token identifies a name, its password and the hash that it matched, so that a
// password is compared again when the hash changes.
func (p *proven) token(users []plan.User, name, password string) (token [sha256.Size]byte) {
	mac := hmac.New(sha256.New, p.key[:])
	for _, user := range users {
		if user.Name == name {
			fmt.Fprintf(mac, "%q", user.Hash)
		}
	}
	fmt.Fprintf(mac, "%q%q", name, password)
	return [sha256.Size]byte(mac.Sum(nil))
}

func (p *proven) has(token [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.all[token]
	return ok
}

func (p *proven) add(token [sha256.Size]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= maxProven {
		clear(p.all) // they are compared once more
	}
	p.all[token] = struct{}{}
}
