package main

import (
	"io"
	"os"
)

// terminalKeys leaves the Windows console as it is: a key counts once Enter is
// pressed. The console's own single-key mode also takes Ctrl-C away, and could
// not be tried where this was written. The read itself cannot be interrupted: the
// goroutine ends with the process.
func terminalKeys(terminal *os.File) (keys <-chan byte, stop func(), err error) {
	typed := make(chan byte)
	go sendKeys(terminal, typed)
	return typed, func() {}, nil
}

func sendKeys(in io.Reader, typed chan<- byte) {
	defer close(typed)
	var key [1]byte
	for {
		if _, err := in.Read(key[:]); err != nil {
			return
		}
		typed <- key[0]
	}
}
