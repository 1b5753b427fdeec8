package localca

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
)

// HomeVariable is the environment variable with the folder that [Home] returns.
const HomeVariable = "DEVPROXY_HOME"

// homeFolder is the name of the folder in the platform's data directory.
const homeFolder = "devproxy"

// Home returns the absolute path of the folder for data that outlives a run:
// $DEVPROXY_HOME, otherwise devproxy in the platform's data directory. It may not exist
// yet. getenv is [os.Getenv] except in tests.
func Home(getenv func(string) string) (string, error) {
	home := getenv(HomeVariable)
	if home == "" {
		data, err := dataDir(runtime.GOOS, getenv)
		if err != nil {
			return "", err
		}
		return filepath.Join(data, homeFolder), nil
	}
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("%s is %q, which depends on the current folder; use an absolute path", HomeVariable, home)
	}
	return filepath.Clean(home), nil
}

// dataDir is where a program on goos keeps data for one user of one machine.
func dataDir(goos string, getenv func(string) string) (string, error) {
	if goos == "windows" {
		// Not the roaming AppData: a private key must not follow its user to other
		// machines.
		if dir := getenv("LocalAppData"); dir != "" {
			return dir, nil
		}
		return "", errors.New("neither " + HomeVariable + " nor LocalAppData is set; set " + HomeVariable + " to one of your folders")
	}
	// The XDG base directory specification says to ignore a relative path.
	if dir := getenv("XDG_DATA_HOME"); goos != "darwin" && filepath.IsAbs(dir) {
		return dir, nil
	}
	home := getenv("HOME")
	switch {
	case !filepath.IsAbs(home):
		return "", errors.New("neither " + HomeVariable + " nor HOME is set to an absolute path; set " + HomeVariable + " to one of your folders")
	case goos == "darwin":
		return filepath.Join(home, "Library", "Application Support"), nil
	default:
		return filepath.Join(home, ".local", "share"), nil
	}
}
