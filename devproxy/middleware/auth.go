package middleware

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxPassword is the longest that bcrypt takes in; more would not be compared.
const maxPassword = 72

// authenticated lets in whoever Authorization names with the right password
// (RFC 7617). The field is devproxy's then, and not passed on. limit, which
// counts by users or is another's business, comes after that.
func (s *State) authenticated(route *plan.Route, addr netip.Addr, limit *limiter, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, password, ok := r.BasicAuth()
		if !ok {
			return &UnauthorizedError{route.Host.Name}
		}
		if err := s.prove(route, addr, name, password); err != nil {
			return err
		}
		in := r.WithContext(r.Context())
		in.Header = r.Header.Clone()
		delete(in.Header, "Authorization")
		then := next
		if limit != nil && limit.spec.By == plan.RateByUser {
			then = limit.before(addr, name, next)
		}
		return then(w, in)
	}
}

// prove compares what was shown, unless it was shown before.
func (s *State) prove(route *plan.Route, addr netip.Addr, name, password string) error {
	token := s.shown.token(route.Users, name, password)
	if s.shown.has(token) {
		return nil
	}
	right, wait := s.attempts.Try(addr, func() bool { return matches(route.Users, name, password) })
	switch {
	case wait > 0:
		return &LimitedError{wait, "too many wrong passwords"}
	case !right:
		return &UnauthorizedError{route.Host.Name}
	}
	s.shown.add(token)
	return nil
}

// matches compares with the hash of name, and does as much work when there is
// none, or when that of another is dearer: the time that it takes names nobody.
func matches(users []plan.User, name, password string) bool {
	hash, dearest := "", bcrypt.MinCost
	for _, user := range users {
		if user.Name == name {
			hash = user.Hash
		}
		if cost, err := bcrypt.Cost([]byte(user.Hash)); err == nil {
			dearest = max(dearest, cost)
		}
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		compare(nobody(dearest), password)
		return false
	}
	right := compare(hash, password) && len(password) <= maxPassword
	// One more step costs twice as much: from cost up to below the dearest, the
	// sum is what the dearest takes.
	for ; cost < dearest; cost++ {
		compare(nobody(cost), password)
	}
	return right
}

func compare(hash, password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

// nobody is a hash of a given cost that no password has.
func nobody(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", 53)) // 22 characters of salt, 31 of hash
}

// maxShown bounds who need not be compared again: a bcrypt takes tens of
// milliseconds, and a page sends a hundred requests.
const maxShown = 256

// shown remembers proven credentials by a MAC under a key that nobody else has.
type shown struct {
	key [32]byte

	mu  sync.Mutex
	all map[[sha256.Size]byte]struct{}
}

func newShown() *shown {
	s := &shown{all: map[[sha256.Size]byte]struct{}{}}
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// token stands for a name, its password and the hash they were proven against,
// so that a changed hash asks again.
func (s *shown) token(users []plan.User, name, password string) (token [sha256.Size]byte) {
	mac := hmac.New(sha256.New, s.key[:])
	for _, user := range users {
		if user.Name == name {
			fmt.Fprintf(mac, "%q", user.Hash)
		}
	}
	fmt.Fprintf(mac, "%q%q", name, password)
	return [sha256.Size]byte(mac.Sum(nil))
}

func (s *shown) has(token [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.all[token]
	return ok
}

func (s *shown) add(token [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxShown {
		clear(s.all) // they are compared once more
	}
	s.all[token] = struct{}{}
}
