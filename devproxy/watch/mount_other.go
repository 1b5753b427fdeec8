//go:build !linux && !darwin

package watch

// silent is false: Windows gives events for network shares too, and what it
// does not give the safety glance finds. (Compiled, not tried, on Windows.)
func silent(string) bool { return false }

// limitFix is empty: no limit is known that a user could raise.
func limitFix(error) string { return "" }
