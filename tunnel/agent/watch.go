package agent

import (
	"context"
	"net"
	"slices"
	"time"
)

const (
	// glance is how often the machine is looked at.
	glance = time.Second
	// glances is at how many of them the machine's addresses are asked for.
	glances = 2
	// slept is how much later than due a look has to come for the machine to
	// have slept, or to have stood still as long.
	slept = 3 * time.Second
)

// machine is what an agent watches of the machine it runs on.
type machine struct {
	// now is the wall clock: unlike the monotonic one of most systems it goes
	// on while the machine sleeps.
	now func() time.Time
	// addrs are the addresses of its interfaces.
	addrs func() ([]net.Addr, error)
}

func thisMachine() machine {
	return machine{func() time.Time { return time.Now().Round(0) }, net.InterfaceAddrs}
}

// watch looks whether connections that seem to stand may be dead: the machine
// has slept, or moved to another network. Then they are asked for a sign of
// life, and a pause before the next attempt is over. Nothing tells an end of a
// TCP connection of that, and its time-outs take minutes.
func (a *Agent) watch(ctx context.Context) {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	last, addrs := a.machine.now(), a.machine.addresses()
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := a.machine.now()
		if now.Sub(last) > glance+slept {
			a.probe("the machine has slept")
		}
		last = now
		if n%glances == 0 {
			if found := a.machine.addresses(); !slices.Equal(addrs, found) {
				addrs = found
				a.probe("the machine's addresses have changed")
			}
		}
		a.look()
	}
}

// addresses are those a connection to a relay could come from, sorted. Those
// of links alone come and go with containers.
func (m machine) addresses() []string {
	found, err := m.addrs()
	if err != nil {
		return nil
	}
	var list []string
	for _, addr := range found {
		if ip, ok := addr.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			list = append(list, ip.IP.String())
		}
	}
	slices.Sort(list)
	return list
}

// probe asks for signs of life, because of what has changed.
func (a *Agent) probe(why string) {
	a.log.Debug("looking whether the relay is still there", "because", why)
	a.mu.Lock()
	s := a.session
	a.mu.Unlock()
	if s != nil {
		s.Probe()
	}
	select {
	case a.hurry <- struct{}{}:
	default:
	}
}
