package control

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// List is every instance of this user that answers, by folder.
func List(runtimeDir string) ([]Holder, error) {
	if err := checkDir(runtimeDir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	// Not a pattern of the whole path, which may have "[" in it.
	files, err := fs.Glob(os.DirFS(runtimeDir), "*"+holderSuffix)
	if err != nil {
		return nil, err
	}
	var running []Holder
	for _, name := range files {
		base := filepath.Join(runtimeDir, strings.TrimSuffix(name, holderSuffix))
		client, err := dial(base)
		if err == nil && client.holder.PID != 0 {
			running = append(running, client.holder)
		}
	}
	slices.SortFunc(running, func(a, b Holder) int { return cmp.Compare(a.Folder, b.Folder) })
	return running, nil
}
