package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// relayFile is where a rememberedRelay is kept, below $DEVPROXY_HOME.
const relayFile = "relay.json"

// rememberedRelay is what `relay login` leaves for shares.
type rememberedRelay struct {
	// Relay is its domain, with the port where that is not 443.
	Relay string `json:"relay"`
	// Token enrols a key that the relay does not know; may be empty.
	Token string `json:"token,omitempty"`
	// Pin is the only key its certificate may have; empty for none.
	Pin string `json:"pin,omitempty"`
}

// maxRemembered is how many logins are remembered; beyond that the oldest goes.
const maxRemembered = 50

// rememberedRelays is the content of relayFile: the last login and, after it, the
// earlier ones, the latest first. Files of older versions have only the first.
type rememberedRelays struct {
	rememberedRelay
	Earlier []rememberedRelay `json:"earlier,omitempty"`
}

// readRelays are the remembered relays, the last login first.
func readRelays(home string) ([]rememberedRelay, error) {
	path := filepath.Join(home, relayFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stateFailure("read", path, err)
	}
	var content rememberedRelays
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, failf("remove it, then: devproxy relay login HOST", "cannot read %s: %w", path, err)
	}
	all := append([]rememberedRelay{content.rememberedRelay}, content.Earlier...)
	return slices.DeleteFunc(all, func(r rememberedRelay) bool { return r.Relay == "" }), nil
}

// readRelay is the relay of the last login; zero when there is none.
func readRelay(home string) (rememberedRelay, error) {
	all, err := readRelays(home)
	if len(all) == 0 {
		return rememberedRelay{}, err
	}
	return all[0], err
}

// loginOf is what is remembered of a relay; zero for nothing.
func loginOf(all []rememberedRelay, relay string) rememberedRelay {
	for _, r := range all {
		if sameRelay(r.Relay, relay) {
			return r
		}
	}
	return rememberedRelay{}
}

// remember makes the relay the last login, and keeps the token from other users
// of the machine. A file that cannot be read is replaced.
func (r rememberedRelay) remember(home string) error {
	if err := privateHome(home); err != nil {
		return err
	}
	earlier, _ := readRelays(home)
	earlier = slices.DeleteFunc(earlier, func(old rememberedRelay) bool { return sameRelay(old.Relay, r.Relay) })
	return writeState(filepath.Join(home, relayFile), rememberedRelays{r, earlier[:min(len(earlier), maxRemembered-1)]})
}

// privateHome makes $DEVPROXY_HOME if need be. One that is there keeps its
// mode: it may be somebody's folder of other things.
func privateHome(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return stateFailure("make the folder", home, err)
	}
	return nil
}
