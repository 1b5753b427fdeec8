// Package keyboard reads single keys of a terminal.
package keyboard

import (
	"io"
	"os"
)

// Read sends each byte typed on the terminal to the returned channel until reading
// fails, which closes it. stop ends the reading and restores the terminal. Without a
// terminal, keys is nil and stop does nothing. beforeSuspend is called when Ctrl-Z is
// about to stop the process.
func Read(in io.Reader, beforeSuspend func()) (keys <-chan byte, stop func()) {
	if terminal, ok := in.(*os.File); ok {
		if keys, stop, err := readTerminal(terminal, beforeSuspend); err == nil {
			return keys, stop
		}
	}
	return nil, func() {}
}
