package front

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// descriptors counts those of a process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return len(all)
}

// limit sets how many descriptors a process may have.
func (p *project) limit(n int) {
	p.t.Helper()
	p.does(fmt.Sprint("limit ", n))
}

// TestNoFreeDescriptorForALease: a front without free descriptors grants leases later.
func TestNoFreeDescriptorForALease(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "a.localhost")
	a.limit(3) // it has more
	b := begin(t, dir)
	eventually(t, "b waits for its lease", func() bool { return descriptors(t, b.Process.Pid) > 6 })
	time.Sleep(2 * acceptPause) // the front may try now
	a.limit(1000)
	b.joined().does("names b.localhost")
	b.overTLS("b.localhost").reaches(b)
}

// TestSilentClientsTakeAllDescriptors: clients that send nothing do not keep out others.
func TestSilentClientsTakeAllDescriptors(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	a.limit(descriptors(t, a.Process.Pid) + 40)
	for range 200 {
		dialed(t, a.https, string([]byte{recordHandshake}))
	}
	began := time.Now()
	a.overTLS("a.localhost").reaches(a)
	b.overTLS("b.localhost").reaches(b)
	if took := time.Since(began); took > helloTimeout/2 {
		t.Errorf("others waited %s", took)
	}
}

// TestDescriptorsOnTheirWay: the system limits how many descriptors the processes of a
// user have sent to each other. A project that was stopped reaches this limit, and keeps
// its names.
func TestDescriptorsOnTheirWay(t *testing.T) {
	dir := shortDir(t)
	if os.Getuid() == 0 { // it does not limit root
		must(t, os.Chown(dir, nobody, nobody))
	}
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	b.signal(syscall.SIGSTOP)
	const room = 100
	a.limit(room)
	var waiting []net.Conn
	for range room + 20 {
		waiting = append(waiting, dialed(t, a.http, requestForB))
	}
	a.overHTTP("a.localhost").reaches(a)
	a.limit(1000)
	b.signal(syscall.SIGCONT)
	for _, c := range waiting {
		answered(t, c, "", b)
	}
}

// TestMoreThanWait: a project that takes no connections keeps its names, also when more
// wait for it than may.
func TestMoreThanWait(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	b.signal(syscall.SIGSTOP)
	var waiting []net.Conn
	for range maxPending + 700 {
		waiting = append(waiting, dialed(t, a.http, requestForB))
	}
	a.overHTTP("a.localhost").reaches(a)
	b.signal(syscall.SIGCONT)
	for _, c := range waiting[len(waiting)-100:] {
		answered(t, c, "", b)
	}
}

// TestNoDescriptorStaysOpen counts those of all processes after many connections and
// changes of the front.
func TestNoDescriptorStaysOpen(t *testing.T) {
	dir := shortDir(t)
	all := []*project{start(t, dir, "a.localhost"), start(t, dir, "b.localhost"), start(t, dir, "c.localhost")}
	use := func(rounds int) {
		for i := range rounds {
			front, _ := frontOf(t, all)
			for _, p := range all {
				for range 5 {
					c := p.overTLS(p.name)
					c.reaches(p)
					c.CloseIdleConnections()
				}
			}
			if i%2 == 0 {
				front.does("stepdown")
			}
		}
	}
	use(6) // each is the front once, probably
	before := map[*project]int{}
	for _, p := range all {
		before[p] = descriptors(t, p.Process.Pid)
	}
	use(20)
	for _, p := range all {
		// The front has a few more than others.
		eventually(t, "descriptors are closed", func() bool { return descriptors(t, p.Process.Pid) <= before[p]+6 })
	}
}

// TestJoinAgain joins and leaves in one process, as a change of `listen` does, and fails
// to: no descriptor stays open.
func TestJoinAgain(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "a.localhost")
	in := func() *Shared {
		t.Helper()
		s, err := Join(t.Context(), Options{Dir: dir, Bind: bindFree})
		must(t, err)
		return s
	}
	must(t, in().Close())
	before := descriptors(t, os.Getpid())
	for range 20 {
		s := in()
		must(t, s.Register(t.Context(), namesOf("b.localhost")))
		if s.Alone() {
			t.Error("the other project is not noticed")
		}
		must(t, s.Close())
	}
	a.kill()
	for range 20 {
		s := in()
		must(t, s.Register(t.Context(), nil))
		if !s.Alone() {
			t.Error("another project is noticed")
		}
		must(t, s.Close())
	}
	must(t, os.Mkdir(filepath.Join(dir, socketFile), 0o700))
	must(t, os.Mkdir(filepath.Join(dir, socketFile, "full"), 0o700))
	for range 20 {
		if _, err := Join(t.Context(), Options{Dir: dir, Bind: bindFree}); err == nil {
			t.Error("joined without a socket")
		}
	}
	eventually(t, "all descriptors are closed", func() bool { return descriptors(t, os.Getpid()) <= before })
}

// TestIdleProjectsSleep: a connection wakes the front and the process that serves it, and
// no other.
func TestIdleProjectsSleep(t *testing.T) {
	dir := shortDir(t)
	a, b, c := start(t, dir, "a.localhost"), start(t, dir, "b.localhost"), start(t, dir, "c.localhost")
	a.does("stepdown")
	front, rest := frontOf(t, []*project{a, b, c})
	idle := rest[0]
	if idle != a {
		idle = rest[1]
	}
	if idle != a { // a has been the front, and has to be quiet after it
		t.Fatalf("a is the front again")
	}
	before := switches(t, idle)
	const many = 400
	for range many {
		client := front.overHTTP(front.name)
		client.reaches(front)
		client.CloseIdleConnections()
	}
	if woke := switches(t, idle) - before; woke > many/2 {
		t.Errorf("an idle project woke %d times for %d connections of another", woke, many)
	}
}

// switches counts how often the threads of a process went to sleep.
func switches(t *testing.T, p *project) (sum int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.Process.Pid))
	must(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", p.Process.Pid, task.Name()))
		must(t, err)
		sum += field(status, "voluntary_ctxt_switches:")
	}
	return sum
}

func field(status []byte, name string) (n int) {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			fmt.Sscan(value, &n)
		}
	}
	return n
}
