package credentials

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/failure"
)

const (
	// RelayVariable lists relays, separated by commas.
	RelayVariable = "DEVPROXY_RELAY"
	// TokenVariable has a relay's enrolment token. Other users can see a command
	// line, but not this.
	TokenVariable = "DEVPROXY_RELAY_TOKEN"
)

const (
	// loginsFile is below $DEVPROXY_HOME.
	loginsFile = "relay.json"
	// maxLogins is how many logins are kept. The oldest is dropped first.
	maxLogins = 50
)

// Login is the stored data of a relay after `relay login`.
type Login struct {
	// Relay is its domain, with the port unless that is 443.
	Relay string `json:"relay"`
	// Token enrols a key that the relay does not know; may be empty.
	Token string `json:"token,omitempty"`
	// Pin is the only key that its certificate may have; empty for any.
	Pin string `json:"pin,omitempty"`
}

// logins is the content of loginsFile: the last login and the earlier ones, the
// latest first. Files of older versions have only the first.
type logins struct {
	Login
	Earlier []Login `json:"earlier,omitempty"`
}

// ErrNoRelay means that no relay is named anywhere.
var ErrNoRelay = errors.New("no relay is configured")

// noRelay says what to do about ErrNoRelay.
const noRelay = `to use your own relay: devproxy relay login HOST
without a server, through a provider: devproxy relay login cloudflare, or localhost.run
to try a link that works on this machine only: devproxy up --share --relay dev`

// NoRelay returns cause with what to do about a missing relay.
func NoRelay(cause error) error { return &failure.Error{Err: cause, Fix: noRelay} }

// Logins returns the relays that the user has logged in to, the last one first.
func (s Store) Logins() ([]Login, error) {
	path := filepath.Join(s.Home, loginsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("read", path, err)
	}
	var content logins
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, failure.Errorf("remove it, then: devproxy relay login HOST", "cannot read %s: %w", path, err)
	}
	all := append([]Login{content.Login}, content.Earlier...)
	return slices.DeleteFunc(all, func(l Login) bool { return l.Relay == "" }), nil
}

// Remember makes l the last login. Other users cannot read its token. A file that
// cannot be read is replaced.
func (s Store) Remember(l Login) error {
	if err := s.MakeHome(); err != nil {
		return err
	}
	earlier, _ := s.Logins()
	earlier = slices.DeleteFunc(earlier, func(old Login) bool { return sameRelay(old.Relay, l.Relay) })
	return writeJSON(filepath.Join(s.Home, loginsFile), logins{l, earlier[:min(len(earlier), maxLogins-1)]})
}

// Find returns the login at relay; zero if there was none.
func Find(all []Login, relay string) Login {
	for _, l := range all {
		if sameRelay(l.Relay, relay) {
			return l
		}
	}
	return Login{}
}

// Relays returns the relays that may carry a share, in the order in which they are
// tried, each with its token and pin. They are the flag's, else the Proxyfile's,
// else those of $DEVPROXY_RELAY, else the last login. The token of the environment
// goes to relays that the user has named, and never to one that only the Proxyfile
// names.
func (s Store) Relays(flag string, file []string) ([]Login, error) {
	all, err := s.Logins()
	if err != nil {
		return nil, err
	}
	names := file
	switch list := s.Getenv(RelayVariable); {
	case flag != "":
		names = strings.Split(flag, ",")
	case len(names) > 0:
	case list != "":
		names = strings.Split(list, ",")
	case len(all) > 0:
		names = []string{all[0].Relay}
	default:
		return nil, NoRelay(ErrNoRelay)
	}
	relays := make([]Login, 0, len(names))
	for _, name := range names {
		relay := RelayName(name)
		login := Find(all, relay)
		login.Relay = relay
		if login.Token == "" && (lists(flag, relay) || s.Knows(relay)) {
			login.Token = s.Getenv(TokenVariable)
		}
		relays = append(relays, login)
	}
	return relays, nil
}

// Knows reports whether the user has named a relay, in $DEVPROXY_RELAY or by
// logging in, and not only a Proxyfile.
func (s Store) Knows(relay string) bool {
	all, err := s.Logins()
	return lists(s.Getenv(RelayVariable), relay) || err == nil && Find(all, relay).Relay != ""
}

// lists reports whether a list of relays, separated by commas, has relay.
func lists(list, relay string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(name string) bool { return sameRelay(name, relay) })
}

// sameRelay reports whether two names mean the same relay. An empty name means none.
func sameRelay(a, b string) bool {
	canonical := func(name string) string {
		return strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(RelayName(name)), ":443"), ".")
	}
	return a != "" && canonical(a) == canonical(b)
}

// RelayName returns the name of a relay that is given as people give one:
// t.example.com, or its URL from the address bar of a browser. It is checked where
// it is dialled.
func RelayName(text string) string {
	const scheme = "https://"
	text = strings.TrimSpace(text)
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return strings.ToLower(strings.TrimSuffix(text[len(scheme):], "/"))
	}
	return text
}
