package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/front"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/hcl"
)

// listening is the configuration of the sockets that flags and file require. All
// projects share the default ports. The first process of a container (PID 1) shares
// none: no other runs there.
func (in *instance) listening(file *hcl.File) listen.Config {
	c := listen.Config{
		HTTPS:   cmp.Or(in.opts.https, file.Listen.HTTPS),
		HTTP:    cmp.Or(in.opts.http, file.Listen.HTTP),
		Runtime: in.runtimeDir,
		TLS:     &tls.Config{GetCertificate: in.authorities.GetCertificate, MinVersion: tls.VersionTLS12},
		Log:     in.log,
		Passed:  in.passed,
		Lost:    func(err error) { in.say(lostText(err)) },
	}
	c.Announce = in.say
	if in.sockets == nil {
		c.Announce = in.report.say // no loop runs yet
	}
	if in.opts.standalone || os.Getpid() == 1 {
		c.Runtime = ""
	}
	return c
}

// inheritSockets takes over the sockets that systemd passed to this process.
func inheritSockets() (*listen.Passed, error) {
	dir, err := runtimedir.Path(os.Getenv)
	if err != nil {
		return nil, err
	}
	return listen.Inherit(dir)
}

// register gets the plan's names on the shared ports.
func (in *instance) register(ctx context.Context, p *plan.Plan) error {
	var names []front.Name
	for _, host := range p.Hosts() {
		for name, source := range host.Names() {
			n := front.Name{Name: name, Line: source.Line}
			if source.File != "" {
				n.File = filepath.Join(host.Folder, source.File)
			}
			names = append(names, n)
		}
	}
	err := in.sockets.Register(ctx, names)
	if taken, ok := errors.AsType[*front.TakenError](err); ok {
		return &devproxy.NameError{Name: taken.First.Name, Err: takenError(err)}
	}
	return err
}

// lostText says what has become of this project on the shared ports.
func lostText(err error) string {
	taken, ok := errors.AsType[*front.TakenError](err)
	switch {
	case err == nil:
		return "This project can be reached again."
	case ok:
		return fmt.Sprintf("%s no longer leads to this project: %v", taken.First.Name, takenError(err))
	}
	return "This project can't be reached: " + err.Error()
}

// takenError adds what to do to the error of a name that another project has.
func takenError(err error) error {
	taken, ok := errors.AsType[*front.TakenError](err)
	if !ok {
		return err
	}
	by := "another devproxy"
	if taken.First.File != "" {
		by = fmt.Sprintf("%s:%d", devproxy.Home(taken.First.File), taken.First.Line)
	}
	return failf("use another name here; devproxy status --all lists all names", "%s is already served by %s", taken.First.Name, by)
}
