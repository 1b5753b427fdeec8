package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/localca"
)

// probePatience bounds the look for a provider that works, each of them.
const probePatience = 3 * time.Second

// canAsk reports whether there is a person who can answer a question.
func canAsk(s *streams, asJSON bool) bool {
	return !asJSON && s.InTTY && (s.OutTTY || s.ErrTTY)
}

// offerRelay asks a person who shares without any relay through whom it may go,
// and remembers the answer. relay is what this share goes through when that is not
// remembered. Without a person, or with a no, the error is findRelays'.
func offerRelay(ctx context.Context, s *streams, opts upOptions, src source) (relay string, err error) {
	missing := checkRelay(opts, src)
	if !errors.Is(missing, errNoRelay) || !canAsk(s, opts.json) {
		return "", missing
	}
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return "", err
	}
	offered, found := firstProvider(ctx, home)
	switch askProvider(ctx, s, offered, found) {
	case "y", "yes":
		if !found {
			return "", missing
		}
		return "", rememberedRelay{Relay: offered.Name}.remember(home)
	case "d", devWord:
		return devWord, nil
	}
	return "", missing
}

// firstProvider is the first provider that can be reached from here.
func firstProvider(ctx context.Context, home string) (provider.Provider, bool) {
	for _, name := range provider.Names() {
		p, err := provider.Find(name)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, probePatience)
		err = p.Probe(ctx, provider.Options{Home: home, Getenv: os.Getenv})
		cancel()
		if err == nil {
			return p, true
		}
	}
	return provider.Provider{}, false
}

// askProvider tells what a share through p means and returns the answer in lower
// case.
func askProvider(ctx context.Context, s *streams, p provider.Provider, found bool) string {
	fmt.Fprintln(s.Err, "No relay is configured, so nobody can carry the link yet.")
	if found {
		fmt.Fprintf(s.Err, "%s would work from here, without an account:\n", s.bold(p.Name))
		for _, row := range providerRows(p) {
			fmt.Fprintf(s.Err, "  %s  %s\n", s.dim(pad(row[0], len("can read it"))), row[1])
		}
	}
	fmt.Fprintf(s.Err, "  %s  %s\n", s.dim(pad("instead", len("can read it"))), "a relay of yours: devproxy relay login HOST")
	question := "Look at the link on this machine only (d), or not share (n)? [d/N] "
	if found {
		question = fmt.Sprintf("Share through %s from now on (y), look at the link on this machine only (d), or not share (n)? [y/d/N] ", p.Name)
	}
	return askLine(ctx, s, question)
}

// providerRows are what a person must know of a provider, label and text.
func providerRows(p provider.Provider) [][2]string {
	rows := [][2]string{{"can read it", p.Operator}}
	if len(p.Cannot) > 0 {
		rows = append(rows, [2]string{"carries no", strings.Join(p.Cannot, ", ")})
	}
	return rows
}

// askLine asks a question on the terminal and returns the answer in lower case. When
// ctx ends it is empty.
func askLine(ctx context.Context, s *streams, question string) string {
	fmt.Fprint(s.Err, question)
	answer := make(chan string, 1)
	go func() { answer <- readLine(s.In) }() // a read of a terminal ends with the process
	select {
	case line := <-answer:
		if !strings.HasSuffix(line, "\n") {
			fmt.Fprintln(s.Err) // the terminal shows no end of line at the end of the input
		}
		return strings.ToLower(strings.TrimSpace(line))
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return ""
	}
}
