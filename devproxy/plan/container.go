package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// Containers are the containers of a project, as an engine has them at one moment. They
// are an input of a plan, as its file is. They are immutable.
type Containers struct {
	// Problem says why the engine could not be asked, and Fix what helps; both are empty
	// if All is complete.
	Problem, Fix string
	// Compose is the command of the engine's compose: "docker compose".
	Compose string
	// All are the containers, in any state, sorted by name.
	All []Container
	// Notes are about containers that are not in All although they have labels.
	Notes []Note
}

// Container is one container. Its texts are as the engine has them.
type Container struct {
	Name    string // "shop-api-1"
	Service string // of compose; empty for a container that compose has not made
	// State is what the engine calls it: "running", "created", "restarting", "paused",
	// "exited", "dead", "removing".
	State string
	// Health is "starting", "healthy", "unhealthy" or, without a health check, empty.
	// HealthLog is what a failed check has printed.
	Health, HealthLog string
	// Reach returns the address at which this machine reaches a TCP port of the container,
	// or what keeps it from that, and what helps. Port 0 means the one of its label, or the
	// only one.
	Reach func(port uint16) (addr, problem, fix string)
	// Host, Path and Port are its labels devproxy.host, devproxy.path and devproxy.port.
	Host, Path, Port string
}

// The states of a container that is not skipped, as engines call them.
const (
	containerRunning = "running"
	healthStarting   = "starting"
	healthUnhealthy  = "unhealthy"
)

// NetworkNone is the Network of the only member of an upstream whose containers can't be
// connected to. Its only address says why: "container api is starting".
const NetworkNone = "none"

// Group is the containers that are the members of an Upstream.
type Group struct {
	Name    string // of the service of compose, or of the container
	Members int    // how many are running and have an address
	// Unhealthy is how many of Members their engine does not call healthy.
	Unhealthy int
	// Absent says why there is none: "container api has exited"; empty if Members is not 0.
	// Fix is the command or edit that helps; it may be empty.
	Absent, Fix string
}

// String returns the group in a few words: "container api", "3 containers of api".
func (g *Group) String() string {
	if g.Members > 1 {
		return fmt.Sprintf("%d containers of %s", g.Members, g.Name)
	}
	return "container " + g.Name
}

// containers returns the members of an upstream that is containers: those of all that
// run. authority is the Host that the route sets, or empty.
func (b *builder) containers(c *hcl.Container, all []Container, authority string) ([]Member, *Group) {
	g := &Group{Name: c.Service}
	if authority == hcl.KeepHost {
		authority = ""
	}
	var members []Member
	why, fix := "", ""
	for _, one := range all {
		if one.State != containerRunning {
			continue
		}
		addr, problem, help := one.Reach(c.Port)
		if problem == "" && b.env.isOwn(addr) {
			problem, help = one.Name+" leads to "+addr+", where devproxy itself listens", "set the label devproxy.port to the port of its server"
		}
		if problem != "" {
			if why == "" {
				why, fix = problem, help
			}
			continue
		}
		m := Member{Scheme: SchemeHTTP, Network: "tcp", Addrs: []string{addr}, Authority: authority, Text: one.Name}
		switch one.Health {
		case healthStarting:
			m.Unhealthy = "its health check has not passed yet"
		case healthUnhealthy:
			m.Unhealthy = "its health check fails"
			if one.HealthLog != "" {
				m.Unhealthy += ": " + one.HealthLog
			}
		}
		if m.Unhealthy != "" {
			g.Unhealthy++
		}
		members = append(members, m)
	}
	if g.Members = len(members); g.Members > 0 {
		return members, g
	}
	g.Absent, g.Fix = c.String()+" can't be reached: "+why, fix
	if why == "" {
		g.Absent, g.Fix = b.absent(c, all)
	}
	return []Member{{Scheme: SchemeHTTP, Network: NetworkNone, Addrs: []string{g.Absent}, Text: g.String()}}, g
}

// absent says why none of the containers runs, and what helps.
func (b *builder) absent(c *hcl.Container, all []Container) (text, fix string) {
	name := c.String()
	known := b.env.Containers
	if known == nil {
		return name + " is not known yet", ""
	}
	if known.Problem != "" {
		return name + " is not known: " + known.Problem, known.Fix
	}
	compose := cmp.Or(known.Compose, "docker compose")
	fix = compose + " up " + c.Service
	if len(all) > 0 && all[0].Service == "" {
		fix = strings.TrimSuffix(compose, " compose") + " start " + all[0].Name
	}
	if len(all) == 0 {
		return name + " is not running", fix
	}
	// The one that is nearest to running.
	order := []string{"restarting", "created", "paused", "removing", "exited", "dead"}
	best := slices.MinFunc(all, func(x, y Container) int {
		rank := func(c Container) int {
			if i := slices.Index(order, c.State); i >= 0 {
				return i
			}
			return len(order)
		}
		return cmp.Compare(rank(x), rank(y))
	})
	switch best.State {
	case "created":
		return name + " is starting", ""
	case "restarting":
		return name + " is restarting", ""
	case "paused":
		return name + " is paused", strings.TrimSuffix(compose, " compose") + " unpause " + best.Name
	case "exited":
		return name + " has exited", fix
	}
	return name + " is not running", fix
}

// of returns the containers of a service of compose.
func (c *Containers) of(service string) []Container {
	if c == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.All), func(one Container) bool { return one.Service != service })
}

// The targets of KindContainers: what devproxy reads from the engine's API.
const (
	ContainersOfServices = "the API of Docker or Podman, for services of compose"
	ContainersByLabels   = "the API of Docker or Podman, for hosts and routes by labels"
)

// containers adds that the engine's API is read. Consent for labels covers services.
func (c *effects) containers(labelled []*Route) {
	if c.file.Discover != "" {
		e := c.add(Effect{Kind: KindContainers, Target: ContainersByLabels}, nil, c.file.DiscoverRange)
		for _, r := range labelled {
			e.routes[r.ID] = true
		}
		c.services(e)
		return
	}
	if i := slices.IndexFunc(c.file.Services, func(s *hcl.Service) bool { return s.Container != nil }); i >= 0 {
		c.services(c.add(Effect{Kind: KindContainers, Target: ContainersOfServices}, nil, c.file.Services[i].Container.Range))
	}
}

// services adds the routes that lead to containers to an effect.
func (c *effects) services(e *Effect) {
	e.engine = true
	for _, s := range c.file.Services {
		if s.Container == nil {
			continue
		}
		for _, r := range c.routes[s.Range] {
			e.routes[r.ID] = true
		}
		for _, p := range c.file.Ports {
			if leadsTo(p.Upstream, s) {
				e.notePort(p)
			}
		}
	}
}

// Groups returns the groups of containers that upstreams of p are, one for each name.
func (p *Plan) Groups() []*Group {
	var groups []*Group
	for _, r := range p.routes() {
		u, is := r.Answer.(*Upstream)
		if is && u.Group != nil && !slices.ContainsFunc(groups, func(g *Group) bool { return g.Name == u.Group.Name }) {
			groups = append(groups, u.Group)
		}
	}
	for _, port := range p.Ports() {
		if port.Group != nil && !slices.ContainsFunc(groups, func(g *Group) bool { return g.Name == port.Group.Name }) {
			groups = append(groups, port.Group)
		}
	}
	return groups
}

// UsesContainers reports whether serving p needs the containers of an engine, and the
// user has allowed that.
func (p *Plan) UsesContainers() bool {
	return slices.ContainsFunc(p.Effects(), func(e *Effect) bool { return e.Kind == KindContainers })
}
