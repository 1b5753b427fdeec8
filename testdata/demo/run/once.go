package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// onceLimit is for all of --once behind the servers' start.
const onceLimit = 2 * time.Minute

// event is a line of `devproxy up --json`, as far as it is read here.
type event struct {
	Event string
	URLs  []string
	HTTPS string // an address: "127.0.0.1:8443"
	URL   string // of a share
	Error string
	Fix   string

	Domain, Listen string // of a relay
}

// once runs devproxy, asks for every page and stops it. The CA is one of its
// own unless DEVPROXY_HOME names one.
func (d *demo) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, onceLimit)
	defer cancel()
	cmd := d.command("--json")
	events, err := d.startEvents(ctx, "devproxy", cmd)
	if err != nil {
		return err
	}
	if err := d.askBoth(ctx, events); err != nil {
		return err
	}
	up := d.children[len(d.children)-1]
	interrupt(cmd)
	select {
	case <-up.done:
		return up.err
	case <-ctx.Done():
		return errors.New("devproxy does not stop")
	}
}

// askBoth asks at the local address, and through the link if there is one.
func (d *demo) askBoth(ctx context.Context, events <-chan event) error {
	ready, err := await(ctx, events, "ready")
	if err != nil {
		return fmt.Errorf("devproxy %w", err)
	}
	shared := event{}
	if d.relay != "" {
		if shared, err = await(ctx, events, "shared"); err != nil {
			return fmt.Errorf("devproxy %w", err)
		}
	}
	go drop(events) // so that devproxy never waits for us
	root := filepath.Join(cmp.Or(d.home, os.Getenv("DEVPROXY_HOME")), "root.pem")
	if err := askAll(ctx, ready.URLs[0], ready.HTTPS, root); err != nil || d.relay == "" {
		return err
	}
	return askAll(ctx, shared.URL, d.relayAddr, root)
}

// read sends the events of a stream until it ends.
func read(ctx context.Context, lines io.Reader, to chan<- event) {
	defer close(to)
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			e = event{Event: "failed", Error: fmt.Sprintf("not a line of JSON: %q", scanner.Text())}
		}
		select {
		case to <- e:
		case <-ctx.Done():
			return
		}
	}
}

// askAll asks for every page below a URL, trusting the CA in rootFile and
// nothing else. "*.localhost" does not resolve everywhere: address is dialled.
func askAll(ctx context.Context, at, address, rootFile string) error {
	pem, err := os.ReadFile(rootFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", rootFile)
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	base, err := url.Parse(at)
	if err != nil {
		return err
	}
	for _, path := range []string{"/", "/api/hello", "/docs/", "/old/routes"} {
		if err := ask(ctx, &http.Client{Transport: transport}, base.JoinPath(path).String()); err != nil {
			return err
		}
	}
	return nil
}

func ask(ctx context.Context, client *http.Client, link string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/html")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("%s: %w", link, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", link, answer.Status)
	}
	fmt.Println(answer.StatusCode, answer.Proto, link)
	return nil
}
