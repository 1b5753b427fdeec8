package share

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// serveUpstream is the application that is shared: /bytes/N is N zeros, /html/N is a
// page of that length, and /unchanged/N the same page in a charset in which devproxy
// replaces no URLs. Packets to its UDP port of the same number are answered with themselves.
func serveUpstream(ctx context.Context, s spec) error {
	listener, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	socket, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer socket.Close()
	go echoPackets(socket)
	mux := http.NewServeMux()
	mux.HandleFunc("/bytes/{n}", serveBytes)
	mux.HandleFunc("/{kind}/{n}", servePage)
	const headTime = 10 * time.Second
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headTime}
	stopClose := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopClose()
	if err := tell(message{Ready: listener.Addr().String()}); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serveBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > stalledSize {
		http.Error(w, "invalid number of bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	_, _ = io.CopyN(w, zeros{}, n) // the reader reports an error
}

// paragraphs are a piece of the page, with one local URL.
var paragraphs = strings.Repeat(`<article class="post card"><h2><a href="/posts/a-title">A title</a></h2><p>Some text of a paragraph, as long as most.</p><img src="https://cdn.example.com/a.jpg" alt=""></article>`+"\n", 10) +
	`<a href="https://shop.localhost/next">next</a>` + "\n"

func servePage(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n > downloadSize {
		http.Error(w, "invalid number of bytes", http.StatusBadRequest)
		return
	}
	charset := "utf-8"
	if r.PathValue("kind") == unchangedPath {
		charset = "koi8-r"
	}
	w.Header().Set("Content-Type", "text/html; charset="+charset)
	w.Header().Set("Content-Length", strconv.Itoa(n))
	_, _ = io.WriteString(w, strings.Repeat(paragraphs, n/len(paragraphs)+1)[:n]) // the reader reports an error
}

// The paths of a page.
const (
	htmlPath      = "html"
	unchangedPath = "unchanged"
)

// zeros reads as zeros for ever.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// httpClient is like a browser: HTTP/1.1, connections kept.
type httpClient struct {
	http *http.Client
	base string // with the path, up to the size
	page bool   // public URLs are longer than local ones
	game string // where packets go
}

// clientTLS trusts the certificate in the file root; without one, any certificate,
// which is only used on loopback.
func clientTLS(root string) (*tls.Config, error) {
	if root == "" {
		return &tls.Config{InsecureSkipVerify: true}, nil
	}
	text, err := os.ReadFile(root)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots}, nil
}

func newHTTPClient(s spec) (*httpClient, error) {
	config, err := clientTLS(s.Root)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig:     config,
		MaxIdleConnsPerHost: 1000, // all
		DisableCompression:  true,
	}
	if s.Dial != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Dial)
		}
	}
	path := cmp.Or(s.Path, "bytes")
	return &httpClient{&http.Client{Transport: transport}, s.URL + "/" + path + "/", path == htmlPath, s.Game}, nil
}

func (c *httpClient) get(ctx context.Context, size int) (int64, error) {
	body, err := c.open(ctx, size)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	if c.page {
		n = min(n, int64(size))
	}
	return n, err
}

func (c *httpClient) stall(ctx context.Context, size int) error {
	body, err := c.open(ctx, size)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(body, make([]byte, 1)) // closed with ctx
	return err
}

func (c *httpClient) open(ctx context.Context, size int) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+strconv.Itoa(size), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp.Body, nil
}

// visit measures the rows as visitors of a link.
func visit(ctx context.Context, s spec) error {
	c, err := newHTTPClient(s)
	if err != nil {
		return err
	}
	// Peers do not report when they are ready.
	const patience, pause = 30 * time.Second, 100 * time.Millisecond
	for start := time.Now(); s.Patient; time.Sleep(pause) {
		_, err := c.get(ctx, 1)
		if err == nil {
			break
		}
		if time.Since(start) > patience {
			return err
		}
	}
	return s.tellRows(ctx, c, nil)
}
