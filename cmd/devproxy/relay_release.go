package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// releasePatience bounds the asking with one key.
const releasePatience = 20 * time.Second

func newRelayReleaseCmd(s *streams) *cobra.Command {
	var relay string
	cmd := &cobra.Command{
		Use:   "release NAME",
		Short: "give up a name that a folder of yours has at a relay",
		Long: `Gives up a plain name, share { name = "NAME" }, so that any other folder can have it: this one after it was renamed or
cloned again, or one on another machine. A relay gives a name to the key of the folder that asked for it first.

Run it on the machine that had the name, in any folder: it looks for the key among all of this user.`,
		Example: `  devproxy relay release shop
  devproxy relay release shop --relay t.example.com`,
		Args: oneArg("name", "devproxy relay release shop"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals()...)
			defer stop()
			return runRelayRelease(ctx, s, relay, args[0])
		},
	}
	cmd.Flags().StringVar(&relay, "relay", "", "`RELAY` that has the name (default: $"+relayVariable+", the last relay login)")
	return cmd
}

func runRelayRelease(ctx context.Context, s *streams, flag, name string) error {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return err
	}
	relays, err := findRelays(home, flag, nil)
	if err != nil {
		return err
	}
	relay := relays[0]
	if _, err := provider.Find(relay.Relay); !errors.Is(err, provider.ErrUnknown) || relay.Relay == devWord {
		return usagef("devproxy relay release "+name+" --relay t.example.com", "%s gives no names that you choose", relay.Relay)
	}
	options, err := agentOptions(home, relay)
	if err != nil {
		return err
	}
	keys, err := folderKeys(home)
	if err != nil {
		return err
	}
	label, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "https://")), ".")
	for _, key := range keys {
		options.Key = key.key
		released, err := releaseWith(ctx, options, label)
		if err == nil {
			fmt.Fprintf(s.Out, "%s is free again; %s had it\n", released, key.folder)
			return nil
		}
		if !isOthers(err) {
			return shareFailure(err)
		}
	}
	return failf("on the machine that shared it: devproxy relay release "+label+"\nor choose another name; the relay frees it when nobody has used it for 90 days",
		"none of this user's %d keys has the name %s at %s", len(keys), label, relay.Relay)
}

func releaseWith(ctx context.Context, options agent.Options, label string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, releasePatience)
	defer cancel()
	return agent.Release(ctx, options, label)
}

// isOthers reports whether another key could have the name.
func isOthers(err error) bool {
	var e *agent.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case agent.ReasonNameTaken, agent.ReasonUnknownKey, agent.ReasonRevoked:
		return true
	}
	return false
}

// folderKey is the key of a folder that was shared.
type folderKey struct {
	key    ed25519.PrivateKey
	file   string
	folder string // empty when it is not known
	name   string // that a relay granted it last; empty for none
}

// folderKeys are all keys of this user. Those that cannot be read are left out.
func folderKeys(home string) ([]folderKey, error) {
	shares := filepath.Join(home, "shares")
	entries, err := os.ReadDir(shares)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, stateFailure("look into", shares, err)
	}
	var keys []folderKey
	for _, entry := range entries {
		var link linkRecord
		if text, err := os.ReadFile(filepath.Join(shares, entry.Name(), shareLinkFile)); err == nil {
			_ = json.Unmarshal(text, &link) // what it says is a courtesy
		}
		path := firstOf(link.KeyFile, filepath.Join(shares, entry.Name(), shareKeyFile))
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		key, err := parseKey(text)
		if err != nil {
			continue
		}
		keys = append(keys, folderKey{key, path, firstOf(link.Folder, "another folder"), link.Name})
	}
	return keys, nil
}
