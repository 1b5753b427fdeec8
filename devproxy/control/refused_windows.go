package control

import "golang.org/x/sys/windows"

// refused is the error of dialling a socket whose process is gone. (Compiled,
// not tried, on Windows.)
const refused = windows.WSAECONNREFUSED
