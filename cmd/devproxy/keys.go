package main

import (
	"io"
	"os"
)

// readKeys sends each byte typed on the terminal to the returned channel until
// reading fails, which closes it. The read itself cannot be interrupted: the
// goroutine ends with the process.
func readKeys(in io.Reader) (keys <-chan byte, restore func()) {
	terminal, ok := in.(*os.File)
	if !ok {
		return nil, func() {}
	}
	restore, err := singleKeys(terminal)
	if err != nil {
		return nil, func() {}
	}
	typed := make(chan byte)
	go sendKeys(terminal, typed)
	return typed, restore
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
