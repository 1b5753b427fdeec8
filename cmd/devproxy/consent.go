package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/consent"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// allowCommand gives consent.
const allowCommand = "devproxy allow"

func newAllowCmd(s *streams) *cobra.Command {
	var file fileFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "allow",
		Short: "allow what the Proxyfile does outside its project",
		Long: `Lists what the Proxyfile does outside its project and remembers your consent: commands, folders and unix sockets outside it,
upstreams on other machines, other origins that may read responses, and values of env() that are sent in a name, URL,
header or body. Values are never listed or kept, only the names of their variables.

Consent belongs to the repository: its worktrees share it, and moving or renaming a route does not need it again.
A running devproxy applies it at once.`,
		Example: "  devproxy allow\n  devproxy allow --yes",
		Args:    noArgs,
		RunE: interruptible(func(ctx context.Context, _ []string) error {
			return runAllow(ctx, s, file, yes)
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "allow all of it without asking")
	addFileFlags(cmd, &file)
	return cmd
}

func runAllow(ctx context.Context, s *streams, file fileFlags, yes bool) error {
	p, known, err := loadPlan(s, file)
	if err != nil {
		return err
	}
	effects := p.Effects()
	missing, err := known.missing(effects)
	switch {
	case err != nil:
		return err
	case len(effects) == 0:
		fmt.Fprintln(s.Out, "nothing in this Proxyfile needs consent")
		return nil
	case len(missing) == 0:
		fmt.Fprintln(s.Out, "everything is already allowed")
		return nil
	case yes:
		s.listEffects(s.Err, missing, nil)
	case !s.InTTY:
		s.listEffects(s.Err, missing, nil)
		return failf("read the list, then: devproxy allow --yes", "cannot ask without a terminal")
	case !askConsent(ctx, s, missing):
		return failf("devproxy up --partial serves the rest", "nothing was allowed")
	}
	if err := known.store.Allow(known.project, missing); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "allowed %s\n", count(len(missing), "effect"))
	return nil
}

func newDenyCmd(s *streams) *cobra.Command {
	var file fileFlags
	cmd := &cobra.Command{
		Use:   "deny",
		Short: "withdraw the consent given with devproxy allow",
		Long: `Forgets every consent of this repository, and the one for the relay that its Proxyfile names. A running devproxy
stops serving what needs it at once.`,
		Example: "  devproxy deny",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runDeny(s, file) },
	}
	addFileFlags(cmd, &file)
	return cmd
}

func runDeny(s *streams, file fileFlags) error {
	path, _, err := file.find()
	if err != nil {
		return err
	}
	known := consentsFor(filepath.Dir(path))
	if known.unusable != nil {
		return known.unusable
	}
	// A file with mistakes names no relay. The consents are forgotten all the same.
	var effects []*plan.Effect
	if p, _, err := loadPlan(&streams{Err: io.Discard}, file); err == nil {
		effects = p.Effects()
	}
	n, err := known.store.Deny(known.project, effects)
	if err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintln(s.Out, "nothing was allowed for this project")
		return nil
	}
	fmt.Fprintf(s.Out, "withdrew consent for %s\n", count(n, "effect"))
	return nil
}

// consents are the user's consents for the project of a Proxyfile.
type consents struct {
	project consent.Project
	store   *consent.Store
	logins  credentials.Store
	// unusable is why nothing can be looked up. Nothing is allowed then.
	unusable error
}

// consentsFor returns the consents of the project that folder is in. Their errors
// matter only to a project that needs consent.
func consentsFor(folder string) *consents {
	logins, err := openStore()
	if err != nil {
		return &consents{unusable: err}
	}
	logins.Getenv = programEnv(folder)
	userHome, _ := os.UserHomeDir() // empty if it is not known
	c := &consents{store: consent.NewStore(logins.Home, userHome), logins: logins}
	c.project, err = consent.Find(folder, userHome)
	if err != nil {
		c.unusable = failf("cd to a folder that exists", "cannot determine the project of %s: %w", folder, err)
	}
	return c
}

// missing returns the effects that need consent and have none.
func (c *consents) missing(effects []*plan.Effect) ([]*plan.Effect, error) {
	effects = slices.DeleteFunc(slices.Clone(effects), c.named)
	if len(effects) == 0 {
		return nil, nil
	}
	if c.unusable != nil {
		return nil, c.unusable
	}
	known, err := c.store.Read(c.project)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(effects, func(e *plan.Effect) bool { return known.Allows(c.project, e) }), nil
}

// allowed returns whether the user has allowed an effect, as far as that can be
// looked up: for verbs that only print it.
func (c *consents) allowed(effects []*plan.Effect) func(*plan.Effect) bool {
	missing, err := c.missing(effects)
	return func(e *plan.Effect) bool { return err == nil && !slices.Contains(missing, e) }
}

// named reports whether e is the effect of a relay that the user has named.
func (c *consents) named(e *plan.Effect) bool {
	return e.Kind == plan.KindRelay && c.logins.Home != "" && c.logins.Knows(e.Actual())
}

// file returns the path and content of the store; nil if the file is missing.
func (c *consents) file() (path string, content []byte) {
	if c.store == nil {
		return "", nil
	}
	path = filepath.Clean(c.store.Path())
	content, _ = os.ReadFile(path)
	return path, content
}

// consentError is a plan that is not served because effects need consent.
type consentError struct {
	effects []*plan.Effect
	refused bool // the user was asked and said no
}

func (e *consentError) Error() string {
	return fmt.Sprintf("this Proxyfile needs consent for %s outside its project", count(len(e.effects), "effect"))
}

// consentFix says how to consent to the effects of a consentError.
const consentFix = allowCommand + " lists and allows them\nfor one run: devproxy up --allow; without them: devproxy up --partial"

// effectJSON is an effect in the contract of --json.
type effectJSON struct {
	Kind   string   `json:"kind"`
	Target string   `json:"target"`
	Env    []string `json:"env"`
	File   string   `json:"file"`
	Line   int      `json:"line"`
	// Allowed is left out where all effects need consent.
	Allowed bool `json:"allowed,omitempty"`

	text string // target and variables, for people
}

// effectsJSON converts effects. allowed may be nil: none is.
func effectsJSON(effects []*plan.Effect, allowed func(*plan.Effect) bool) []effectJSON {
	list := make([]effectJSON, len(effects))
	for i, e := range effects {
		list[i] = effectJSON{Kind: string(e.Kind), Target: e.Target, Env: e.Env, Allowed: allowed != nil && allowed(e), text: e.Reach()}
		if e.Env == nil {
			list[i].Env = []string{}
		}
		if len(e.Sources) > 0 {
			list[i].File, list[i].Line = e.Sources[0].File, e.Sources[0].Line
		}
	}
	return list
}

// longList follows a list of effects whose beginning has left the screen: a command can
// be as long as its author likes.
const longList = "This list is longer than the screen. Scroll up and read all of it, or run: devproxy check"

// askConsent lists effects on the terminal and asks whether they are allowed.
func askConsent(ctx context.Context, s *streams, effects []*plan.Effect) bool {
	var list strings.Builder
	s.listEffects(&list, effects, nil)
	fmt.Fprint(s.Err, list.String())
	if !s.fits(list.String() + "\n") { // the question takes a row too
		s.line(s.bold(longList))
	}
	return confirm(ctx, s, "Allow this from now on? [y/N] ")
}

// upConsent decides which part of a plan an `up` serves.
type upConsent struct {
	*consents
	ctx     context.Context
	streams *streams
	opts    upOptions

	forRun []*plan.Effect // of --allow
	// begun says that a plan is served; served are its effects.
	begun  bool
	served []*plan.Effect
}

// decide implements devproxy.Project.Consent. Before the first plan is served
// it asks the user. Later, a plan with effects that are not allowed is refused,
// as one with mistakes is.
func (c *upConsent) decide(p *plan.Plan) (*plan.Plan, error) {
	if c.opts.allow && !c.begun {
		c.forRun = p.Effects()
		return p, nil
	}
	missing, err := c.missingNow(p.Effects())
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 && !c.begun {
		if missing, err = c.request(missing); err != nil {
			return nil, err
		}
	}
	if len(missing) == 0 {
		return p, nil
	}
	revoked, err := c.missingNow(c.served)
	if err != nil {
		return nil, err
	}
	if !c.opts.partial && len(revoked) == 0 {
		return nil, &consentError{effects: missing}
	}
	// Consent for something that is served was withdrawn, so serving it must
	// stop.
	return p.Withhold(func(e *plan.Effect) bool { return slices.Contains(missing, e) }), nil
}

// missingNow returns the effects that neither the user nor --allow has allowed.
// Those of shares count if this `up` was started to share, except the Proxyfile's
// relay if the command line names another: mayShare checks that one when a later
// request names none.
func (c *upConsent) missingNow(effects []*plan.Effect) ([]*plan.Effect, error) {
	return c.notAllowed(slices.DeleteFunc(slices.Clone(effects), func(e *plan.Effect) bool {
		return e.ShareOnly() && (!c.opts.share || e.Kind == plan.KindRelay && c.opts.relay != "")
	}))
}

func (c *upConsent) notAllowed(effects []*plan.Effect) ([]*plan.Effect, error) {
	return c.missing(slices.DeleteFunc(effects, func(e *plan.Effect) bool {
		return slices.ContainsFunc(c.forRun, func(known *plan.Effect) bool { return known.Covers(e) })
	}))
}

// request asks the user, if there is a terminal, before anything is served. It
// returns what is still missing.
func (c *upConsent) request(missing []*plan.Effect) ([]*plan.Effect, error) {
	switch {
	case c.opts.partial || !canAsk(c.streams, c.opts.json):
		return missing, nil
	case !askConsent(c.ctx, c.streams, missing):
		return nil, &consentError{effects: missing, refused: true}
	}
	return nil, c.store.Allow(c.project, missing)
}

// applied records the served plan after a save.
func (c *upConsent) applied(save devproxy.Save) {
	if save.Plan != nil {
		c.begun, c.served = true, save.Plan.Effects()
	}
}

// mayShare returns an error if a plan must not be shared through the relay of a
// request, or through the Proxyfile's if that names none.
func (c *upConsent) mayShare(p *plan.Plan, relay string) error {
	missing, err := c.notAllowed(slices.DeleteFunc(slices.Clone(p.Effects()), func(e *plan.Effect) bool {
		return !e.ShareOnly() || e.Kind == plan.KindRelay && relay != ""
	}))
	if err != nil || len(missing) == 0 {
		return err
	}
	texts := each(missing, func(e *plan.Effect) string { return hcl.Legible(e.String()) })
	return failf(allowCommand+", then share again", "sharing this needs consent: %s", strings.Join(texts, "; "))
}
