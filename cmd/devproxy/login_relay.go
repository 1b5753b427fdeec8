package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

// readRelay is the remembered relay; zero when there is none.
func readRelay(home string) (rememberedRelay, error) {
	var relay rememberedRelay
	path := filepath.Join(home, relayFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return relay, nil
	}
	if err != nil {
		return relay, stateFailure("read", path, err)
	}
	if err := json.Unmarshal(text, &relay); err != nil {
		return relay, failf("remove it, then: devproxy relay login HOST", "cannot read %s: %w", path, err)
	}
	return relay, nil
}

// remember keeps the relay, and its token from everybody else.
func (r rememberedRelay) remember(home string) error {
	if err := privateHome(home); err != nil {
		return err
	}
	return writeState(filepath.Join(home, relayFile), r)
}

// privateHome makes $DEVPROXY_HOME if need be. One that is there keeps its
// mode: it may be somebody's folder of other things.
func privateHome(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return stateFailure("make the folder", home, err)
	}
	return nil
}
