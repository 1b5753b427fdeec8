package answer

import (
	"os"
	"strings"
)

// openFlags need nothing else here: named pipes are not in folders.
const openFlags = os.O_RDONLY

// vetPlatform refuses what makes two names one file on Windows: an alternate
// data stream ("a::$DATA"), and dots and spaces at the end, which are dropped.
// Short names (ENV~1) are found when the name is resolved. It has not been tried
// on Windows.
func vetPlatform(segment string) (wrong string) {
	if strings.Contains(segment, ":") || strings.TrimRight(segment, ". ") != segment {
		return "has a segment that is not a plain file name here"
	}
	return ""
}
