// Command bench measures devproxy next to its peers.
//
//	bench forward --devproxy bin/devproxy             # next to nginx, HAProxy and Caddy
//	bench share --raw                                 # the tunnel alone, without HTTP
//	bench share --raw --row download -n 5             # one line of the table, five times
//	bench share --probe --lanes 8,16                  # parallel sockets: the upper bound
//	bench projects                                    # many projects that share a port
//
// All need Linux; share needs root too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/devproxy/devproxy/cmd/bench/forward"
	"github.com/devproxy/devproxy/cmd/bench/projects"
	"github.com/devproxy/devproxy/cmd/bench/share"
)

func main() {
	switch err := run(); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if share.IsRole() {
		return share.RunRole()
	}
	// A child is killed when the thread that started it ends; this one lasts as
	// long as the program.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "forward":
			return forward.Run(ctx, os.Args[2:])
		case "share":
			return share.Run(ctx, os.Args[2:])
		case "projects":
			return projects.Run(ctx, os.Args[2:])
		}
	}
	return errors.New("run bench forward, bench share or bench projects; add --help for the flags")
}
