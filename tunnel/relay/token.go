package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// minTokenLength is the shortest enrolment token allowed, in bytes.
	minTokenLength = 16
	// minTokenBits is the least randomness allowed, as randomness estimates it. At
	// ten guesses per second such a token lasts for millennia.
	minTokenBits = 40
)

// CheckToken says why an enrolment token can be guessed: it is too short, repeats
// itself ("aaaaaaaaaaaaaaaa", "1234567812345678"), or is a sequence that people
// type when they need many characters.
func CheckToken(token string) error {
	lower := strings.ToLower(token)
	switch {
	case len(token) < minTokenLength:
		return fmt.Errorf("the token has %d characters; fewer than %d can be guessed", len(token), minTokenLength)
	case randomness(lower) < minTokenBits:
		return errors.New("the token repeats itself, so it can be guessed")
	case strings.Contains("abcdefghijklmnopqrstuvwxyz0123456789", lower), strings.Contains("1234567890qwertyuiopasdfghjklzxcvbnm", lower):
		return errors.New("the token is a sequence, so it can be guessed")
	}
	return nil
}

// randomness estimates the entropy of a text, in bits. Every character counts that
// neither repeats the previous one nor ends a group of three that came before.
func randomness(text string) float64 {
	distinct := map[byte]bool{}
	surprises := 0
	for i := range len(text) {
		distinct[text[i]] = true
		repeats := i > 0 && text[i] == text[i-1] || i > 1 && strings.Contains(text[:i], text[i-2:i+1])
		if !repeats {
			surprises++
		}
	}
	return float64(surprises) * math.Log2(float64(len(distinct)))
}

// tokens are the enrolment tokens of a relay. Wrong ones are limited: each network
// has an allowance, and all networks together have another. A network's first few
// tokens do not depend on the shared one, so that guesses from many networks keep
// no one else out.
type tokens struct {
	sums [][sha256.Size]byte

	mu  sync.Mutex
	all *rate.Limiter
}

func newTokens(list []string) (*tokens, error) {
	t := &tokens{all: rate.NewLimiter(rate.Every(allTokensEvery), allTokensBurst)}
	for _, token := range list {
		if err := CheckToken(token); err != nil {
			return nil, err
		}
		t.sums = append(t.sums, sha256.Sum256([]byte(token)))
	}
	return t, nil
}

// check refuses a wrong token, and any token of a network that has presented
// too many wrong ones.
func (t *tokens) check(token string, from *network) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	left := from.tokens.TokensAt(now)
	if left < 1 || left <= tokenBurst-firstTokens && t.all.TokensAt(now) < 1 {
		return errTooManyTokens
	}
	if t.matches(token) {
		return nil
	}
	from.tokens.AllowN(now, 1)
	t.all.AllowN(now, 1)
	return &tunnel.Refusal{Code: tunnel.CodeBadToken, Message: "this relay does not have that enrolment token"}
}

// errTooManyTokens refuses a token without comparing it.
var errTooManyTokens = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "too many wrong enrolment tokens came from your network; wait a minute"}

// matches compares token with every token in full, so that the time it takes
// reveals nothing.
func (t *tokens) matches(token string) bool {
	sum := sha256.Sum256([]byte(token))
	found := 0
	for _, s := range t.sums {
		found |= subtle.ConstantTimeCompare(sum[:], s[:])
	}
	return found == 1
}
