package container

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devproxy/devproxy/devproxy/failure"
)

const (
	// parallel is how many requests a list sends to the engine at a time.
	parallel = 8
	// listTimeout bounds all requests of a list.
	listTimeout = 10 * time.Second
	// maxContainers and maxProblems bound a snapshot.
	maxContainers, maxProblems = 500, 20
	// maxName and maxHealthLog bound texts of a snapshot, in bytes.
	maxName, maxHealthLog = 255, 200
)

// lister makes lists of a project's containers with one client.
type lister struct {
	client  *client
	project *project
	network func() network
	// images has the images in use, by their digests; nil for one that can't be read.
	images map[string]*apiImage
}

func newLister(c *client, p *project, opts *Options) *lister {
	l := &lister{client: c, project: p, network: func() network { return localNetwork(c.byRoot.Load(), c.podman) }}
	if opts.network != nil {
		l.network = opts.network
	}
	return l
}

// list returns the containers of the project, and the problems with others.
func (l *lister) list(ctx context.Context) ([]Container, []Problem, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var all []apiSummary
	if _, err := l.client.get(ctx, "/containers/json", url.Values{"all": {"1"}}, maxList, &all); err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(s apiSummary) bool { return !isID(s.ID) || !l.project.mayOwn(s.Labels) })
	if err := l.readImages(ctx, all); err != nil {
		return nil, nil, err
	}
	mine, problems := l.choose(all)
	slices.SortFunc(mine, func(a, b Container) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), cmp.Compare(a.Number, b.Number), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	if len(mine) > maxContainers {
		problems = append(problems, Problem{mine[maxContainers].Name, fmt.Errorf("devproxy uses at most %d containers of a project", maxContainers)})
		mine = mine[:maxContainers]
	}
	mine, more, err := l.inspect(ctx, mine)
	problems = append(problems, more...)
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Container, b.Container) })
	return mine, problems[:min(len(problems), maxProblems)], err
}

// readImages reads the containers' images, and forgets others.
func (l *lister) readImages(ctx context.Context, all []apiSummary) error {
	images := map[string]*apiImage{}
	for _, s := range all {
		if known, found := l.images[s.ImageID]; found {
			images[s.ImageID] = known
		}
		if _, found := images[s.ImageID]; found {
			continue
		}
		var image apiImage
		_, err := l.client.get(ctx, "/images/"+url.PathEscape(s.ImageID)+"/json", nil, maxInspect, &image)
		switch {
		case err == nil:
			images[s.ImageID] = &image
		case isGone(err):
			images[s.ImageID] = nil
		case isOfOne(err): // it may be better next time
		default:
			return err
		}
	}
	l.images = images
	return nil
}

// choose returns the containers that belong to the project, as far as their labels say
// what they are.
func (l *lister) choose(all []apiSummary) (mine []Container, problems []Problem) {
	for _, s := range all {
		c := Container{ID: s.ID, Name: shorten(s.ID, 12)}
		if len(s.Names) > 0 {
			c.Name = shorten(strings.TrimPrefix(s.Names[0], "/"), maxName)
		}
		image := l.images[s.ImageID]
		own := labels{all: s.Labels}
		if image != nil {
			own.image = image.Config.Labels
		}
		folder, ok, err := l.project.owns(own)
		if ok && image == nil {
			// Its labels could be those of the image.
			err = failure.Errorf("docker rm -f "+c.Name+", and create it again from an image that exists",
				"its image can't be read: it has been removed, is damaged or too large; so devproxy can't tell which of its labels come from the image")
		}
		if err != nil {
			problems = append(problems, Problem{c.Name, err})
		}
		if !ok || err != nil {
			continue
		}
		c.Folder, c.Host, c.Path, c.Port = folder, own.own(labelHost), own.own(labelPath), s.Labels[labelPort]
		if own.own(composeFolder) != "" {
			// Compose sets these together with the folder. It gives images that it builds the
			// same labels, so they count although the image has them.
			c.Project, c.Service = s.Labels[composeProject], s.Labels[composeService]
			number, _ := strconv.Atoi(s.Labels[composeNumber]) // 0 without a number
			c.Number = max(0, number)
		}
		for _, name := range []string{labelHost, labelPath} {
			if s.Labels[name] != "" && own.own(name) == "" {
				problems = append(problems, Problem{c.Name, failure.Errorf("remove it from the image, and set it where the container is made, such as in compose.yaml",
					"its label %s comes from its image, so it does not count", name)})
			}
		}
		c.image = image
		mine = append(mine, c)
	}
	return mine, problems
}

// inspect adds what the labels do not say. A container that is gone meanwhile is left out.
func (l *lister) inspect(ctx context.Context, mine []Container) (kept []Container, problems []Problem, err error) {
	local := l.network()
	failed := make([]error, len(mine)) // those that are left out
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range mine {
		group.Go(func() error {
			answer, err := l.inspectOne(ctx, mine[i].ID)
			if isOfOne(err) {
				failed[i] = err
				return nil
			}
			if err == nil {
				mine[i].complete(answer, local)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for i, c := range mine {
		switch {
		case failed[i] == nil:
			kept = append(kept, c)
		case !isGone(failed[i]):
			problems = append(problems, Problem{c.Name, fmt.Errorf("the engine can't describe it: %w", failed[i])})
		}
	}
	return kept, problems, nil
}

// inspectOne inspects a container. One that uses another container's network, as all
// but one of a pod do, has the addresses and published ports of that one.
func (l *lister) inspectOne(ctx context.Context, id string) (*apiContainer, error) {
	var c apiContainer
	if _, err := l.client.get(ctx, "/containers/"+id+"/json", nil, maxInspect, &c); err != nil {
		return nil, err
	}
	if other, shares := strings.CutPrefix(c.HostConfig.NetworkMode, "container:"); shares && isID(other) {
		var owner apiContainer
		switch _, err := l.client.get(ctx, "/containers/"+other+"/json", nil, maxInspect, &owner); {
		case err == nil:
			c.HostConfig.NetworkMode = owner.HostConfig.NetworkMode
			c.NetworkSettings = owner.NetworkSettings
		case !isGone(err):
			return nil, err
		}
	}
	return &c, nil
}

// complete adds what the engine says when it is asked for one container.
func (c *Container) complete(a *apiContainer, local network) {
	c.State = State(shorten(a.State.Status, maxName))
	c.Created, _ = time.Parse(time.RFC3339Nano, a.Created) // zero if unknown
	if h := a.State.Health; h != nil && c.State == Running {
		switch health := Health(h.Status); health {
		case Starting, Healthy, Unhealthy:
			c.Health = health
		}
		if n := len(h.Log); n > 0 && h.Log[n-1].ExitCode != 0 {
			c.HealthLog = shorten(lastLine(h.Log[n-1].Output), maxHealthLog)
		}
	}
	// Podman leaves out what the image exposes if the network is the host's or another
	// container's.
	c.Ports = local.ports(a, c.image.Config.ExposedPorts)
	c.image = nil
	if c.State == Running {
		c.IP = local.address(a)
	}
}

// isID reports whether id is the full ID of a container, which goes into a path.
func isID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
