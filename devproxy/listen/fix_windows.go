package listen

import "fmt"

// permissionFix shows the ranges Windows keeps for itself: an ordinary user
// may bind any other port. Not tried on Windows.
func permissionFix(uint16) string {
	return "netsh interface ipv4 show excludedportrange protocol=tcp"
}

func showFix(port uint16) string {
	return fmt.Sprintf("netstat -ano -p TCP | findstr LISTENING | findstr :%d", port)
}
