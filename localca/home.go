package localca

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
)

// HomeVariable is the environment variable that names the folder [Home] returns.
const HomeVariable = "DEVPROXY_HOME"

// homeFolder is the name of the folder in the platform's data directory.
const homeFolder = "devproxy"

// Home is the absolute path of the folder for data that must outlive a run:
// $DEVPROXY_HOME, else devproxy in the platform's data directory. It need not
// exist. getenv is [os.Getenv] or a test's.
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
		return "", fmt.Errorf("%s is %q, which would be another folder in each folder it is used from; write an absolute path", HomeVariable, home)
	}
	return filepath.Clean(home), nil
}

// dataDir is where a program of goos keeps data for one user of one machine.
func dataDir(goos string, getenv func(string) string) (string, error) {
	if goos == "windows" {
		// Not the roaming AppData: a private key does not follow its user to
		// other machines.
		if dir := getenv("LocalAppData"); dir != "" {
			return dir, nil
		}
		return "", errors.New("neither " + HomeVariable + " nor LocalAppData is set; set " + HomeVariable + " to a folder of yours")
	}
	// A relative XDG path is to be ignored, says the XDG base directory
	// specification.
	if dir := getenv("XDG_DATA_HOME"); goos != "darwin" && filepath.IsAbs(dir) {
		return dir, nil
	}
	home := getenv("HOME")
	switch {
	case !filepath.IsAbs(home):
		return "", errors.New("neither " + HomeVariable + " nor HOME is set to an absolute path; set " + HomeVariable + " to a folder of yours")
	case goos == "darwin":
		return filepath.Join(home, "Library", "Application Support"), nil
	default:
		return filepath.Join(home, ".local", "share"), nil
	}
}
