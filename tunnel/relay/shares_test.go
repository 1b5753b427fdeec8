package relay

import (
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// TestShareTable: which share has a name, and that those that wait for one learn of every change.
func TestShareTable(t *testing.T) {
	const host, zone = "a.zone." + domain, "zone." + domain
	start := time.Now()
	table := newShareTable()
	first, second := &share{key: Key{1}, session: &tunnel.Session{}}, &share{key: Key{1}, session: &tunnel.Session{}}
	other := &share{key: Key{2}, session: &tunnel.Session{}}
	claim := &claimed{zone: zone, root: zone, hosts: []string{host}}
	_, _, news := table.find(host)
	for _, step := range []struct {
		name  string
		do    func()
		tells bool
		holds *share // the host
		root  bool   // a running session has the zone
		all   int    // running sessions
	}{
		{"a session comes", func() { table.put(first, claim) }, true, first, true, 1},
		{"another key's comes", func() { table.put(other, &claimed{}) }, true, first, true, 2},
		{"the next of the key comes", func() { table.put(second, claim) }, true, second, true, 2},
		{"the first wants more", func() {
			if table.change(first, &claimed{zone: zone, root: zone, hosts: []string{host, "b." + zone}}) {
				t.Error("a session that was replaced changes the names")
			}
		}, false, second, true, 2},
		{"the second wants less", func() {
			if !table.change(second, &claimed{}) {
				t.Error("the key's session cannot change its names")
			}
		}, true, nil, false, 2},
		{"and more again", func() { table.change(second, claim) }, true, second, true, 2},
		{"another name ends", func() { table.end("x." + domain) }, false, second, true, 2},
		{"it is lost", func() { table.sessionEnded(second, start) }, true, second, false, 1},
		{"those lost before then are swept", func() { table.sweep(start) }, false, second, false, 1},
		{"those lost until then are swept", func() { table.sweep(start.Add(1)) }, false, nil, false, 1},
		{"it comes back", func() { table.put(first, claim) }, true, first, true, 2},
		{"the name ends", func() { table.end(zone) }, true, nil, false, 2},
	} {
		step.do()
		told := false
		select {
		case <-news:
			told = true
		default:
		}
		l, held, next := table.find(host)
		if news = next; told != step.tells || held != (step.holds != nil) || held && l.share != step.holds || table.isHeld(zone) != step.root || len(table.all()) != step.all {
			t.Errorf("%s: got %t, held %t, the zone %t, %d sessions", step.name, told, held, table.isHeld(zone), len(table.all()))
		}
	}
	if table.forKey(Key{1}) != first || table.forKey(Key{2}) != other || table.forKey(Key{3}) != nil {
		t.Error("a key has another session")
	}
}
