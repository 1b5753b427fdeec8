package keyboard

import "os"

// readTerminal leaves the Windows console unchanged: a key counts once Enter is
// pressed. The console's mode for single keys also takes Ctrl-C away, and could
// not be tested. The read cannot be interrupted: the goroutine ends with the
// process.
func readTerminal(terminal *os.File, _ func()) (keys <-chan byte, stop func(), err error) {
	typed := make(chan byte)
	go func() {
		defer close(typed)
		var key [1]byte
		for {
			if _, err := terminal.Read(key[:]); err != nil {
				return
			}
			typed <- key[0]
		}
	}()
	return typed, func() {}, nil
}
