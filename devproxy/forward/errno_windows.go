package forward

import "syscall"

// Winsock's own numbers. Package syscall has its own inventions under these names,
// which no error carries. Not tried on a Windows machine.
const (
	errAfNoSupport   syscall.Errno = 10047
	errAddrNotAvail  syscall.Errno = 10049
	errNetUnreach    syscall.Errno = 10051
	errWriteToClosed syscall.Errno = 10053 // WSAECONNABORTED
	errConnReset     syscall.Errno = 10054
	errConnRefused   syscall.Errno = 10061
)
