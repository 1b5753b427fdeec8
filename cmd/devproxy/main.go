// Command devproxy gives a project's dev servers one trusted HTTPS origin.
package main

import "os"

func main() {
	os.Exit(run(processStreams(), os.Args[1:]))
}
