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
	// shortestToken is the least length of an enrolment token, in bytes.
	shortestToken = 16
	// weakestToken is the least that its text must leave to chance, in bits, as
	// randomness estimates it. At ten guesses a second it lasts for millennia.
	weakestToken = 40
)

// CheckToken says why an enrolment token can be guessed: it is too short, repeats
// itself ("aaaaaaaaaaaaaaaa", "1234567812345678"), or is what people type when
// they want many characters.
func CheckToken(token string) error {
	lower := strings.ToLower(token)
	switch {
	case len(token) < shortestToken:
		return fmt.Errorf("the token has %d characters; fewer than %d can be guessed", len(token), shortestToken)
	case randomness(lower) < weakestToken:
		return errors.New("the token repeats itself, so it can be guessed")
	case strings.Contains("abcdefghijklmnopqrstuvwxyz0123456789", lower), strings.Contains("1234567890qwertyuiopasdfghjklzxcvbnm", lower):
		return errors.New("the token is a sequence, so it can be guessed")
	}
	return nil
}

// randomness estimates how much of a text is left to chance, in bits: of every
// character that neither repeats the one before nor ends three that came before.
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

// tokens are the enrolment tokens of a relay. Wrong ones are braked: each
// network has an allowance, and all have one together, which a network's first
// few do not depend on. So guessing from many networks keeps no one else out.
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
func (t *tokens) check(token string, from *origin) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	left := from.tokens.TokensAt(now)
	if left < 1 || left <= tokenBurst-firstTokens && t.all.TokensAt(now) < 1 {
		return errTooManyTokens
	}
	if t.right(token) {
		return nil
	}
	from.tokens.AllowN(now, 1)
	t.all.AllowN(now, 1)
	return &tunnel.Refusal{Code: tunnel.CodeBadToken, Message: "the enrolment token is not this relay's"}
}

// errTooManyTokens is told to agents whose tokens are not looked at.
var errTooManyTokens = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "too many wrong enrolment tokens came from your network; wait a minute"}

// right compares with every token, whole, so that the time it takes says
// nothing of any.
func (t *tokens) right(token string) bool {
	sum := sha256.Sum256([]byte(token))
	found := 0
	for _, s := range t.sums {
		found |= subtle.ConstantTimeCompare(sum[:], s[:])
	}
	return found == 1
}
