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

// errDeclined is the answer no to the offer of a provider.
var errDeclined = errors.New("nothing is shared, since no relay is configured")

// offerRelay asks a person who shares without any relay what may carry the link,
// and remembers a provider. relay is what this share goes through when that is not
// remembered. The error is findRelays' when nobody can be asked, and errDeclined
// after a no.
func offerRelay(ctx context.Context, s *streams, opts upOptions, src source) (relay string, err error) {
	missing := checkRelay(opts, src)
	if !errors.Is(missing, errNoRelay) || !canAsk(s, opts.json) {
		return "", missing
	}
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return "", err
	}
	p, found := firstProvider(ctx, home)
	switch answer := askProvider(ctx, s, p, found); {
	case answer == "d":
		return devWord, nil
	case found && (answer == "y" || answer == "yes"):
		return "", rememberedRelay{Relay: p.Name}.remember(home)
	}
	return "", failf(noRelay, "%w", errDeclined)
}

// firstProvider is the first provider that can be reached from here.
func firstProvider(ctx context.Context, home string) (provider.Provider, bool) {
	for _, name := range provider.Names() {
		p, err := provider.Find(name)
		if err != nil {
			continue // the beginning of a URL
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

// askProvider says what can carry the link, with what a share through p means, and
// returns the answer in lower case.
func askProvider(ctx context.Context, s *streams, p provider.Provider, found bool) string {
	to := *s
	to.Out = s.Err // a question is no result
	to.paragraph("No relay is configured, and a link needs one to carry it.")
	question := "Share? [d/N] "
	if found {
		to.row("y", 1, fmt.Sprintf("share through %s from now on: it needs no account. %s", s.bold(p.Name), providerText(p)))
		question = "Share? [y/d/N] "
	}
	to.row("d", 1, "look at the link on this machine only")
	to.row("n", 1, "do not share. With a server of yours: devproxy relay login HOST")
	return askLine(ctx, s, question)
}

// providerText is what a person must know of a provider before sharing through it.
func providerText(p provider.Provider) string {
	text := p.Operator + " can read the traffic."
	if len(p.Cannot) > 0 {
		text += " It does not carry " + strings.Join(p.Cannot, "; ") + "."
	}
	return text
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
