package agent

import (
	"context"
	"net"
	"slices"
	"time"
)

const (
	// watchEvery is how often the machine's clock is read.
	watchEvery = time.Second
	// addressesEvery is after how many of these times its addresses are read.
	addressesEvery = 2
	// slept is how much later than due the clock must be read for the machine to
	// have slept, or to have stood still as long.
	slept = 3 * time.Second
)

// machine is the state that an agent watches of its machine.
type machine struct {
	// now is the wall clock: unlike the monotonic one of most systems it
	// continues while the machine sleeps.
	now func() time.Time
	// addrs are the addresses of its interfaces.
	addrs func() ([]net.Addr, error)
}

func thisMachine() machine {
	return machine{func() time.Time { return time.Now().Round(0) }, net.InterfaceAddrs}
}

// watch looks for signs that open connections may be dead: the machine
// has slept, or moved to another network. Then it probes them and ends the pause
// before the next attempt. TCP itself does not notice, and its timeouts take minutes.
func (a *Agent) watch(ctx context.Context) {
	ticks := time.Tick(watchEvery)
	last, addrs := a.machine.now(), a.machine.addresses()
	for n := 1; ; n++ {
		select {
		case <-ticks:
		case <-ctx.Done():
			return
		}
		now := a.machine.now()
		if now.Sub(last) > watchEvery+slept {
			a.probe("the machine has slept")
		}
		last = now
		if n%addressesEvery == 0 {
			if found := a.machine.addresses(); !slices.Equal(addrs, found) {
				addrs = found
				a.probe("the machine's addresses have changed")
			}
		}
		a.checkLanes()
	}
}

// addresses returns, sorted, those a connection to a relay could come from.
// Link-local addresses are left out: they come and go with containers.
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

// probe requests signs of life after a change.
func (a *Agent) probe(why string) {
	a.log.Debug("probing the connection to the relay", "because", why)
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
