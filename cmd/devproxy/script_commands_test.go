package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/localca"
)

// scriptPatience limits the waits of a transcript; only a failing one waits
// this long.
const scriptPatience = 20 * time.Second

// scriptListener is the program `listener`: a server that prints its port and
// serves until it is ended.
func scriptListener() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Println(ln.Addr().(*net.TCPAddr).Port)
		err = http.Serve(ln, http.NotFoundHandler())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// scriptWaitfor is `waitfor FILE REGEXP [NAME]`: it returns when the output
// that a background command writes to FILE matches, and keeps the match, or its
// first group, in the variable NAME.
func scriptWaitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: waitfor FILE REGEXP [NAME]")
	}
	wanted, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	for deadline := time.Now().Add(scriptPatience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, _ = os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		found := wanted.FindSubmatch(text)
		if found == nil {
			continue
		}
		if len(args) == 3 {
			ts.Setenv(args[2], string(found[min(1, len(found)-1)]))
		}
		return
	}
	ts.Fatalf("%s does not match %s:\n%s", args[0], args[1], text)
}

// stopAll stops what a transcript has left in the background.
func stopAll(getenv func(string) string) {
	runtimeDir, err := runtimedir.Path(getenv)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	left, _ := control.Clients(runtimeDir) // none if the folder cannot be read
	for _, client := range left {
		if client.Down(ctx) == nil {
			continue
		}
		if process, err := os.FindProcess(client.Holder().PID); err == nil {
			_ = process.Kill() // it does not answer
		}
	}
}

// scriptHTTPGet is `httpget URL STATUS [REGEXP [ROOT]]`: the answer to a GET, from
// 127.0.0.1 whatever the name, trusting the root in the file ROOT alone, by default that
// in DEVPROXY_HOME.
func scriptHTTPGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: httpget URL STATUS [REGEXP [ROOT]]")
	}
	at, err := url.Parse(args[0])
	ts.Check(err)
	file := ts.Getenv("DEVPROXY_HOME") + "/root.pem"
	if len(args) == 4 {
		file = ts.MkAbs(args[3])
	}
	root, err := os.ReadFile(file)
	ts.Check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", at.Port()))
		},
	}
	response, err := (&http.Client{Transport: transport, Timeout: scriptPatience}).Get(args[0])
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	if strconv.Itoa(response.StatusCode) != args[1] {
		ts.Fatalf("status %d, want %s:\n%s", response.StatusCode, args[1], body)
	}
	if len(args) >= 3 && !regexp.MustCompile("(?m)"+args[2]).Match(body) {
		ts.Fatalf("%s does not match:\n%s", args[2], body)
	}
}

// scriptIssue is `issue NAME BASE`: a certificate of the CA in DEVPROXY_HOME for
// NAME, in BASE.pem and BASE.key.
func scriptIssue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: issue NAME BASE")
	}
	ca, err := localca.Open(ts.Getenv("DEVPROXY_HOME"))
	ts.Check(err)
	issued, err := ca.Issue(args[0])
	ts.Check(err)
	key, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	ts.Check(err)
	for end, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: issued.Certificate[0]}, ".key": {Type: "PRIVATE KEY", Bytes: key}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]+end), pem.EncodeToMemory(block), 0o600))
	}
}

// scriptShare is `share OP [STATE]`: it asks the instance of the current folder
// for what a key of its terminal does, and wants the share to stand so then.
func scriptShare(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: share OP [STATE]")
	}
	runtimeDir, err := runtimedir.Path(ts.Getenv)
	ts.Check(err)
	client, err := control.Dial(runtimeDir, ts.MkAbs("."))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	got, err := client.Share(ctx, control.ShareRequest{Op: args[0], For: oneMore})
	if (err != nil) != neg {
		ts.Fatalf("share %s: %v", args[0], err)
	}
	if len(args) == 2 && got.State != args[1] {
		ts.Fatalf("share %s: the share is %s, want %s", args[0], got.State, args[1])
	}
}
