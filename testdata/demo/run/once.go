package main

import (
	"bufio"
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
	Error string
	Fix   string
}

// once runs devproxy, asks for every link and stops it. The CA is one of its
// own unless DEVPROXY_HOME names one.
func (d *demo) once(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, onceLimit)
	defer cancel()
	home := os.Getenv("DEVPROXY_HOME")
	if home == "" {
		home = filepath.Join(d.tmp, "home")
	}
	cmd := d.command("--json")
	cmd.Env = append(cmd.Env, "DEVPROXY_HOME="+home)
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout = in
	apart(cmd)
	up, err := start("devproxy", cmd)
	in.Close() // the child has its own
	if err != nil {
		return err
	}
	d.children = append(d.children, up)

	events := make(chan event)
	go read(ctx, out, events)
	ready, err := awaitReady(ctx, events)
	if err != nil {
		return err
	}
	if err := askAll(ctx, ready, filepath.Join(home, "root.pem")); err != nil {
		return err
	}
	interrupt(cmd)
	select {
	case <-up.done:
		return up.err
	case <-ctx.Done():
		return errors.New("devproxy does not stop")
	}
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

// awaitReady returns the ready event; the rest is read and dropped, so that
// devproxy never waits for us.
func awaitReady(ctx context.Context, events <-chan event) (event, error) {
	for {
		select {
		case e, more := <-events:
			switch {
			case !more:
				return event{}, errors.New("devproxy ended before it was ready")
			case e.Event == "failed":
				return event{}, fmt.Errorf("devproxy: %s\n  %s", e.Error, e.Fix)
			case e.Event == "ready" && len(e.URLs) > 0:
				go func() {
					for range events {
					}
				}()
				return e, nil
			}
		case <-ctx.Done():
			return event{}, errors.New("devproxy is not ready in time")
		}
	}
}

// askAll asks for every link below the ready event's first URL, trusting the
// CA in rootFile and nothing else. "*.localhost" does not resolve everywhere:
// the address is dialled.
func askAll(ctx context.Context, ready event, rootFile string) error {
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
			return new(net.Dialer).DialContext(ctx, network, ready.HTTPS)
		},
	}
	defer transport.CloseIdleConnections()
	base, err := url.Parse(ready.URLs[0])
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
