//go:build e2e && linux

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// asleepFiles is how many files the relay of the sleeping shares may have
	// open: fewer than on any server, so that one test process can keep as many
	// agents.
	asleepFiles = 768
	// laneLimit is how many connections of agents that leaves: three quarters
	// of the rest after 64 files.
	laneLimit = (asleepFiles - 64) / 4 * 3
	// lanesAwake is the number of lanes of a new session, lanesAsleep the
	// number after 30 s without a visitor.
	lanesAwake, lanesAsleep = 2, 1
	// asleepShares come first, as many as fit while they are awake; when they
	// are asleep there is room for half as many again.
	asleepShares = laneLimit / lanesAwake
	moreShares   = (laneLimit - asleepShares*lanesAsleep) / lanesAwake
	// asleepGoal is the target for the relay's memory of one share, in KB.
	asleepGoal = 50
	// connectAtOnce are the agents that connect at the same time.
	connectAtOnce = 16
	// calmLooks at the relay's memory in a row have to find no less of it for
	// it to have come to rest.
	calmLooks = 3
)

// TestE2EShareAsleep keeps as many shares on a relay as its descriptors allow,
// and says what memory each costs it; the relay is without the race detector
// here. All of them work, and one more is told why it does not.
func TestE2EShareAsleep(t *testing.T) {
	t.Parallel() // with TestE2EShareDropNothing
	r := startAsleepRelay(t)
	r.shareMany(1) // so that the program's own pages count before
	before := r.memory()
	r.shareMany(asleepShares - 1)
	awake := r.memory()
	r.fallAsleep()
	asleep := r.memory()
	each := func(kb int) float64 { return float64(kb-before) / (asleepShares - 1) }
	t.Logf("%d shares on a relay with %d files and %d KB to begin with: %.1f KB each awake, with %d lanes; %.1f KB each asleep, with %d (goal %d)",
		asleepShares, asleepFiles, before, each(awake), lanesAwake, each(asleep), lanesAsleep, asleepGoal)
	if each(asleep) > 2*asleepGoal {
		t.Errorf("a sleeping share costs the relay %.1f KB, the goal is %d", each(asleep), asleepGoal)
	}
	r.shareMany(moreShares)
	if _, err := r.share(); err == nil || !strings.Contains(err.Error(), "as many shares as") {
		t.Errorf("one share too many: %v; want it told so", err)
	}
	for _, at := range []int{0, asleepShares, len(r.hosts) - 1} {
		r.wantHello(r.hosts[at])
	}
	t.Logf("%d shares in all", len(r.hosts))
}

// asleepRelay is a relay in --dev mode, built as users have it.
type asleepRelay struct {
	*dropProcess
	addr  string
	roots *x509.CertPool

	mu     sync.Mutex
	agents []*agent.Agent
	hosts  []string // of the agents' shares
}

func startAsleepRelay(t *testing.T) *asleepRelay {
	t.Helper()
	program := filepath.Join(shortDir(t), "devproxy")
	if out, err := runTool(t, 5*time.Minute, os.Environ(), needTool(t, "go"), "build", "-o", program, "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, state, env := privateState(t)
	command := append(fewFiles(t, asleepFiles), program, "relay", "--dev", "--json")
	r := &asleepRelay{roots: x509.NewCertPool()}
	r.dropProcess = startDrop(t, exec.Command(command[0], command[1:]...), env, syscall.SIGTERM)
	r.addr = r.await("ready").Listen
	root, err := os.ReadFile(filepath.Join(state, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	r.roots.AppendCertsFromPEM(root)
	return r
}

// memory is what the relay has of its own in memory, in KB, once it comes to
// rest: the garbage of many handshakes returns to the system only after a
// while.
func (r *asleepRelay) memory() int {
	r.t.Helper()
	least := r.resident()
	for calm := 0; calm < calmLooks; calm++ {
		<-time.After(time.Second)
		if now := r.resident(); now < least {
			least, calm = now, 0
		}
	}
	return least
}

// resident is proc_pid_status(5)'s VmRSS.
func (r *asleepRelay) resident() int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.pid))
	if err != nil {
		r.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	size, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return size
}

// shareMany shares the same little app under the given number of keys.
func (r *asleepRelay) shareMany(count int) {
	r.t.Helper()
	turn := make(chan struct{}, connectAtOnce)
	var group sync.WaitGroup
	for i := range count {
		turn <- struct{}{}
		group.Go(func() {
			defer func() { <-turn }()
			host, err := r.share()
			if err != nil {
				r.t.Errorf("share %d of %d: %v", i, count, err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.hosts = append(r.hosts, host)
		})
	}
	group.Wait()
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// fallAsleep returns when no session has more lanes than it needs.
func (r *asleepRelay) fallAsleep() {
	r.t.Helper()
	for deadline := time.Now().Add(3 * patience); ; time.Sleep(100 * time.Millisecond) {
		awake := 0
		for _, a := range r.agents {
			if a.State().Lanes != lanesAsleep {
				awake++
			}
		}
		if awake == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d of %d shares do not fall asleep", awake, len(r.agents))
		}
	}
}

// share runs an agent until the test ends, and returns its host once it has
// all its lanes.
func (r *asleepRelay) share() (string, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(r.addr)
	states := make(chan agent.State, 100)
	a := agent.New(agent.Options{
		Relay: devDomain + ":" + port, Key: key, Roots: r.roots, Notify: func(state agent.State) {
			select {
			case states <- state:
			default:
			}
		},
		Claim: tunnel.Claim{Project: "shop", Link: tunnel.Link(key, 0), Hosts: []string{""}},
	})
	r.serve(a)
	r.mu.Lock()
	r.agents = append(r.agents, a)
	r.mu.Unlock()
	deadline := time.After(patience)
	for {
		select {
		case state := <-states:
			if state.Phase == agent.Waiting {
				return "", state.Err
			}
		case <-deadline:
			return "", fmt.Errorf("the agent is %+v after %v", a.State(), patience)
		case <-time.After(10 * time.Millisecond): // lanes are not reported
		}
		if state := a.State(); state.Phase == agent.Up && state.Lanes == lanesAwake {
			return state.Grant.Hosts[0], nil
		}
	}
}

// serve answers the agent's visitors until the test ends.
func (r *asleepRelay) serve(a *agent.Agent) {
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	var group sync.WaitGroup
	group.Go(func() { _ = a.Run(ctx) }) // share waits for its state
	group.Go(func() { _ = server.Serve(a) })
	r.t.Cleanup(func() {
		cancel()
		server.Close()
		group.Wait()
	})
}

// wantHello has a visitor open a share.
func (r *asleepRelay) wantHello(host string) {
	r.t.Helper()
	_, port, _ := net.SplitHostPort(r.addr)
	u := &upProcess{t: r.t, roots: r.roots, addr: netip.MustParseAddrPort(r.addr)}
	if status, body := fetch(r.t, u.client("h2"), "https://"+host+":"+port+"/"); status != http.StatusOK || body != "hello" {
		r.t.Errorf("%s answers %d %.100q", host, status, body)
	}
}
