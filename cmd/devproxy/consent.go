package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/consent"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/localca"
)

// allowCommand is what gives consent.
const allowCommand = "devproxy allow"

// consents are what the user has allowed the project of one Proxyfile.
type consents struct {
	project consent.Project
	store   *consent.Store
	home    string // $DEVPROXY_HOME
	// unusable is why nothing can be looked up; nothing is allowed then.
	unusable error
}

// consentsFor are the consents of the project that folder is in. What is wrong
// with them matters only to a project that needs some.
func consentsFor(folder string) *consents {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return &consents{unusable: err}
	}
	userHome, err := os.UserHomeDir()
	if err != nil {
		userHome = ""
	}
	c := &consents{store: consent.NewStore(home, userHome), home: home}
	c.project, err = consent.Find(folder, userHome)
	if err != nil {
		c.unusable = failf("cd to a folder that exists", "cannot tell which project %s is: %w", folder, err)
	}
	return c
}

// missing are the effects that need consent and have none.
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
		return nil, consentFailure(err)
	}
	return slices.DeleteFunc(effects, func(e *plan.Effect) bool { return known.Allows(c.project, e) }), nil
}

// allowed reports which effects the user has allowed, as far as that can be
// looked up: for verbs that only tell.
func (c *consents) allowed(effects []*plan.Effect) func(*plan.Effect) bool {
	missing, err := c.missing(effects)
	return func(e *plan.Effect) bool { return err == nil && !slices.Contains(missing, e) }
}

// named reports the effect of a relay that the user has named themselves.
func (c *consents) named(e *plan.Effect) bool {
	if e.Kind != plan.KindRelay {
		return false
	}
	relay := e.Target
	if e.Resolved != "" {
		relay = e.Resolved
	}
	return userNames(c.home, relay)
}

// consentFailure gives the errors of the store their fix.
func consentFailure(err error) error {
	if store, ok := errors.AsType[*consent.Error](err); ok {
		return failf(store.Fix, "%w", err)
	}
	return err
}

// consentError is a plan that is not served because the user has not agreed to
// its effects.
type consentError struct {
	effects []*plan.Effect
	refused bool // they were asked, and said no
}

func (e *consentError) Error() string {
	return fmt.Sprintf("this Proxyfile needs consent for %s outside its project", count(len(e.effects), "effect"))
}

// consentFix is what gives consent to what a consentError names.
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

func effectsJSON(effects []*plan.Effect, allowed func(*plan.Effect) bool) []effectJSON {
	list := make([]effectJSON, len(effects))
	for i, e := range effects {
		list[i] = effectJSON{Kind: string(e.Kind), Target: e.Target, Env: e.Env, Allowed: allowed(e), text: e.Reach()}
		if e.Env == nil {
			list[i].Env = []string{}
		}
		if len(e.Sources) > 0 {
			list[i].File, list[i].Line = e.Sources[0].File, e.Sources[0].Line
		}
	}
	return list
}

func noneAllowed(*plan.Effect) bool { return false }

// listEffects writes effects, a line each, with what mark says of them.
func listEffects(w io.Writer, effects []*plan.Effect, mark func(*plan.Effect) string) {
	var places, kinds []string
	for _, e := range effects {
		var at []string
		for _, source := range e.Sources {
			at = append(at, source.String())
		}
		places, kinds = append(places, printable(strings.Join(at, ", "))), append(kinds, string(e.Kind))
	}
	for i, e := range effects {
		line := "  " + pad(places[i], widest(places)) + "  " + pad(kinds[i], widest(kinds)) + "  " + printable(e.Reach())
		fmt.Fprintln(w, line+mark(e))
	}
}

func noMark(*plan.Effect) string { return "" }

func widest(cells []string) int {
	width := 0
	for _, cell := range cells {
		width = max(width, len([]rune(cell)))
	}
	return width
}

// effectsTitle is the line before a list of effects.
const effectsTitle = "This Proxyfile reaches outside its project:"

// askConsent lists effects on the terminal and asks whether they are allowed. Anything
// but yes is no.
func askConsent(ctx context.Context, s *streams, effects []*plan.Effect) bool {
	fmt.Fprintln(s.Err, effectsTitle)
	listEffects(s.Err, effects, noMark)
	answer := askLine(ctx, s, "Allow this from now on? [y/N] ")
	return answer == "y" || answer == "yes"
}

// readLine reads a line with its "\n", if it has one, and nothing of what follows
// it, which is for others.
func readLine(in io.Reader) string {
	var line []byte
	for b := make([]byte, 1); len(line) < 100; {
		n, err := in.Read(b)
		line = append(line, b[:n]...)
		if n == 1 && b[0] == '\n' || err != nil {
			break
		}
	}
	return string(line)
}

// upConsent decides what of a plan an `up` serves.
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

// decide is devproxy.Project.Consent. Before the first plan is served it asks;
// later a plan with effects that nobody has agreed to is refused, as one with
// mistakes is.
func (c *upConsent) decide(p *plan.Plan) (*plan.Plan, error) {
	if c.opts.allow && !c.begun {
		c.forRun = p.Effects()
		return p, nil
	}
	missing, err := c.without(p.Effects())
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
	revoked, err := c.without(c.served)
	if err != nil {
		return nil, err
	}
	if !c.opts.partial && len(revoked) == 0 {
		return nil, &consentError{effects: missing}
	}
	// What is served now was denied meanwhile: it must not go on.
	return p.Withhold(func(e *plan.Effect) bool { return slices.Contains(missing, e) }), nil
}

// without are the effects that neither the user nor --allow has allowed. Those
// of shares count when this `up` was started to share, but for the Proxyfile's
// relay when the command line names another: mayShare asks for that one when a
// later request names none.
func (c *upConsent) without(effects []*plan.Effect) ([]*plan.Effect, error) {
	effects = slices.DeleteFunc(slices.Clone(effects), func(e *plan.Effect) bool {
		return e.ShareOnly() && (!c.opts.share || e.Kind == plan.KindRelay && c.opts.relay != "")
	})
	if len(effects) == 0 {
		return nil, nil
	}
	return c.needed(effects)
}

func (c *upConsent) needed(effects []*plan.Effect) ([]*plan.Effect, error) {
	effects = slices.DeleteFunc(slices.Clone(effects), func(e *plan.Effect) bool {
		return slices.ContainsFunc(c.forRun, func(known *plan.Effect) bool { return known.Covers(e) })
	})
	return c.missing(effects)
}

// request asks a person, if there is one, for what is missing before anything is
// served. It returns what still is.
func (c *upConsent) request(missing []*plan.Effect) ([]*plan.Effect, error) {
	switch {
	case c.opts.partial || !canAsk(c.streams, c.opts.json):
		return missing, nil
	case !askConsent(c.ctx, c.streams, missing):
		return nil, &consentError{effects: missing, refused: true}
	}
	if err := c.store.Allow(c.project, missing); err != nil {
		return nil, consentFailure(err)
	}
	return nil, nil
}

// applied notes what is served after a save.
func (c *upConsent) applied(save devproxy.Save) {
	if save.Plan != nil {
		c.begun, c.served = true, save.Plan.Effects()
	}
}

// mayShare is why a plan must not be shared through the relay that a request
// names, or through the Proxyfile's.
func (c *upConsent) mayShare(p *plan.Plan, relay string) error {
	var effects []*plan.Effect
	for _, e := range p.Effects() {
		if e.ShareOnly() && (e.Kind != plan.KindRelay || relay == "") {
			effects = append(effects, e)
		}
	}
	missing, err := c.needed(effects)
	if err != nil || len(missing) == 0 {
		return err
	}
	texts := make([]string, len(missing))
	for i, e := range missing {
		texts[i] = printable(e.String())
	}
	return failf(allowCommand+", then share again", "sharing this needs consent: %s", strings.Join(texts, "; "))
}

// file is the file of the store with what it holds, nil when it is not there.
func (c *consents) file() (path string, content []byte) {
	if c.store == nil {
		return "", nil
	}
	path = filepath.Clean(c.store.Path())
	content, err := os.ReadFile(path)
	if err != nil {
		return path, nil
	}
	return path, content
}
