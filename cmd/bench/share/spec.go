package share

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// specVariable has the work of a child that is this program again.
const specVariable = "BENCH_SHARE_SPEC"

// spec is what a child does.
type spec struct {
	Role string `json:"role"`
	// Addr is the address and port that one child listens on and the other dials.
	Addr string `json:"addr"`
	// Tune is the congestion control that the tunnel asks for.
	Tune string `json:"tune"`
	// Lanes is how many sockets the probe has.
	Lanes int   `json:"lanes"`
	Rows  []row `json:"rows"`
	// Profile is the file of a CPU profile; empty for none.
	Profile string `json:"profile"`
	Verbose bool   `json:"verbose"`
	// Visitors' part: what they open, as whom, and whom they trust.
	URL  string `json:"url"`
	Root string `json:"root"`
	Dial string `json:"dial"` // address and port instead of the URL's
	// Patient visitors wait until they get a first answer.
	Patient bool `json:"patient"`
	// Sessions is how many sleeping shares there are.
	Sessions int `json:"sessions"`
}

// message is a line that a child writes.
type message struct {
	Ready  string  `json:"ready,omitempty"` // an address, when it listens
	Result *result `json:"result,omitempty"`
}

func tell(m message) error { return json.NewEncoder(os.Stdout).Encode(m) }

// runRole does what the parent asks for.
func runRole(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fmt.Errorf("read %s: %w", specVariable, err)
	}
	stop, err := s.profile()
	if err != nil {
		return err
	}
	role := map[string]func(spec) error{
		"tunnel-load": tunnelLoad, "tunnel-serve": tunnelServe,
		"probe-load": probeLoad, "probe-serve": probeServe,
		"upstream": serveUpstream, "visitors": visit, "sleepers": sleep,
	}[s.Role]
	if role == nil {
		return fmt.Errorf("there is no role %q", s.Role)
	}
	return errors.Join(role(s), stop())
}

func (s spec) profile() (stop func() error, err error) {
	if s.Profile == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(filepath.Dir(s.Profile), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(s.Profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
