//go:build !windows

package answer

// vetPlatform has nothing to refuse where a name is just bytes.
func vetPlatform(string) (wrong string) { return "" }
