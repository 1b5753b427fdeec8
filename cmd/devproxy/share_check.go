package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
	"github.com/devproxy/devproxy/devproxy/share/check"
	"github.com/devproxy/devproxy/localca"
)

// runShareCheck opens the share that is up as a visitor does, and prints what works.
func runShareCheck(ctx context.Context, s *streams, opts upOptions, args []string) error {
	if len(args) > 0 || opts.relay != "" || opts.lasts != 0 || opts.key != "" || opts.https != "" || opts.http != "" {
		return usagef("devproxy share --check", "--check looks at the share that is up: it takes no hosts, and no flags of a new share")
	}
	client, _, _, err := findInstance(opts.file)
	if errors.Is(err, control.ErrNotRunning) {
		return failf("devproxy share", "nothing is shared here")
	}
	if err != nil {
		return err
	}
	subject, err := checkedShare(ctx, client)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sleepTimeout)
		defer cancel()
		_, _ = client.Share(ctx, control.ShareRequest{Op: control.OpChecked, Check: subject.Share.Check}) // else it ends by itself
	}()
	d := &diagnosis{streams: s, asJSON: opts.json}
	check.Run(ctx, subject, d.add)
	if ctx.Err() != nil {
		return exit(exitFailed)
	}
	if !opts.json {
		d.summary(false)
	}
	if d.counts[doctor.Fault] > 0 {
		return exit(exitFailed)
	}
	return nil
}

// checkedShare begins the check of the share that an instance has.
func checkedShare(ctx context.Context, client *control.Client) (*check.Subject, error) {
	now, err := client.Share(ctx, control.ShareRequest{Op: control.OpLook})
	if err != nil {
		return nil, err
	}
	switch now.State {
	case control.ShareUp:
	case control.ShareConnecting, control.ShareResuming, control.ShareWaiting:
		why := cmp.Or(now.Error, "it is still connecting")
		return nil, failf(cmp.Or(now.Fix, "devproxy share --check, when it is connected"), "the share is not connected to %s: %s", now.Relay, why)
	case control.ShareFailed:
		return nil, failf(cmp.Or(now.Fix, "devproxy share"), "the share has failed: %s", now.Error)
	default:
		return nil, failf("devproxy share", "nothing is shared here")
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	state, err := client.Share(ctx, control.ShareRequest{Op: control.OpCheck})
	if refused, ok := errors.AsType[*control.ShareError](err); ok && strings.Contains(refused.Text, "unknown request") {
		return nil, failf("devproxy down, then devproxy up --share", "the devproxy that is running here is an older version, without checks")
	} else if ok {
		return nil, failf(refused.Fix, "%s", refused.Text)
	}
	if err != nil {
		return nil, err
	}
	subject := &check.Subject{Share: state, Hosts: status.Hosts, Upload: control.MaxProbeUpload}
	if ca := userCA(); ca != nil {
		subject.Roots, subject.Local = relayRoots(state.Relay, ca), localClient(status.HTTPS, ca)
	}
	return subject, nil
}

// userCA returns the CA of this user; nil without one.
func userCA() *localca.CA {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return nil
	}
	ca, err := localca.Load(home)
	if err != nil {
		return nil
	}
	return ca
}

// localClientTimeout bounds a request to the project's own host.
const localClientTimeout = 5 * time.Second

// localClient requests the project's local hosts, all at one address.
func localClient(https string, ca *localca.CA) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root())
	return &http.Client{
		Timeout:       localClientTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, https)
			},
		},
	}
}
