package failure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestText: what went wrong, and with what, each said once.
func TestText(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	_, open := os.Open(missing)
	rename := os.Rename(missing, missing+"2")
	_, number := strconv.Atoi("x1")
	_, program := exec.LookPath("no-such-program")
	_, dial := new(net.Dialer).DialContext(context.Background(), "tcp", "127.0.0.1:1")
	path := &fs.PathError{Op: "fork/exec", Path: "/bin/x", Err: errors.New("exec format error")}
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("cannot read a certificate: %w", open), "cannot read a certificate: " + missing + ": no such file or directory"},
		{fmt.Errorf("cannot find the folder %s: %w", missing, open), "cannot find the folder " + missing + ": no such file or directory"},
		{fmt.Errorf("cannot write: %w", rename), "cannot write: " + missing + "2: no such file or directory"},
		{fmt.Errorf("two: %w", errors.Join(path, number)), "two: /bin/x: exec format error\n\"x1\" is not a number"},
		{fmt.Errorf("cannot run it: %w", program), "cannot run it: no-such-program is not installed"},
		{fmt.Errorf("cannot connect: %w", dial), "cannot connect: 127.0.0.1:1: connection refused"},
		{errors.New("not wrapped: " + open.Error()), "not wrapped: " + open.Error()},
		{errors.New("nothing of Go's: open it"), "nothing of Go's: open it"},
	} {
		got := Text(test.err)
		if got = strings.ReplaceAll(got, "The system cannot find the file specified.", "no such file or directory"); got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.err, got, test.want)
		}
	}
}
