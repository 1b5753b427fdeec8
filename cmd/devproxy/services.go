package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/service"
)

// services are the commands of an `up`.
type services struct {
	instance *instance
	runner   *service.Runner
	again    chan struct{}     // a service listens elsewhere now: the plan must follow
	printed  chan event        // what the loop has to print
	trusted  []pair            // variables by which runtimes trust the CA; nil until needed
	accepted string            // the domain that Vite accepts, as a person was told
	added    map[string]string // what services get behind devproxy, as a person was told

	mu     sync.Mutex
	states map[string]service.State
	byPort map[uint16]string // services of the plan by their port
	// changes are states that wait to be printed; wake says that there are some.
	changes []serviceEvent
	wake    chan struct{}
	width   int // of the longest name
	colors  map[string]string
	closing bool
	over    chan struct{} // closed when all services have ended
	passed  chan struct{} // closed when run has ended
}

func newServices(in *instance) *services {
	s := &services{
		instance: in, again: make(chan struct{}, 1), printed: make(chan event), wake: make(chan struct{}, 1),
		added: map[string]string{}, states: map[string]service.State{}, byPort: map[uint16]string{}, colors: map[string]string{}, over: make(chan struct{}), passed: make(chan struct{}),
	}
	s.runner = service.New(service.Options{OnState: s.noteState, OnLine: s.noteLine})
	return s
}

// run passes changes on to the loop until close has ended all services.
func (s *services) run() {
	defer close(s.passed)
	for ended := false; !ended; {
		select {
		case <-s.over:
			ended = true
		case <-s.wake:
		}
		s.mu.Lock()
		changes := s.changes
		s.changes = nil
		s.mu.Unlock()
		for _, change := range changes {
			s.printed <- change
		}
	}
}

// close ends all services, and returns when everything about them is printed. When ctx
// ends it kills them.
func (s *services) close(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	slow := time.AfterFunc(slowEnd, s.sayEnding)
	s.runner.Close(ctx)
	slow.Stop()
	close(s.over)
	<-s.passed
}

// slowEnd is how long services may take to end before a person is told.
const slowEnd = time.Second

// sayEnding has the loop print which services have not ended yet.
func (s *services) sayEnding() {
	names := s.names()
	if s.instance.opts.json || len(names) == 0 {
		return
	}
	select {
	case s.printed <- endingEvent{names}:
	case <-s.over:
	}
}

// names are those of all services that have not ended.
func (s *services) names() []string {
	return each(s.runner.States(), func(state service.State) string { return state.Name })
}

// apply runs the services of a plan. Those whose settings are the same continue.
func (s *services) apply(p *plan.Plan) {
	specs := s.specs(p)
	s.mu.Lock()
	s.byPort = map[uint16]string{}
	for _, running := range p.Services() {
		if running.Port != 0 {
			s.byPort[running.Port] = running.Name
		}
		s.width = max(s.width, len(running.Name))
		if s.colors[running.Name] == "" {
			s.colors[running.Name] = serviceColors[len(s.colors)%len(serviceColors)]
		}
	}
	s.mu.Unlock()
	s.runner.Apply(specs)
}

// loopbackHost is where services are asked to listen.
const loopbackHost = "127.0.0.1"

// serviceColors are the colours of the names of services (SGR). Red, yellow and green
// have a meaning elsewhere.
var serviceColors = []string{"36", "35", "34", "96", "95", "94"}

// at returns the state of the service that is to listen on a port.
func (s *services) at(port uint16) (service.State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.byPort[port]
	if !ok {
		return service.State{}, false
	}
	state, known := s.states[name]
	if !known {
		state = service.State{Name: name, Phase: service.Starting}
	}
	return state, true
}

// isService reports whether an upstream is a service, whose state is printed anyway.
func (s *services) isService(upstream string) bool {
	port, err := strconv.ParseUint(strings.TrimPrefix(upstream, ":"), 10, 16)
	if err != nil {
		return false
	}
	_, ok := s.at(uint16(port))
	return ok
}

// noteState is called by the runner at each change.
func (s *services) noteState(state service.State) {
	moved := state.Phase == service.Running && s.instance.source.ports.found(state.Name, state.Port)
	if moved {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.states[state.Name]
	s.states[state.Name] = state
	if s.closing && !s.instance.opts.json {
		return // that they stop goes without saying
	}
	s.changes = append(s.changes, newServiceEvent(state, before))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// noteLine is called by the runner for each line of output. It returns when the line is
// printed.
func (s *services) noteLine(name string, line service.Line) {
	s.mu.Lock()
	e := outputEvent{"output", name, line.Text, line.Colored, s.width, s.colors[name]}
	s.mu.Unlock()
	s.printed <- e
}

// restart is the verb.
func (s *services) restart(name string) error {
	if err := s.runner.Restart(name); err != nil {
		names := s.names()
		if len(names) == 0 {
			return fmt.Errorf("%w; this Proxyfile has no service with a command", err)
		}
		return fmt.Errorf("%w; services: %s", err, strings.Join(names, ", "))
	}
	return nil
}

// status is the state of all services.
func (s *services) status() []control.Service {
	var all []control.Service
	for _, state := range s.runner.States() {
		status := serviceStatus(state)
		status.Exit, status.Late = s.instance.mask.Load().Text(status.Exit), s.instance.mask.Load().Text(status.Late)
		all = append(all, status)
	}
	return all
}

func serviceStatus(state service.State) control.Service {
	status := control.Service{
		Name: state.Name, State: string(state.Phase), Since: state.Since, PID: state.PID, Port: state.Port,
		WaitsFor: state.WaitsFor, Late: state.Late, Failures: state.Failures,
	}
	if state.Phase == service.Failed || state.Phase == service.Stopped {
		status.Exit = state.Exit.String()
	}
	if !state.Next.IsZero() {
		status.Next = &state.Next
	}
	return status
}

// specs says how the services of a plan run.
func (s *services) specs(p *plan.Plan) []service.Spec {
	if len(p.Services()) == 0 {
		return nil
	}
	shared, domain := s.environment(p), foreignDomain(p)
	var specs []service.Spec
	for _, running := range p.Services() {
		c := running.Command
		env := maps.Clone(shared)
		if c.Port != 0 {
			env["PORT"] = strconv.Itoa(int(c.Port))
		}
		for _, v := range c.Env {
			if v.Unset {
				delete(env, v.Name)
			} else {
				env[v.Name] = v.Value
			}
		}
		spec := service.Spec{
			Name: running.Name, Args: c.Args, Dir: c.Dir, RealDir: c.RealDir, Port: c.Port, Restart: service.Restart(c.Restart), Stop: c.Stop,
			Ready: service.Ready{Path: c.Ready.Path, Status: c.Ready.Status, Log: c.Ready.Log},
		}
		s.putBehind(&spec, env, domain)
		for _, name := range slices.Sorted(maps.Keys(env)) {
			spec.Env = append(spec.Env, name+"="+env[name])
		}
		for _, name := range c.DependsOn {
			spec.DependsOn = append(spec.DependsOn, name.Value)
		}
		specs = append(specs, spec)
	}
	return specs
}

// environment has the variables that every service gets.
func (s *services) environment(p *plan.Plan) map[string]string {
	env := map[string]string{}
	for _, variable := range os.Environ() {
		if name, value, ok := strings.Cut(variable, "="); ok && name != "" {
			env[name] = value
		}
	}
	if s.trusted == nil {
		pairs, err := environment()
		if err != nil {
			s.instance.say("services do not trust the CA: " + err.Error())
		}
		s.trusted = append([]pair{}, pairs...)
	}
	for _, p := range s.trusted {
		env[p.name] = p.value
	}
	if s.instance.report.own.Color && env["FORCE_COLOR"] == "" {
		env["FORCE_COLOR"] = "1" // output to a pipe has no colours otherwise
	}
	env["HOST"] = loopbackHost
	env["DEVPROXY_PUBLIC_URL_FILE"] = s.instance.lock.PublicURLFile()
	for _, v := range control.CallbackVariables(devproxy.Callbacks(s.instance.consent.logins, p.Share())) {
		env[v.Name] = v.Value
	}
	delete(env, "PORT") // ours is not theirs
	if name := firstHost(p); name != "" {
		env["DEVPROXY_URL"] = s.url(name)
	}
	if domain := foreignDomain(p); domain != "" && env[viteHosts] == "" {
		env[viteHosts] = "." + domain
		if s.accepted != domain {
			s.accepted = domain
			s.instance.say(fmt.Sprintf("services get %s=.%s, so that Vite accepts these names", viteHosts, domain))
		}
	}
	for _, running := range p.Services() {
		if running.Host != "" {
			env["DEVPROXY_"+variableName(running.Name)+"_URL"] = s.url(running.Host) + running.Path
		}
	}
	return env
}

// viteHosts is the variable with a name that Vite accepts requests for, with all names
// below it if it begins with a dot. Without it, Vite accepts names below localhost only.
const viteHosts = "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"

// namedHosts are the hosts of a plan that its file names. What services get depends on no
// others: they would restart when a container starts that labels a host.
func namedHosts(p *plan.Plan) []*plan.Host {
	return slices.DeleteFunc(slices.Clone(p.Hosts()), func(h *plan.Host) bool { return h.Labelled })
}

// foreignDomain returns the shortest host name that is not below localhost; empty if
// there is none.
func foreignDomain(p *plan.Plan) string {
	domain := ""
	for _, host := range namedHosts(p) {
		name := strings.TrimPrefix(host.Name, "*.")
		if !isLocalName(name) && (domain == "" || len(name) < len(domain)) {
			domain = name
		}
	}
	return domain
}

// url is the address of a host.
func (s *services) url(host string) string {
	if port := s.instance.httpsPort(); port != 443 {
		return fmt.Sprintf("https://%s:%d", host, port)
	}
	return "https://" + host
}

// variableName is a service's name as a part of a variable's: "MY_API" for "my-api".
func variableName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
