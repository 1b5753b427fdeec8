package devproxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

// patience bounds what should happen at once; only a failing test waits for it.
const patience = 20 * time.Second

// discard is the log of servers whose failures show elsewhere.
var discard = slog.New(slog.DiscardHandler)

// site is a Server on real sockets that follows a Proxyfile.
type site struct {
	*Server
	t       testing.TB
	folder  string
	sockets *listen.Set
	roots   *x509.CertPool
	saves   chan Save // the outcome of each save after the first
	records inspect.Recorder

	cancel  context.CancelFunc
	stopped func() error
}

// serveFile starts a site. It is stopped, and all that ran with it has ended,
// when the test has ended.
func serveFile(t testing.TB, proxyfile string) *site {
	t.Helper()
	return serveWith(t, proxyfile, Options{})
}

// serveWith is serveFile with options of its server.
func serveWith(t testing.TB, proxyfile string, opts Options) *site {
	t.Helper()
	ca, err := localca.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := listen.Open(t.Context(), listen.Config{HTTPS: ":0", HTTP: ":0", TLS: &tls.Config{GetCertificate: ca.GetCertificate}})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, folder: t.TempDir(), sockets: sockets, roots: x509.NewCertPool(), saves: make(chan Save)}
	s.roots.AddCert(ca.Root())
	s.records = make(inspect.Recorder, 4096)
	opts.Recorder = s.records
	opts.Version = "v1.2.3"
	opts.Machine = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the machine's page") // the client may have left
	})
	s.Server = New(opts)
	s.write(proxyfile)
	project := &Project{Server: s.Server, Load: s.load, Bind: s.bind}
	first := project.Apply()
	if first.Rejected() {
		t.Fatalf("the first file: %v %v", first.Err, first.Diagnostics)
	}
	s.run(project, first)
	return s
}

func (s *site) load() (*hcl.File, hcl.Diagnostics, error) {
	return hcl.Load(filepath.Join(s.folder, "Proxyfile"), hcl.Options{WorkDir: s.folder})
}

func (s *site) bind(file *hcl.File) (plan.Env, error) {
	s.SetListening(Listening{HTTPSPort: s.port(), ServePlain: file.Listen.ServePlain})
	return plan.Env{Bound: append(append([]netip.AddrPort{}, s.sockets.HTTPS()...), s.sockets.HTTP()...)}, nil
}

func (s *site) port() uint16 { return s.sockets.HTTPS()[0].Port() }

// run serves and follows until stop.
func (s *site) run(project *Project, first Save) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	served := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() { served <- s.Run(ctx, discard, s.sockets) })
	group.Go(func() {
		project.Follow(ctx, first, func(save Save) {
			select {
			case s.saves <- save:
			case <-ctx.Done():
			}
		}, func(string) {})
	})
	s.stopped = sync.OnceValue(func() error {
		group.Wait()
		s.sockets.Close()
		return <-served
	})
	s.t.Cleanup(func() {
		s.Close()
		if err := s.stop(); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
}

// stop ends the site as Ctrl-C does, and returns when requests have finished.
func (s *site) stop() error {
	s.cancel()
	return s.stopped()
}

// write replaces the Proxyfile as editors do: by a rename.
func (s *site) write(text string) {
	s.t.Helper()
	path := filepath.Join(s.folder, "Proxyfile")
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		s.t.Fatal(err)
	}
}

// save writes the Proxyfile and returns when it was applied or rejected.
func (s *site) save(text string) Save {
	s.t.Helper()
	s.write(text)
	select {
	case save := <-s.saves:
		return save
	case <-time.After(patience):
		s.t.Fatal("the save was not noticed")
		panic("unreachable")
	}
}

// apply is save for a file that must be applied.
func (s *site) apply(text string) Applied {
	s.t.Helper()
	save := s.save(text)
	if save.Rejected() {
		s.t.Fatalf("rejected: %v %v", save.Err, save.Diagnostics)
	}
	return *save.Applied
}

// client connects to the site, whatever name a URL has, over HTTP/2 or HTTP/1.1.
// Redirects are not followed.
func (s *site) client(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.roots},
		Protocols:       protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// url is a path of shop.localhost over TLS.
func (s *site) url(path string) string {
	return "https://shop.localhost:" + strconv.Itoa(int(s.port())) + path
}

// reply is a response that has come to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func get(ctx context.Context, client *http.Client, url string, fields ...string) (reply, error) {
	return do(ctx, client, http.MethodGet, url, fields...)
}

func do(ctx context.Context, client *http.Client, method, url string, fields ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body)}, err
}

// get serves tests of one request.
func (s *site) get(url string, fields ...string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	got, err := get(ctx, s.client(false), url, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// plain sends raw bytes to the plain HTTP socket and reads one response.
func (s *site) plain(raw string) reply {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.sockets.HTTP()[0].String(), patience)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, raw); err != nil {
		s.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

// open dials a WebSocket.
func (s *site) open(path string) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, s.url(path), &websocket.DialOptions{HTTPClient: s.client(false)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// echo sends text and wants it back.
func echo(ctx context.Context, conn *websocket.Conn, text string) error {
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, got, err := conn.Read(ctx)
	if err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("sent %q, got %q", text, got)
	}
	return nil
}

// devServer is an upstream that does what dev servers do. It gives its name
// with every answer.
type devServer struct {
	*httptest.Server
	name    string
	finish  chan struct{} // closed: answers that wait come to their end
	arrived chan string   // a path, once its request is there
}

func newDevServer(t testing.TB, name string) *devServer {
	d := &devServer{name: name, finish: make(chan struct{}), arrived: make(chan string, 1000)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", name, r.URL.Path) })
	mux.HandleFunc("/echo", d.echo)
	mux.HandleFunc("/ws", d.socket)
	mux.HandleFunc("/gone", d.socket)
	mux.HandleFunc("/events", d.events)
	mux.HandleFunc("/slow", d.slow)
	mux.HandleFunc("/download", d.download)
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	return d
}

// port is its form in a Proxyfile.
func (d *devServer) port() int {
	at, _ := url.Parse(d.URL)
	port, _ := strconv.Atoi(at.Port())
	return port
}

// echoTime is the duration of a response of /echo: long enough for a save to
// come between its request and its answer.
const echoTime = 20 * time.Millisecond

func (d *devServer) echo(w http.ResponseWriter, r *http.Request) {
	time.Sleep(echoTime)
	fmt.Fprint(w, r.Header.Get("X-Number"))
}

func (d *devServer) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, text, err := conn.Read(r.Context())
		if err != nil {
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				d.arrived <- fmt.Sprintf("close %d", closed.Code)
			}
			return
		}
		if conn.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}

func (d *devServer) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, "data: %s\n\n", d.name)
	_ = http.NewResponseController(w).Flush()
	d.arrived <- r.URL.Path
	<-r.Context().Done()
}

// slow answers when finish is closed.
func (d *devServer) slow(w http.ResponseWriter, r *http.Request) {
	d.arrived <- r.URL.Path
	select {
	case <-d.finish:
		fmt.Fprint(w, d.name+" finished")
	case <-r.Context().Done():
	}
}

// downloadStep is between two pieces of the slow download.
const downloadStep = 5 * time.Millisecond

// download sends pieces until finish is closed, each with its number in it.
func (d *devServer) download(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(downloadStep)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-d.finish:
			fmt.Fprintf(w, "end %d\n", n)
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
			fmt.Fprintf(w, "%d\n", n)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// checkDownload reads all that download sends and returns the number of pieces.
func checkDownload(from io.Reader) (int, error) {
	lines := bufio.NewScanner(from)
	for n := 0; lines.Scan(); n++ {
		switch lines.Text() {
		case strconv.Itoa(n):
		case fmt.Sprintf("end %d", n):
			return n, lines.Err()
		default:
			return n, fmt.Errorf("piece %d is %q", n, lines.Text())
		}
	}
	return 0, fmt.Errorf("the download broke off: %w", errors.Join(io.ErrUnexpectedEOF, lines.Err()))
}
