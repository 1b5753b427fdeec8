package hcl

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Command is how devproxy runs a service.
type Command struct {
	// Args are the program and its arguments, with the port filled in. Written are the
	// same with {port} in them.
	Args, Written []string
	Dir           string // absolute
	// RealDir is Dir with links followed as far as it exists.
	RealDir string
	DirFlow Flow
	Env     []Variable // sorted by name
	EnvFlow Flow
	Ready   Ready
	// DependsOn are names of other services with a command.
	DependsOn []Name
	Restart   Restart
	Stop      time.Duration // 0 means the default
	// Port is where the service is asked to listen; 0 if its upstream is not one port
	// of this machine, and for a service that nothing refers to and that needs no port.
	Port uint16
	// Chosen reports that upstream was left out, so that devproxy chose Port.
	Chosen bool
	Range  Range
	Flow   Flow // into the command itself
	// ArgsMove and DirMove report that an address of a service or a host is in it, which
	// can be another one in the next run, or in a worktree.
	ArgsMove, DirMove bool
}

// Variable is a variable of a command's environment.
type Variable struct {
	Name  string
	Value string
	Unset bool // it is removed from the environment
	// Shown is Value as it may be shown. For an Address it is the expression, which does
	// not change with a port.
	Shown string
	// Address reports that nothing but addresses that devproxy chooses for services and
	// hosts, and what is written in the expression itself, decides about Value.
	Address bool
	// Moves is true for an Address, and for every other value with an address of a
	// service or a host in it.
	Moves bool
}

// Ready is the ready attribute: when a service counts as ready. The zero value means
// when its port accepts connections.
type Ready struct {
	Path   string // is requested until the response has the Status
	Status int    // 0 means any of 200 to 399
	Log    string // text in a line of output; a "*" in it matches any text
}

// Restart is the restart attribute.
type Restart string

// The values of restart.
const (
	RestartOnFailure Restart = "on_failure"
	RestartNever     Restart = "never"
)

// portPlaceholder is in a command where its port goes.
const portPlaceholder = "{port}"

const (
	minStop = 100 * time.Millisecond
	maxStop = 10 * time.Minute
)

// commandEntries are the attributes that go with command.
func commandEntries() []entry[Command] {
	return []entry[Command]{
		{name: "dir", decode: decodeDir},
		{name: "env", decode: func(f field, c *Command) { c.Env, c.EnvFlow = decodeEnv(f), f.comesFrom() }},
		{name: "ready", decode: decodeReady},
		{name: "depends_on", decode: func(f field, c *Command) { c.DependsOn = decodeDependencies(f) }},
		{name: "restart", decode: func(f field, c *Command) {
			words := []string{string(RestartOnFailure), string(RestartNever)}
			meant := map[string]string{"no": `write "never"`, "always": `write "on_failure"`, "on-failure": `write "on_failure"`, "unless-stopped": `write "on_failure"`}
			if f.is(cty.Bool) {
				f.errorf(suggest(map[bool]string{true: words[0], false: words[1]}[f.True()]), "restart must be a string")
			} else if word := f.oneOf(words, meant); word != "" {
				c.Restart = Restart(word)
			}
		}},
		{name: "stop", decode: func(f field, c *Command) {
			if f.is(cty.String) && !strings.ContainsAny(f.AsString(), "0123456789") {
				f.errorf(`write the time it may take to end after SIGTERM, like "10s"`, "stop must be a duration")
				return
			}
			c.Stop = f.within("a stop time", minStop, maxStop)
		}},
	}
}

// decodeCommand decodes command and what goes with it. port is that of the upstream; 0
// if it has none. It returns nil without a command, and for a mistake.
func (d *decoder) decodeCommand(b *block, port uint16, chosen bool) *Command {
	f, present := d.get(b, "command")
	if !present {
		for _, e := range commandEntries() {
			if attr := b.attrs[e.name]; attr != nil && !b.damaged && b.attrs["command"] == nil {
				d.at(attr.nameRange()).errorf(`add command = "pnpm dev"`, "%s needs command", e.name)
			}
		}
		return nil
	}
	c := &Command{Restart: RestartOnFailure, Dir: d.file.Dir, Port: port, Chosen: chosen, Range: f.at(), Flow: f.flow(), ArgsMove: f.moves()}
	c.Written = decodeArguments(f)
	decodeBlock(d.scope, b, commandEntries(), c)
	c.RealDir = d.real(c.Dir)
	if c.Written == nil {
		return nil
	}
	for _, argument := range c.Written {
		if strings.Contains(argument, portPlaceholder) && port == 0 && !b.damaged {
			f.errorf("leave out upstream, or write upstream = 3000", "%s has no port for %s", b.title(), portPlaceholder)
			return nil
		}
		c.Args = append(c.Args, strings.ReplaceAll(argument, portPlaceholder, strconv.Itoa(int(port))))
	}
	if ready := b.attrs["ready"]; c.Ready.Path != "" && port == 0 && !b.damaged {
		d.at(ready.nameRange()).errorf(`write ready = { log = "…" }, or leave out upstream`, "%s has no port to request %q from", b.title(), c.Ready.Path)
	}
	return c
}

// needsPort reports whether c has a port although nothing refers to its service.
func (c *Command) needsPort() bool {
	return !c.Chosen || c.Ready.Path != "" || slices.ContainsFunc(c.Written, func(word string) bool { return strings.Contains(word, portPlaceholder) })
}

// decodeArguments returns the program and its arguments; nil for a mistake.
func decodeArguments(f field) []string {
	const example = `write "pnpm dev --port {port}"`
	var arguments []string
	switch {
	case f.isList():
		for _, element := range f.elements() {
			if text, ok := element.scalar("an argument"); ok {
				arguments = append(arguments, text)
			}
		}
		if !f.known() || len(arguments) != len(f.elements()) {
			return nil
		}
	case f.known() && !f.is(cty.String):
		f.errorf(example, "command must be a string or a list of strings")
		return nil
	default:
		text, ok := f.str("command")
		if !ok {
			return nil
		}
		if arguments, ok = f.place().splitCommand(text); !ok {
			return nil
		}
	}
	if len(arguments) == 0 || arguments[0] == "" {
		f.errorf(example, "command is empty")
		return nil
	}
	for _, argument := range arguments {
		if strings.ContainsRune(argument, 0) {
			f.errorf("remove it", "an argument can't contain a NUL byte")
			return nil
		}
	}
	if !f.place().checkWords(arguments) {
		return nil
	}
	return arguments
}

// decodeDir decodes the folder that a command runs in.
func decodeDir(f field, c *Command) {
	text, ok := f.str("dir")
	if !ok {
		return
	}
	c.DirFlow, c.DirMove = f.flow(), f.moves()
	if !f.place().passes(
		when(text == "", "leave it out for the folder of the Proxyfile", "the folder name is empty"),
		when(strings.HasPrefix(text, "~"), `write "${env("HOME")}`+strings.TrimPrefix(text, "~")+`"`, `"~" is not expanded`),
		when(strings.ContainsRune(text, 0), "remove it", "a file name can't contain a NUL byte"),
	) {
		return
	}
	c.Dir = f.scope.absolute(text)
	if isRemote(c.Dir) { // a look at it would send this user's credentials there
		return
	}
	if !c.DirFlow.Empty() {
		text = c.DirFlow.Shown
	}
	switch exists, isDir := f.scope.env.folder(c.Dir); {
	case isDir:
	case exists:
		f.errorf("name its folder", "%q is not a folder", text)
	default:
		f.warnf("until it does, the command can't start", "the folder %q does not exist yet", text)
	}
}

// decodeEnv decodes variables of the environment.
func decodeEnv(f field) []Variable {
	const example = `write env = { NODE_ENV = "development" }`
	if !f.IsKnown() {
		return nil
	}
	if !f.isObject() {
		var pairs []string
		if f.isList() {
			for _, element := range f.elements() {
				if pair, _ := literalText(element.expr); pair != "" {
					pairs = append(pairs, pair)
				}
			}
		} else if pair, _ := literalText(f.expr); pair != "" {
			pairs = []string{pair}
		}
		f.errorf("write env = "+envOf(pairs), "env must be an object")
		return nil
	}
	var list []Variable
	for _, variable := range f.fields() {
		if !f.scope.at(variable.nameAt).passes(
			when(variable.name == "" || strings.ContainsAny(variable.name, "=\x00"), example, "%q is not a valid name of a variable", variable.name),
		) {
			continue
		}
		if variable.IsKnown() && variable.IsNull() {
			list = append(list, Variable{Name: variable.name, Unset: true})
			continue
		}
		text, ok := variable.scalar(variable.name)
		if !ok {
			continue
		}
		v := Variable{Name: variable.name, Value: text, Shown: text, Moves: variable.moves()}
		if flow := variable.flow(); !flow.Empty() {
			v.Shown = flow.Full()
		} else if variable.isAddress() {
			v.Shown, v.Address = variable.written(), true
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(x, y Variable) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// isAddress reports whether a value is made of addresses that devproxy chooses, of services,
// ports or hosts, and of nothing else that is not written in its expression. A local, or the
// upstream of a service, can change while the expression stays.
func (v value) isAddress() bool {
	p := v.scope.prepare(v.expr)
	for _, reference := range p.references {
		name, _, _ := member(reference)
		n := v.scope.nodes()[reference.RootName()][name]
		if n == nil || reference.RootName() == "local" || len(reference) < 3 {
			return false
		}
		if port := portOf(n.value); port != nil && port.Chosen {
			continue
		}
		service := serviceOf(n.value)
		what, _ := stepName(reference[2])
		if what != "origin" && (service == nil || service.Command == nil || !service.Command.Chosen) {
			return false
		}
	}
	return len(p.references) > 0 || p.hasCall("url")
}

// moves reports whether an address of a service, a port or a host is in v, also by way of
// locals.
func (v value) moves() bool {
	parts := []hclsyntax.Expression{v.expr}
	for _, local := range v.scope.localsOf([]hclsyntax.Expression{v.expr}) {
		parts = append(parts, local.attr.Expr)
	}
	return slices.ContainsFunc(parts, func(part hclsyntax.Expression) bool {
		p := v.scope.prepare(part)
		return p.hasCall("url") || slices.ContainsFunc(p.references, func(reference hcl.Traversal) bool { return reference.RootName() != "local" })
	})
}

// decodeReady decodes when a service is ready.
func decodeReady(f field, c *Command) {
	if !f.IsKnown() {
		return
	}
	if !f.isObject() {
		detail := `write ready = { path = "/healthz" }, or ready = { log = "ready in" }`
		switch {
		case f.is(cty.String) && strings.HasPrefix(f.AsString(), "/"):
			detail = "write ready = { path = " + strconv.Quote(f.AsString()) + " }"
		case f.is(cty.String) && f.AsString() != "":
			detail = "write ready = { log = " + f.written() + " }, if that is a part of a line that it prints"
		}
		f.errorf(detail, "ready must be an object")
		return
	}
	before := len(f.scope.diags)
	status := f
	decodeObject(f.value, "ready", []entry[Ready]{
		{name: "path", decode: func(f field, r *Ready) { r.Path = f.healthPath(); f.flow() }},
		{name: "status", decode: func(f field, r *Ready) { status, r.Status = f, f.status("200") }},
		{name: "log", decode: func(f field, r *Ready) {
			text, ok := f.str("log")
			if ok && strings.Trim(text, "*") == "" {
				f.errorf(`write a part of the line, like "ready in"`, "log is empty")
			}
			r.Log = text
		}},
	}, &c.Ready)
	if len(f.scope.diags) > before {
		return
	}
	switch r := c.Ready; {
	case r.Path == "" && r.Status != 0:
		f.scope.at(status.nameAt).errorf(`add path = "/healthz"`, "status needs path")
	case r.Path == "" && r.Log == "":
		f.errorf(`write ready = { path = "/healthz" }, or ready = { log = "ready in" }`, "ready needs path or log")
	case r.Path != "" && r.Log != "":
		f.errorf("remove one of them", "ready has both path and log")
	}
}

// decodeDependencies decodes the names of services, or references to them.
func decodeDependencies(f field) []Name {
	var names []Name
	elements, _ := f.list("service names", `"api"`)
	for _, element := range elements {
		if !element.IsKnown() {
			continue
		}
		name := ""
		if service := serviceOf(element.Value); service != nil {
			name = service.Name
		} else if text, ok := element.str("the name of a service"); ok {
			name = text
		}
		if name != "" {
			names = append(names, Name{Value: name, Range: element.at(), Flow: element.flow()})
		}
	}
	return names
}

// checkPorts reports services that devproxy would start on the same port.
func (d *decoder) checkPorts() {
	first := map[uint16]*Service{}
	for _, service := range d.file.Services {
		if service.Command == nil || service.Command.Chosen || service.Command.Port == 0 {
			continue
		}
		if before := first[service.Command.Port]; before != nil {
			d.at(service.Range).errorf("leave out upstream, so that devproxy chooses a port; the first one is at "+before.Range.line(),
				"services %q and %q have the same port", before.Name, service.Name)
			continue
		}
		first[service.Command.Port] = service
	}
}

// checkDependencies reports services that cannot be waited for.
func (d *decoder) checkDependencies() {
	commands := map[string]*Service{}
	for _, service := range d.file.Services {
		if service.Command != nil {
			commands[service.Name] = service
		}
	}
	for _, service := range d.file.Services {
		if service.Command == nil {
			continue
		}
		for _, name := range service.Command.DependsOn {
			at := d.at(name.Range)
			switch all := sortedKeys(d.services); {
			case d.services[name.Value] == nil:
				at.errorf(didYouMean(name.Value, all, "services: "+strings.Join(all, ", ")), "unknown service %q", name.Value)
			case commands[name.Value] == nil:
				at.errorf("remove it, or give that service a command", "service %q has no command, so devproxy does not start it", name.Value)
			}
		}
		if cycle := dependencyCycle(commands, service.Name); cycle != nil {
			d.at(service.Range).errorf("remove one of these from depends_on", "service %q waits for itself: %s", service.Name, strings.Join(cycle, " -> "))
		}
	}
}

// dependencyCycle returns the way from a service through its dependencies back to
// itself; nil if there is none.
func dependencyCycle(commands map[string]*Service, start string) []string {
	seen := map[string]bool{} // so that each service is passed once, however many ways lead to it
	var follow func(path []string) []string
	follow = func(path []string) []string {
		service := commands[path[len(path)-1]]
		if service == nil {
			return nil
		}
		for _, next := range service.Command.DependsOn {
			longer := append(slices.Clip(path), next.Value)
			if next.Value == start {
				return longer
			}
			if seen[next.Value] {
				continue
			}
			seen[next.Value] = true
			if cycle := follow(longer); cycle != nil {
				return cycle
			}
		}
		return nil
	}
	return follow([]string{start})
}
