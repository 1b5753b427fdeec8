package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/tunnel/relay"
)

// maxKeyList is the longest response of a relay's /keys, in bytes. All keys and names
// that it keeps fit.
const maxKeyList = 64 << 20

// relayKeysOptions are the flags of relay keys.
type relayKeysOptions struct {
	state, admin string
	json         bool
}

func newRelayKeysCmd(s *streams) *cobra.Command {
	var opts relayKeysOptions
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "list the keys that your own relay knows, with their names",
		Long: `Lists the keys that have enrolled at the relay on this server, those that were revoked, and the plain names and
ports of each. Links are counted and not listed: anyone who knows a link can open it.

While the relay runs, give its --admin address, which is queried. Otherwise the file of its --state is read.
To revoke a key, write "revoked KEY" into the file of --authorized-keys.`,
		Example: `  devproxy relay keys --admin 9090
  devproxy relay keys --state /var/lib/devproxy/relay.db`,
		Args: noArgs,
		RunE: interruptible(func(ctx context.Context, _ []string) error {
			return runRelayKeys(ctx, s, opts)
		}),
	}
	cmd.Flags().StringVar(&opts.state, "state", "", "the relay's file for names and keys (default relay.db in $DEVPROXY_HOME)")
	cmd.Flags().StringVar(&opts.admin, "admin", "", "the relay's address for /keys; a port alone is loopback")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one object per line")
	return cmd
}

func runRelayKeys(ctx context.Context, s *streams, opts relayKeysOptions) error {
	read := opts.read
	if opts.admin != "" {
		read = opts.query
	}
	keys, err := read(ctx)
	if err != nil {
		return err
	}
	if opts.json {
		for _, key := range keys {
			if err := s.json(key); err != nil {
				return err
			}
		}
		return nil
	}
	if len(keys) == 0 {
		fmt.Fprintln(s.Out, "no keys are enrolled")
		return nil
	}
	table := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	for _, key := range keys {
		names := slices.Concat(key.Names, key.Ports)
		if key.Links > 0 {
			names = append(names, count(key.Links, "link"))
		}
		seen := "never shared"
		if !key.Seen.IsZero() {
			seen = key.Seen.Format(time.DateOnly)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", key.Key, cmp.Or(key.Standing, "listed"), seen, strings.Join(names, ", "))
	}
	return table.Flush()
}

// read reads the file of a relay that is not running.
func (o relayKeysOptions) read(context.Context) ([]relay.KeyInfo, error) {
	path, err := relayState(o.state)
	if err != nil {
		return nil, err
	}
	keys, err := relay.ReadKeys(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf("read the file of the relay's --state:\ndevproxy relay keys --state FILE", "the relay's file %s does not exist", path)
	case errors.Is(err, relay.ErrInUse):
		return nil, failf("ask the relay, at the address of its --admin:\ndevproxy relay keys --admin ADDRESS", "cannot read %s: %w", path, err)
	case err != nil:
		return nil, failf("check its owner (ls -l)", "cannot read the relay's file %s: %w", path, err)
	}
	return keys, nil
}

// query gets the list from a running relay.
func (o relayKeysOptions) query(ctx context.Context) ([]relay.KeyInfo, error) {
	address, ok := listenAddress(o.admin, true)
	if !ok {
		return nil, usagef("give a port or an address with one: 9090, 127.0.0.1:9090", "--admin %q is not an address", o.admin)
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/keys", nil)
	if err != nil {
		return nil, err
	}
	const fix = "make sure that it is the --admin address of a running relay"
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		return nil, failf(fix, "cannot query the relay at %s: %w", address, err)
	}
	defer response.Body.Close()
	var keys []relay.KeyInfo
	if response.StatusCode == http.StatusOK {
		err = json.NewDecoder(io.LimitReader(response.Body, maxKeyList)).Decode(&keys)
	} else {
		err = errors.New(response.Status)
	}
	if err != nil {
		return nil, failf(fix, "cannot read the response of the relay at %s: %w", address, err)
	}
	return keys, nil
}
