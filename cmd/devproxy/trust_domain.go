package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// trustedDomains are the domains outside of .localhost that the user has made a CA for.
// Hosts may have names in them.
func trustedDomains() []string {
	store, err := openStore()
	if err != nil {
		return nil
	}
	domains, err := localca.Domains(store.Home)
	if err != nil {
		return nil // then a host in one is reported, with the command
	}
	return domains
}

// domainsFile returns the path and content of the file that changes with trustedDomains.
// path is empty without a state folder, content nil without the file.
func domainsFile() (path string, content []byte) {
	store, err := openStore()
	if err != nil {
		return "", nil
	}
	path = filepath.Clean(localca.DomainsFile(store.Home))
	content, _ = os.ReadFile(path)
	return path, content
}

// trustDomain is devproxy trust --domain: it makes the CA of a domain, if the user
// agrees, and installs it.
func (t *trustRun) trustDomain(ctx context.Context) error {
	domain := t.opts.domain
	risk, err := localca.CheckDomain(domain)
	if err != nil {
		return domainError("trust", err)
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	ca, err := localca.LoadDomain(store.Home, domain)
	if t.opts.check || sudoUser() != "" {
		if errors.Is(err, localca.ErrNoCA) {
			return failf("devproxy trust --domain "+domain+when(sudoUser() != "", ", without sudo: it shows the command that needs root"), "%s has no CA yet", domain)
		}
		if err != nil {
			return err
		}
	}
	if t.opts.check {
		return t.run(ctx, ca, trust.Store.Check)
	}
	if errors.Is(err, localca.ErrNoCA) {
		if err := t.confirmDomain(ctx, risk, filepath.Join(store.Home, "domains", domain)); err != nil {
			return err
		}
		ca, err = localca.OpenDomain(store.Home, domain)
	}
	if err != nil {
		return caError(err)
	}
	t.line(fmt.Sprintf("This CA can sign %s and names below it, nothing else.", domain))
	err = t.run(ctx, ca, trust.Store.Install)
	t.printUnchanged(trust.Trusted, "Nothing was changed: this machine already trusts the CA of "+domain+".")
	if !t.opts.json {
		fmt.Fprintf(t.Out, "A host in a Proxyfile can be %q or below it now.\n", domain)
		fmt.Fprintln(t.Out, typed("So that programs find it here: devproxy names sync, while it is served"))
		fmt.Fprintln(t.Out, typed("Undo: devproxy untrust --domain "+domain))
	}
	return err
}

// confirmDomain says what the CA of a domain means in the hands of someone else, and asks.
// A domain that is never on the internet needs no answer.
func (t *trustRun) confirmDomain(ctx context.Context, risk localca.Risk, folder string) error {
	domain := t.opts.domain
	var text string
	switch risk {
	case localca.NoRisk:
		return nil
	case localca.NetworkRisk:
		text = fmt.Sprintf("Networks use names such as %s for their own servers.", domain)
	case localca.PublicRisk:
		text = fmt.Sprintf("%s can be a real site on the internet. Your browsers send it the cookies of the domains above it, so projects there can read these.", domain)
	}
	t.line(text + fmt.Sprintf(" From now on this machine accepts certificates for %s, and for every name below it, that are signed with a key in %s. "+
		"A thief of that key, for example a program that runs as you, can pretend to be https://%[1]s to this machine, and read the passwords and data that you send there. "+
		"Do it only for a name that is yours and that you use for nothing but development. Never do it for a site that you sign in to, such as a bank.", domain, devproxy.Home(folder)))
	switch {
	case t.opts.yes:
		return nil
	case !canAsk(t.streams, t.opts.json):
		return failf("devproxy trust --domain "+domain+" --yes", "a CA for %s must be confirmed on a terminal", domain)
	case !confirm(ctx, t.streams, "Trust "+domain+"? [y/N] "):
		return failf("", "nothing was changed")
	}
	return nil
}

// untrustDomain removes the CA of a domain from the stores, and deletes it once it is in
// none.
func (t *trustRun) untrustDomain(ctx context.Context) error {
	domain := t.opts.domain
	if _, err := localca.CheckDomain(domain); err != nil {
		return domainError("untrust", err)
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	ca, err := localca.LoadDomain(store.Home, domain)
	if errors.Is(err, localca.ErrNoCA) {
		fmt.Fprintf(t.Err, "no CA of %s found; removing what devproxy has put into the stores before\n", domain)
		ca, err = nil, nil
	}
	if err != nil {
		return err
	}
	if err := t.run(ctx, ca, trust.Store.Uninstall); err != nil {
		fmt.Fprintf(t.Err, "The key for %s stays in %s until no store trusts it.\n", domain, devproxy.Home(store.Home))
		return err
	}
	if len(t.opts.stores) > 0 || sudoUser() != "" {
		return nil // it may be in other stores
	}
	if err := localca.RemoveDomain(store.Home, domain); err != nil {
		return err
	}
	if ca != nil {
		fmt.Fprintf(t.Err, "The key for %s is deleted. From the next save on, hosts there are no longer served.\n", domain)
	}
	return nil
}

// checkDomains tests the CAs of all domains.
func (t *trustRun) checkDomains(ctx context.Context) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	domains, err := localca.Domains(store.Home)
	if err != nil {
		return err
	}
	var failed error
	for _, domain := range domains {
		ca, err := localca.LoadDomain(store.Home, domain)
		if err != nil {
			return failf("devproxy untrust --domain "+domain, "%w", err)
		}
		one := &trustRun{streams: t.streams, opts: t.opts}
		one.opts.domain = domain
		if !t.opts.json {
			fmt.Fprintln(t.Out, domain)
		}
		if err := one.run(ctx, ca, trust.Store.Check); err != nil {
			failed = err
		}
	}
	return failed
}

// domainError adds the command with a domain that can be used.
func domainError(verb string, err error) error {
	if refused, ok := errors.AsType[*localca.DomainError](err); ok && refused.Fix != "" {
		return usagef("devproxy "+verb+" --domain "+refused.Fix, "%w", err)
	}
	return usagef("devproxy "+verb+" --help", "%w", err)
}
