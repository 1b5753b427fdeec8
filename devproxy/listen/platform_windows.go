package listen

import (
	"fmt"
)

// This file is compiled, not tried, on Windows.

// permissionFix shows the ranges that Windows reserves: an ordinary user
// may bind any other port.
func permissionFix(uint16) string {
	return "netsh interface ipv4 show excludedportrange protocol=tcp"
}

func showFix(port uint16) string {
	return fmt.Sprintf("netstat -ano -p TCP | findstr LISTENING | findstr :%d", port)
}
