//go:build !linux && !darwin

package watch

// silent is false: Windows sends events for network shares too, and polling finds
// the rest. It is compiled, not tried, on Windows.
func silent(string) bool { return false }

// limitFix is empty: no limit is known that a user could raise.
func limitFix(error) string { return "" }
