// Command benchshare is `make bench-share`: it measures a share on an emulated
// path, as a table. It needs Linux and root.
//
//	benchshare --raw                      # the tunnel alone, without HTTP
//	benchshare --raw --row download -n 5  # one line of the table, five times
//	benchshare --probe --lanes 8,16       # parallel sockets: the upper bound
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
)

func main() {
	if text := os.Getenv(specVariable); text != "" {
		exit(runRole(text))
		return
	}
	// A child is told when the thread that started it ends; this one lasts as
	// long as the program.
	runtime.LockOSThread()
	b, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = b.run(ctx)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchshare:", err)
		os.Exit(1)
	}
}
