package doctor

import (
	"context"
	_ "embed" // the programs that clients run
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

//go:embed ask.js
var nodeProgram string

//go:embed ask.py
var pythonProgram string

//go:embed Ask.java
var javaProgram []byte

// client is a program that people reach their servers with.
type client struct {
	name string
	// programs are its names on PATH; it is asked if one of them is installed.
	programs func(*Subject) []string
	// ask runs the program at path. The names are plain ASCII.
	ask func(ctx context.Context, s *Subject, path string, names []string) answer
}

// answer is what a client has said.
type answer struct {
	installed bool
	err       error // it could not be asked
	// addrs are the addresses of each name that it was asked for; empty for one that it
	// does not find. A name that is missing was not answered in time.
	addrs map[string][]string
	// trust is whether it trusts the certificate.
	trust trustAnswer
	// home is the JAVA_HOME of Java.
	home string
}

type trustAnswer int

const (
	trustUnknown trustAnswer = iota
	trusts
	refuses
)

// clients returns the table of clients.
var clients = sync.OnceValue(func() []*client {
	named := func(names ...string) func(*Subject) []string { return func(*Subject) []string { return names } }
	return []*client{
		{"browser", browserPrograms, askBrowser},
		{"curl", named("curl"), askCurl},
		{"Node", named("node"), askNode},
		{"Python", named("python3", "python"), askPython},
		{"Go", named("go"), askGo},
		{"Java", javaPrograms, askJava},
	}
})

// unlistedName is a name that no hosts file has: whether a client finds every name below
// localhost.
const unlistedName = "any-name.localhost"

// answer asks a client, once.
func (s *Subject) answer(ctx context.Context, c *client) answer {
	once, _ := s.clients.LoadOrStore(c, sync.OnceValue(func() answer { return s.askClient(ctx, c) }))
	return once.(func() answer)()
}

func (s *Subject) askClient(ctx context.Context, c *client) answer {
	path, err := s.programs().Find(c.programs(s)...)
	if errors.Is(err, exec.ErrNotFound) {
		return answer{}
	}
	if err == nil && s.testServer() == nil {
		err = errors.New("this machine has no loopback network")
	}
	if err != nil {
		return answer{installed: true, err: err}
	}
	plain, wild := s.names()
	for _, rest := range wild {
		plain = append(plain, "any-name"+rest)
	}
	a := c.ask(ctx, s, path, append(plain, unlistedName))
	a.installed = true
	return a
}

// checkNames reports whether a client finds the project's names.
func (s *Subject) checkNames(ctx context.Context, c *client) []Finding {
	a := s.answer(ctx, c)
	switch {
	case !a.installed:
		return nil
	case errors.Is(a.err, context.DeadlineExceeded) && len(a.addrs) == 0:
		return []Finding{unknown("it did not answer in time", "")}
	case a.err != nil && len(a.addrs) == 0:
		return []Finding{unknown("not asked: "+a.err.Error(), "")}
	}
	plain, wild := s.names()
	all := s.plan() == nil
	if all {
		plain = []string{unlistedName}
	}
	var missing []string
	for _, name := range plain {
		addrs, answered := a.addrs[name]
		if !answered && !errors.Is(a.err, context.DeadlineExceeded) {
			continue // it was not asked for this one
		}
		if i := slices.IndexFunc(addrs, elsewhere); i >= 0 {
			return []Finding{fault(name+" leads to "+addrs[i]+" instead of 127.0.0.1", "")}
		}
		if len(addrs) == 0 {
			missing = append(missing, name)
		}
	}
	slow := ""
	if errors.Is(a.err, context.DeadlineExceeded) {
		slow = " in time; a DNS server may not answer"
	}
	switch {
	case len(missing) > 0 && all:
		return []Finding{warning("finds no names below localhost"+slow, s.namesFix(ctx))}
	case len(missing) > 0:
		return []Finding{fault("does not find "+some(missing)+slow, s.namesFix(ctx))}
	}
	for _, rest := range wild {
		if addrs, answered := a.addrs["any-name"+rest]; answered && len(addrs) == 0 {
			return []Finding{warning("does not find the names of *"+rest+", which a hosts file can't have", s.wildFix())}
		}
	}
	if len(a.addrs[unlistedName]) > 0 {
		return []Finding{fine("finds every name below localhost")}
	}
	return []Finding{fine("finds " + some(plain))}
}

// elsewhere reports whether an address is one that devproxy does not listen on.
func elsewhere(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	return err != nil || ip.Unmap() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) && ip != netip.IPv6Loopback()
}

// namesFix puts the names of running projects into the hosts file.
func (s *Subject) namesFix(ctx context.Context) string {
	const command = "devproxy names sync"
	if s.runs(ctx) {
		return command
	}
	return command + ", while devproxy up runs"
}

// read reads what the programs print.
func (a *answer) read(output []byte) {
	a.addrs = map[string][]string{}
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "name":
			a.addrs[words[1]] = words[2:]
		case words[0] == "home":
			a.home = strings.TrimSpace(strings.TrimPrefix(line, "home "))
		case words[0] == "trust" && words[1] == "yes":
			a.trust = trusts
		case words[0] == "trust" && words[1] == "no":
			a.trust = refuses
		}
	}
}

// programAnswer is the answer of a program, by what it prints.
func programAnswer(output []byte, err error) (a answer) {
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = errors.New("its program failed")
	}
	a.err = err
	a.read(output)
	return a
}

func askNode(ctx context.Context, s *Subject, path string, names []string) answer {
	return programAnswer(s.run(ctx, append([]string{path, "-e", nodeProgram, "--", s.server.https}, names...)...))
}

// askPython leaves out the modules of users and of projects.
func askPython(ctx context.Context, s *Subject, path string, names []string) answer {
	return programAnswer(s.run(ctx, append([]string{path, "-I", "-S", "-c", pythonProgram, s.server.https}, names...)...))
}

func javaPrograms(s *Subject) []string {
	if home := s.Getenv("JAVA_HOME"); filepath.IsAbs(home) {
		return []string{filepath.Join(home, "bin", "java")}
	}
	return []string{"java"}
}

// askJava needs a JDK of version 11 or newer, which compiles the program.
func askJava(ctx context.Context, s *Subject, path string, names []string) answer {
	dir, err := os.MkdirTemp("", "devproxy-doctor")
	if err != nil {
		return answer{err: err}
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "Ask.java")
	if err := os.WriteFile(file, javaProgram, 0o600); err != nil {
		return answer{err: err}
	}
	a := programAnswer(s.run(ctx, append([]string{path, "-XX:TieredStopAtLevel=1", file, s.server.https}, names...)...))
	if a.err != nil && a.home == "" && !errors.Is(a.err, context.DeadlineExceeded) {
		a.err = errors.New("only a JDK of version 11 or newer can be asked")
	}
	return a
}

// askGo asks Go's own resolver, which programs in Go use unless they are linked with C.
// This program has it.
func askGo(ctx context.Context, _ *Subject, _ string, names []string) answer {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	a := answer{addrs: map[string][]string{}}
	resolver := net.Resolver{PreferGo: true}
	for _, name := range names {
		addrs, _ := resolver.LookupHost(ctx, name) // none after an error
		if ctx.Err() != nil {
			a.err = context.DeadlineExceeded
			break
		}
		a.addrs[name] = addrs
	}
	return a
}

// The exit codes of curl (its manual, EXIT CODES).
const (
	curlNoName      = 6
	curlCertificate = 60
)

// askCurl asks for localhost and for two names, a run for each.
func askCurl(ctx context.Context, s *Subject, path string, names []string) answer {
	a := answer{addrs: map[string][]string{}}
	// -q: a .curlrc may say --insecure or name other roots.
	curl := func(more ...string) (addr string, err error) {
		argv := append([]string{path, "-q", "-sS", "-o", os.DevNull, "-w", "%{remote_ip}", "--noproxy", "*"}, more...)
		output, err := s.run(ctx, argv...)
		return string(output), err
	}
	_, err := curl("https://localhost:" + s.server.https + "/")
	switch {
	case err == nil:
		a.trust = trusts
	case exitCode(err) == curlCertificate:
		a.trust = refuses
	case exitCode(err) < 0:
		a.err = err
		return a
	}
	asked := slices.Compact(append(names[:min(1, len(names)):min(1, len(names))], unlistedName))
	if i := slices.IndexFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".localhost") }); i >= 0 {
		asked = append(asked, names[i])
	}
	for _, name := range asked {
		addr, err := curl("-k", "https://"+name+":"+s.server.https+"/")
		switch {
		case exitCode(err) == curlNoName:
			a.addrs[name] = nil
		case addr != "":
			a.addrs[name] = []string{addr}
		case exitCode(err) < 0:
			a.err = err
			return a
		default:
			a.addrs[name] = []string{"another address"}
		}
	}
	return a
}

// exitCode is that of a program which failed; 0 without an error, -1 for any other
// error.
func exitCode(err error) int {
	failed := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		return failed.ExitCode()
	}
	return -1
}
