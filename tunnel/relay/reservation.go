package relay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// A reserved port is an entry of the registry like a plain name, such as "tcp:20017", and
// lapses like one: after plainLapse without use. The name by which its owner claims it is
// in the record. No public name contains a colon.

// portSpare is how long a key must not have used a port before it loses it for another
// one of its own, when it has as many as it may have. It is longer than the precision of
// Record.Seen.
const portSpare = 2 * seenEvery

// PortRange is a range of ports, both ends included; zero is none.
type PortRange struct{ First, Last uint16 }

// String returns the range as ParsePortRange reads it, or "none".
func (r PortRange) String() string {
	if r == (PortRange{}) {
		return "none"
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// ParsePortRange reads "20000-20999", or one port. It refuses ports below 1024: a share that
// answers on port 80 of the relay's domain can get a certificate for it.
func ParsePortRange(text string) (PortRange, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, errFrom := strconv.ParseUint(first, 10, 16)
	to, errTo := strconv.ParseUint(last, 10, 16)
	if errFrom != nil || errTo != nil || from == 0 || from > to {
		return PortRange{}, fmt.Errorf("%q is not a range of ports", text)
	}
	if from < firstUserPort {
		return PortRange{}, fmt.Errorf("%q has ports below %d, which are the server's own: a share with port 80 could get certificates for the relay's domain", text, firstUserPort)
	}
	return PortRange{uint16(from), uint16(to)}, nil
}

// Has reports whether port is in the range.
func (r PortRange) Has(port uint16) bool { return r.size() > 0 && r.First <= port && port <= r.Last }

func (r PortRange) size() int {
	if r == (PortRange{}) {
		return 0
	}
	return int(r.Last) - int(r.First) + 1
}

// PortClaim is a claim of one of the relay's ports.
type PortClaim struct {
	Owner Key
	Port  tunnel.Port
	// Range is what the relay has for the port's network.
	Range PortRange
	// Without are ports of the range that other programs use.
	Without []uint16
	// From is the network that claims, whose ports are counted together.
	From netip.Prefix
	// Quota bounds the ports; zero fields have their defaults.
	Quota Quota
}

// portEntry returns the name of a port in the registry.
func portEntry(network string, number uint16) string {
	return network + ":" + strconv.Itoa(int(number))
}

func isPortEntry(entry string) bool { return strings.Contains(entry, ":") }

// numberOf returns the port of an entry of a network; ok is false for other entries.
func numberOf(entry, network string) (number uint16, ok bool) {
	of, text, _ := strings.Cut(entry, ":")
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && of == network
}

// portOf returns the entry that a key has for a port.
func (t *nameTable) portOf(owner Key, port tunnel.Port, now time.Time) (entry string, known bool) {
	for entry := range t.keys[owner] {
		if _, ok := numberOf(entry, port.Network); !ok || t.records[entry].Port != port.Name {
			continue
		}
		if _, ok := t.lookup(entry, now); ok {
			return entry, true
		}
	}
	return "", false
}

// claimPort implements Registry.ClaimPort. changed are the entries that it has changed,
// none when it fails.
func (t *nameTable) claimPort(c PortClaim, now time.Time) (number uint16, fresh bool, changed []string, err error) {
	next := Record{Owner: c.Owner, Port: c.Port.Name, From: c.From, Seen: now}
	old, known := t.portOf(c.Owner, c.Port, now)
	if known {
		number, _ = numberOf(old, c.Port.Network)
		if c.Range.Has(number) && !slices.Contains(c.Without, number) {
			if t.records[old].differs(next) {
				t.put(old, next)
				changed = []string{old}
			}
			return number, false, changed, nil
		}
		changed = []string{old} // it moves
	} else if changed, err = t.makeRoomForPort(c, now); err != nil {
		return 0, false, nil, err
	}
	number, free := t.freePort(c, now)
	if !free {
		return 0, false, nil, &QuotaError{"all %d " + strings.ToUpper(c.Port.Network) + " ports of this relay are reserved; ask its operator for a larger --" + c.Port.Network + "-ports", c.Range.size()}
	}
	t.forget(changed...)
	entry := portEntry(c.Port.Network, number)
	t.put(entry, next)
	return number, true, append(changed, entry), nil
}

// freePort returns a port without an owner. Its search begins at a port that depends on
// the key and the name alone, so that a relay that has lost its registry most likely
// grants the same port again.
func (t *nameTable) freePort(c PortClaim, now time.Time) (number uint16, free bool) {
	sum := sha256.Sum256(append(c.Owner[:], c.Port.String()...))
	start, size := binary.BigEndian.Uint64(sum[:]), uint64(c.Range.size())
	for i := range size {
		number = c.Range.First + uint16((start%size+i)%size)
		_, taken := t.lookup(portEntry(c.Port.Network, number), now)
		if !taken && !slices.Contains(c.Without, number) {
			return number, true
		}
	}
	return 0, false
}

// makeRoomForPort returns the entries to forget, so that a key and its network have no
// more ports than they may have with one more.
func (t *nameTable) makeRoomForPort(c PortClaim, now time.Time) (forgotten []string, err error) {
	count := func(entries nameSet) (n int, unused string) {
		for entry := range entries {
			if _, ok := numberOf(entry, c.Port.Network); !ok || slices.Contains(forgotten, entry) {
				continue
			}
			r, kept := t.lookup(entry, now)
			if !kept {
				continue
			}
			n++
			if r.Owner == c.Owner && now.Sub(r.Seen) >= portSpare && (unused == "" || r.Seen.Before(t.records[unused].Seen)) {
				unused = entry
			}
		}
		return n, unused
	}
	quota := c.Quota.withDefaults()
	for _, bound := range []struct {
		entries     nameSet
		most, share int
		what        string
	}{
		{t.keys[c.Owner], quota.PortsPerKey, 4, "your key has reached this relay's limit of %d ports; share under the names of old ones, or in two days again"},
		{t.networks[c.From], quota.PortsPerNetwork, 2, "your network has reached this relay's limit of %d ports; try again from another network"},
	} {
		most := min(bound.most, max(c.Range.size()/bound.share, tunnel.MaxPorts))
		n, unused := count(bound.entries)
		switch {
		case n < most:
		case unused != "" && n == most:
			forgotten = append(forgotten, unused)
		default:
			return nil, &QuotaError{bound.what, most}
		}
	}
	return forgotten, nil
}
