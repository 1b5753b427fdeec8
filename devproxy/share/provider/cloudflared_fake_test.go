package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"
)

// The fake behaves as cloudflared 2026.8.2 does, by its source at commit
// d1df7985bdf189c4caf34e290bafbf8f411e603b (github.com/cloudflare/cloudflared), as
// far as a quick tunnel meets it. Its way of connecting to Cloudflare, and
// Cloudflare, are replaced by an HTTP server on loopback: the edge.

// scenario controls the fake, in scenario.json next to the program.
type scenario struct {
	// Version is what --version says; "2025.6.0" does not know --output.
	Version string
	// API is Cloudflare's answer to the request for a tunnel: "" gives one, "429",
	// "500", or the error of the request.
	API string
	// Hostname is the name that the API gives, with %d for the number of the start.
	Hostname string
	// Connects are the protocols that reach Cloudflare.
	Connects []string
	// Spins makes a protocol that does not connect fail again and again without a
	// pause, as 2026.8.2 does when TCP port 7844 is refused.
	Spins bool
	// IgnoresTerm makes it ignore SIGTERM.
	IgnoresTerm bool
	// Prints is written to stderr at the start.
	Prints string
	// Dies is its last words when it has a name.
	Dies string
}

// fakeStart is the record that the fake writes next to the program at each of
// its starts.
type fakeStart struct {
	PID      int
	Edge     string // host:port
	Protocol string
	Args     []string
	Env      []string
	Dir      string
}

// fakeFlags are the flags of `cloudflared tunnel` that the tests can meet; true ones
// take a value (cmd/cloudflared/tunnel/cmd.go, tunnelFlags, and cliutil/logger.go).
var fakeFlags = map[string]bool{
	"config": true, "no-autoupdate": false, "metrics": true, "output": true, "loglevel": true, "grace-period": true,
	"protocol": true, "p": true, "url": true, "unix-socket": true, "hello-world": false, "no-prechecks": false, "pidfile": true,
}

func fakeCloudflared() int {
	folder := filepath.Dir(os.Args[0])
	var does scenario
	text, err := os.ReadFile(filepath.Join(folder, "scenario.json"))
	if err == nil {
		err = json.Unmarshal(text, &does)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		return 3
	}
	if len(os.Args) == 2 && os.Args[1] == "--version" { // main.go:62
		fmt.Printf("cloudflared version %s (built 2026-08-14-1200 UTC)\n", does.Version)
		return 0
	}
	f := &fake{folder: folder, does: does}
	return f.tunnel(os.Args[1:])
}

type fake struct {
	folder   string
	does     scenario
	flags    map[string]string
	config   fakeConfig
	protocol string
	name     string
	ready    atomic.Bool
	crash    chan struct{}
}

type fakeConfig struct {
	Tunnel  string `yaml:"tunnel"`
	Ingress []struct {
		Service string `yaml:"service"`
	} `yaml:"ingress"`
	OriginRequest struct {
		KeepAliveConnections *int `yaml:"keepAliveConnections"`
	} `yaml:"originRequest"`
}

// say logs as --output json does (logger/console.go).
func (f *fake) say(level, message string, fields ...string) {
	line := map[string]any{"level": level, "message": message, "time": "2026-11-30T00:00:00Z"}
	for i := 0; i < len(fields); i += 2 {
		line[fields[i]] = fields[i+1]
	}
	if f.flags["output"] != "json" { // logger/create.go:191: another format
		fmt.Fprintln(os.Stderr, "2026-11-30T00:00:00Z", strings.ToUpper(level[:3]), message, fields)
		return
	}
	_ = json.NewEncoder(os.Stderr).Encode(line)
}

// fails ends with an error that is not logged (cliutil/errors.go:33).
func (f *fake) fails(text string) int {
	fmt.Fprintln(os.Stderr, text)
	return 1
}

func (f *fake) tunnel(args []string) int {
	if len(args) == 0 || args[0] != "tunnel" {
		return f.fails("fake: only the command tunnel is known")
	}
	if code, ok := f.parse(args[1:]); !ok {
		return code
	}
	if err := f.readConfig(); err != nil {
		return f.fails(err.Error())
	}
	// tunnel/cmd.go:259: --unix-socket alone does not make a quick tunnel.
	if _, isSet := f.flags["url"]; !isSet {
		return f.fails("You did not specify any valid additional argument to the cloudflared tunnel command.")
	}
	if f.does.IgnoresTerm {
		signal.Ignore(syscall.SIGTERM)
	}
	f.say("info", "Thank you for trying Cloudflare Tunnel. …") // quick_tunnel.go:27
	f.say("info", "Requesting new quick Tunnel on trycloudflare.com...")
	fmt.Fprint(os.Stderr, f.does.Prints)
	switch f.does.API { // quick_tunnel.go:38 to 67
	case "":
	case "429":
		f.say("error", "Error unmarshaling QuickTunnel response: error code: 1015", "error", "invalid character 'e' looking for beginning of value", "status_code", "429 Too Many Requests")
		return f.fails("failed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value")
	case "500":
		return f.fails("failed to parse quick Tunnel ID: invalid UUID length: 0")
	default:
		return f.fails(`failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": ` + f.does.API)
	}
	return f.serve()
}

// parse reads the flags, and does with an unknown one what urfave/cli does: it
// prints to standard output, and main ignores the error (linux_service.go:54).
func (f *fake) parse(args []string) (code int, ok bool) {
	f.flags = map[string]string{}
	for i := 0; i < len(args); i++ {
		name := strings.TrimLeft(args[i], "-")
		name, value, hasValue := strings.Cut(name, "=")
		takes, known := fakeFlags[name]
		if !known || name == "output" && f.does.Version == "2025.6.0" {
			fmt.Printf("Incorrect Usage. flag provided but not defined: -%s\n\nNAME:\n   cloudflared tunnel - Use Cloudflare Tunnel …\n", name)
			return 0, false
		}
		if takes && !hasValue {
			i++
			value = args[i]
		}
		f.flags[name] = value
	}
	return 0, true
}

// readConfig reads the file of --config, or else the user's (config/configuration.go:105
// and 384).
func (f *fake) readConfig() error {
	path, isSet := f.flags["config"]
	if !isSet {
		path = filepath.Join(os.Getenv("HOME"), ".cloudflared", "config.yml")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		if !isSet && errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := yaml.Unmarshal(text, &f.config); err != nil {
		return fmt.Errorf("error parsing YAML in config file at %s: %w", path, err)
	}
	return nil
}

// serve is tunnel/cmd.go:319, StartServer.
func (f *fake) serve() int {
	f.protocol = f.flags["protocol"]
	if f.protocol == "" {
		f.protocol = "quic" // quick_tunnel.go:86
	}
	edge, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return f.fails(err.Error())
	}
	dir, _ := os.Getwd()
	n, err := f.leave(fakeStart{os.Getpid(), edge.Addr().String(), f.protocol, os.Args, os.Environ(), dir})
	if err != nil {
		return f.fails(err.Error())
	}
	f.name = f.does.Hostname
	if strings.Contains(f.name, "%d") {
		f.name = fmt.Sprintf(f.name, n)
	}
	f.say("info", "|  https://"+f.name+"  |") // quick_tunnel.go:80
	for _, setting := range os.Environ() {
		if strings.HasPrefix(setting, "TUNNEL_") { // each is a flag: cmd.go, EnvVars
			return f.fails("fake: the environment has " + setting)
		}
	}
	if f.does.Dies != "" {
		f.say("error", "Couldn't start tunnel", "error", f.does.Dies)
		return f.fails(f.does.Dies)
	}
	metrics, err := net.Listen("tcp", f.flags["metrics"])
	if err != nil {
		return f.fails("Error opening metrics server listener: " + err.Error())
	}
	f.crash = make(chan struct{})
	go func() { _ = http.Serve(metrics, f.metrics()) }()
	f.say("info", fmt.Sprintf("Starting metrics server on %v/metrics", metrics.Addr())) // metrics/metrics.go:166
	server := &http.Server{Handler: f.edge()}
	go func() { _ = server.Serve(edge) }()
	go f.connect()
	term := make(chan os.Signal, 1)
	if !f.does.IgnoresTerm {
		signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	}
	select {
	case s := <-term: // tunnel/signal.go:19 and cmd.go:563
		f.say("info", fmt.Sprintf("Initiating graceful shutdown due to signal %s ...", s))
		grace, _ := time.ParseDuration(f.flags["grace-period"])
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		_ = server.Shutdown(ctx)
		f.say("info", "Tunnel server stopped")
		return 0
	case <-f.crash:
		f.say("error", "Initiating shutdown", "error", "\x1b[31mthe edge is gone\x1b[0m")
		return f.fails("the edge is gone")
	}
}

// leave counts the start and says where it is.
func (f *fake) leave(start fakeStart) (n int, err error) {
	text, err := json.Marshal(start)
	if err != nil {
		return 0, err
	}
	for n = 1; ; n++ {
		path := filepath.Join(f.folder, fmt.Sprintf("start-%d.json", n))
		file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if _, err := file.Write(text); err != nil {
			return 0, err
		}
		if err := file.Close(); err != nil {
			return 0, err
		}
		// The first name stays, so that the number is not given again.
		return n, os.WriteFile(path, text, 0o600)
	}
}

// connect is what supervisor/tunnel.go logs for one connection.
func (f *fake) connect() {
	for _, protocol := range f.does.Connects {
		if protocol == f.protocol {
			f.ready.Store(true)
			f.say("info", "Registered tunnel connection", "location", "TST", "protocol", f.protocol)
			return
		}
	}
	for {
		if f.protocol == "quic" {
			f.say("error", "Failed to dial a quic connection", "error", "failed to dial to edge with quic: timeout: no recent network activity")
		} else {
			f.say("error", "Unable to establish connection with Cloudflare edge", "error", "DialContext error: dial tcp 198.41.192.7:7844: i/o timeout")
		}
		if !f.does.Spins {
			return
		}
	}
}

// metrics is metrics/metrics.go:68.
func (f *fake) metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/quicktunnel", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"hostname":"%s"}`, f.name)
	})
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { // readiness.go:37
		status, count := http.StatusServiceUnavailable, 0
		if f.ready.Load() {
			status, count = http.StatusOK, 1
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":%d,"readyConnections":%d,"connectorId":"76750b88-18a9-4a67-83ee-90f4365c4309"}`, status, count)
	})
	return mux
}

// edge takes visitors as Cloudflare does, and passes them on as proxy/proxy.go:185
// does. Its own paths are the test's.
func (f *fake) edge() http.Handler {
	origin := f.origin()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.fake/crash":
			close(f.crash)
		case "/.fake/lose":
			f.ready.Store(false)
		case "/.fake/regain":
			f.ready.Store(true)
		default:
			if r.Host != f.name {
				http.Error(w, "error code: 1033", 530)
				return
			}
			f.proxy(w, r, origin)
		}
	})
}

// origin is ingress/origin_service.go:346, newHTTPTransport, with the rules of the
// configuration before --url (ingress/ingress.go:98).
func (f *fake) origin() func(*http.Request) (*http.Response, error) {
	service := f.flags["url"]
	if len(f.config.Ingress) > 0 {
		service = f.config.Ingress[0].Service
	}
	idle := 100
	if n := f.config.OriginRequest.KeepAliveConnections; n != nil {
		idle = *n
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: idle, MaxIdleConnsPerHost: idle, IdleConnTimeout: 90 * time.Second}
	path, isUnix := strings.CutPrefix(service, "unix:")
	if isUnix {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	target, _ := url.Parse(service)
	return func(r *http.Request) (*http.Response, error) {
		r.URL.Scheme = "http"
		switch {
		case !isUnix:
			r.URL.Host = target.Host // origin_proxy.go:37
		case f.protocol == "quic": // connection/quic_connection.go, buildHTTPRequest
			r.URL.Host = r.Host
		case r.Header.Get("Upgrade") == "": // connection/http2.go:392
			r.URL.Host = "localhost:8080"
		}
		return transport.RoundTrip(r)
	}
}

func (f *fake) proxy(w http.ResponseWriter, r *http.Request, origin func(*http.Request) (*http.Response, error)) {
	out := r.Clone(r.Context())
	out.RequestURI, out.Close = "", false // Cloudflare speaks HTTP/2 or QUIC to it
	// What Cloudflare sets, https://developers.cloudflare.com/fundamentals/reference/http-headers/
	// and https://github.com/cloudflare/cloudflared/issues/1426.
	out.Header.Set("Cf-Connecting-Ip", "203.0.113.7")
	out.Header.Set("X-Forwarded-For", strings.TrimPrefix(r.Header.Get("X-Forwarded-For")+",203.0.113.7", ","))
	out.Header.Set("X-Forwarded-Proto", "https")
	out.Header.Set("Cf-Visitor", `{"scheme":"https"}`)
	out.Header.Set("Cf-Ray", "8f0000000000000-TST")
	out.Header.Set("Cdn-Loop", "cloudflare; loops=1")
	out.Header.Set("Cf-Warp-Tag-Id", "76750b88-18a9-4a67-83ee-90f4365c4309") // proxy/proxy.go:374
	isWebSocket := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	if isWebSocket { // proxy/proxy.go:194
		out.Header.Set("Connection", "Upgrade")
		out.Header.Set("Upgrade", "websocket")
		out.Header.Set("Sec-Websocket-Version", "13")
		out.ContentLength, out.Body = 0, nil
	} else {
		out.Header.Set("Connection", "keep-alive")
	}
	resp, err := origin(out)
	if err != nil {
		f.say("error", "", "error", "Unable to reach the origin service. The service may be down or it may not be responding to traffic from cloudflared: "+err.Error())
		http.Error(w, "502", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		f.say("error", err.Error())
		return
	}
	defer conn.Close()
	fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = resp.Header.Write(buffered)
	fmt.Fprintf(buffered, "\r\n")
	_ = buffered.Flush()
	upstream := resp.Body.(io.ReadWriteCloser)
	go func() {
		_, _ = io.Copy(upstream, buffered)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(conn, upstream)
}
