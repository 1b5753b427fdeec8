package plan

import (
	"path/filepath"
	"strings"
)

// Within reports whether path is folder or lies below it. Both are absolute and
// free of links.
func Within(path, folder string) bool {
	below, err := filepath.Rel(folder, path)
	return err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(filepath.Separator))
}
