package plan

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// Service is a service whose command devproxy runs.
type Service struct {
	Name    string
	Command *hcl.Command
	// Port is where its upstream says that it listens; 0 if that is not one port of this
	// machine.
	Port uint16
	// Host is the first host that leads to it, and Path is what a client puts in front of
	// a path of the service there; both are empty if none does.
	Host, Path string
}

// Services returns the services that have a command, in the order of the file. The
// caller must not change them.
func (p *Plan) Services() []*Service {
	if p == nil {
		return nil
	}
	return p.services
}

func (b *builder) services() []*Service {
	var list []*Service
	for _, s := range b.file.Services {
		if s.Command == nil {
			continue
		}
		service := &Service{Name: s.Name, Command: s.Command}
		if members := s.Upstream.Members; len(members) == 1 && s.Command.Port != 0 {
			service.Port = members[0].Port
		}
		service.Host, service.Path = b.wayTo(s)
		list = append(list, service)
	}
	return list
}

// wayTo returns the first host whose own upstream is a service, else the first route to
// it. The path is empty unless the route removes its own.
func (b *builder) wayTo(s *hcl.Service) (host, path string) {
	for _, h := range b.file.Hosts {
		if leadsTo(h.Upstream, s) && !strings.Contains(h.Name.Value, "*") {
			return h.Name.Value, ""
		}
	}
	for _, h := range b.file.Hosts {
		for _, r := range h.Routes {
			if !leadsTo(r.Upstream, s) || r.Match != nil || r.Exact || strings.Contains(h.Name.Value+r.Path, "*") {
				continue
			}
			if r.StripPrefix {
				return h.Name.Value, r.Path
			}
			return h.Name.Value, ""
		}
	}
	return "", ""
}

// leadsTo reports whether u is a service, or a service whose upstream leads to it.
func leadsTo(u *hcl.Upstream, s *hcl.Service) bool {
	return u != nil && u.Service != nil && (u.Service == s || leadsTo(u.Service.Upstream, s))
}

// commands adds the commands that are run. The same command in the same folder with the
// same variables is one effect.
func (c *effects) commands(services []*Service) {
	for _, s := range c.file.Services {
		if s.Command == nil {
			continue
		}
		shown, resolved := c.commandText(s.Command, services)
		e := Effect{Kind: KindCommand, Target: shown}
		for _, f := range []hcl.Flow{s.Command.Flow, s.Command.DirFlow, s.Command.EnvFlow} {
			e.Env = append(e.Env, f.Env...)
			e.Computed = e.Computed || f.Computed
		}
		if len(e.Env) > 0 {
			slices.Sort(e.Env)
			e.Env, e.Resolved = slices.Compact(e.Env), resolved
		}
		known := c.add(e, nil, s.Command.Range)
		if known.commands == nil {
			known.commands = map[string]bool{}
		}
		known.commands[s.Name] = true
		for _, r := range c.routes[s.Range] {
			known.routes[r.ID] = true
		}
	}
}

// commandText returns a command with its folder and its variables, as it may be shown
// and with the values of the environment. In the addresses of services and hosts, ports
// that devproxy has chosen are by name, and hosts by their names in the Proxyfile, so that
// another port or worktree needs no new consent.
func (c *effects) commandText(command *hcl.Command, services []*Service) (shown, resolved string) {
	written := func(text string, moves bool) string {
		if moves {
			return c.asWritten(text, services)
		}
		return text
	}
	resolved = written(quoteWords(command.Written), command.ArgsMove)
	shown = resolved
	if !command.Flow.Empty() {
		shown = command.Flow.Full()
	}
	dir := command.RealDir
	if rel, err := filepath.Rel(c.root, dir); err == nil && c.inside(dir) {
		dir = filepath.ToSlash(rel)
	}
	if dir != "." {
		resolved += " in " + quoteWord(written(dir, command.DirMove))
		if command.DirFlow.Empty() {
			shown += " in " + quoteWord(written(dir, command.DirMove))
		} else {
			shown += " in " + quoteWord(command.DirFlow.Full())
		}
	}
	for i, v := range command.Env {
		word := ", "
		if i == 0 {
			word = " and "
		}
		word += quoteWord(v.Name)
		if v.Unset {
			shown += word + " unset"
			resolved += word + " unset"
			continue
		}
		resolved += word + "=" + quoteWord(written(v.Value, v.Moves))
		if v.Address {
			shown += word + "=(" + v.Shown + ")"
		} else {
			shown += word + "=" + quoteWord(written(v.Shown, v.Moves))
		}
	}
	return shown, resolved
}

// asWritten is text without what depends on the worktree: its chosen ports and the names
// that its hosts have moved to.
func (c *effects) asWritten(text string, services []*Service) string {
	if r := c.file.Relocation; r != nil {
		text = strings.ReplaceAll(text, r.To, r.From)
	}
	for _, p := range c.file.Ports {
		if p.Chosen && p.Number != 0 {
			text = strings.ReplaceAll(text, strconv.Itoa(int(p.Number)), "{"+p.String()+".port}")
		}
	}
	return withoutPorts(text, services)
}

// withoutPorts replaces chosen ports in a text by names.
func withoutPorts(text string, services []*Service) string {
	for _, s := range services {
		if s.Command.Chosen {
			for _, port := range []uint16{s.Command.Port, s.Port} {
				if port == 0 {
					continue
				}
				text = strings.ReplaceAll(text, strconv.Itoa(int(port)), "{"+s.Name+".port}")
			}
		}
	}
	return text
}

// plainWord matches words that a shell takes as they are.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./{}-]+$`)

// quoteWord returns a word as a shell would take it. The words that commandText puts
// between a command, its folder and its variables are quoted, so that no argument can be
// taken for one of these.
func quoteWord(word string) string {
	if plainWord.MatchString(word) && word != "in" && word != "and" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func quoteWords(words []string) string {
	return strings.Join(mapped(words, quoteWord), " ")
}
