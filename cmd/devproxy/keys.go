package main

import (
	"io"
	"os"
)

// readKeys sends each byte typed on the terminal to the returned channel until
// reading fails, which closes it. stop ends the reading and gives the terminal
// back as it was. Without a terminal keys is nil and stop does nothing.
func readKeys(in io.Reader) (keys <-chan byte, stop func()) {
	terminal, ok := in.(*os.File)
	if !ok {
		return nil, func() {}
	}
	keys, stop, err := terminalKeys(terminal)
	if err != nil {
		return nil, func() {}
	}
	return keys, stop
}
