package main

import (
	"io"
	"net"

	"github.com/rogpeppe/go-internal/testscript"
)

// forwarders are the listeners of scriptForward, by name.
type forwarders map[string]net.Listener

// scriptForward is a port mapping in two steps. `forward NAME` takes a free port
// of 127.0.0.1 and keeps it in the variable NAME. `forward NAME PORT` connects
// its connections to PORT until the script ends.
func scriptForward(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: forward NAME [PORT]")
	}
	name := args[0]
	all, _ := ts.Value(forwardersKey{}).(forwarders)
	if len(args) == 1 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Defer(func() { ln.Close() })
		_, port, err := net.SplitHostPort(ln.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
		all[name] = ln
		return
	}
	ln := all[name]
	if ln == nil {
		ts.Fatalf("nothing is forwarded as %s", name)
	}
	go forwardAll(ln, "127.0.0.1:"+args[1])
}

type forwardersKey struct{}

// forwardAll copies both ways between each connection of ln and one to address.
func forwardAll(ln net.Listener, address string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			to, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer to.Close()
			go func() {
				_, _ = io.Copy(to, c)
				_ = to.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(c, to)
		}()
	}
}
