//go:build !windows

package answer

import (
	"os"
	"syscall"
)

// openFlags do not wait: where a FIFO took a file's place after it was looked
// at, a blocking open would hang until somebody writes to it.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK
