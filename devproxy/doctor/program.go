package doctor

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca/trust"
)

const (
	// clientTimeout bounds one program that is run.
	clientTimeout = 10 * time.Second
	// maxOutput bounds the output of a program that is read.
	maxOutput = 64 << 10
)

// programs is where the programs that are asked are found: nothing of the project.
func (s *Subject) programs() programs.Path {
	if s.Project != nil {
		return programs.Here(append(slices.Clone(s.Avoid), s.Project.Root)...)
	}
	return programs.Here(s.Avoid...)
}

// Machine returns this machine for its trust stores, which find no program of the
// project's folder either.
func (s *Subject) Machine() trust.Machine { return trust.Here(s.programs()) }

// run runs a program without a shell and returns its standard output, even when it
// fails. When it has not ended within clientTimeout, it is killed with its children.
func (s *Subject) run(ctx context.Context, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = rootFolder() // programs look for modules and settings in their folder
	cmd.Env = s.programs().Environment(os.Environ())
	cmd.WaitDelay = time.Second
	endWithChildren(cmd)
	var output limited
	cmd.Stdout, cmd.Stderr = &output, io.Discard
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.DeadlineExceeded
	}
	return output.Bytes(), err
}

// rootFolder is a folder in which only root can put files.
func rootFolder() string {
	if root := os.Getenv("SystemRoot"); filepath.VolumeName(root) != "" {
		return root // Windows
	}
	return "/"
}

// limited keeps the first maxOutput bytes that are written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), maxOutput-l.Len())])
	return len(p), nil
}

// within reports whether path, links followed, is in folder or below it. A path that
// cannot be followed is taken to be.
func within(folder, path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true
	}
	rel, err := filepath.Rel(folder, real)
	return err == nil && filepath.IsLocal(rel)
}
