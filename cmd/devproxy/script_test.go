package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"devproxy": scriptDevproxy,
		"listener": scriptListener,
		"server":   scriptServer,
		// up starts itself under this name.
		"service-guard": main,
	})
}

// TestScript runs every transcript of testdata/script. Each one has a HOME and
// a DEVPROXY_HOME of its own; `go test -run TestScript -update` rewrites the
// golden parts.
func TestScript(t *testing.T) {
	testscript.Run(t, scriptParams("../../testdata/script"))
}

// scriptParams are those of every transcript in a folder.
func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Values[forwardersKey{}] = forwarders{}
			env.Values[enginesKey{}] = &scriptEngine{}
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("DEVPROXY_HOME", env.WorkDir+"/home/.devproxy")
			env.Setenv("XDG_RUNTIME_DIR", env.WorkDir+"/run")
			env.Setenv("XDG_DATA_HOME", "")
			env.Setenv("NO_COLOR", "1")
			env.Defer(func() { stopAll(env.Getenv) })
			for _, dir := range []string{"/home", "/run"} {
				if err := os.Mkdir(env.WorkDir+dir, 0o700); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": scriptWaitfor,
			"httpget": scriptHTTPGet,
			"share":   scriptShare,
			"forward": scriptForward,
			"issue":   scriptIssue,
			"engine":  scriptContainers,
		},
	}
}
