package service

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Verb is the hidden verb of devproxy that runs Guard.
const Verb = "guard"

// killEvery is between two rounds of killing what has not ended yet. Each finds what was
// started since the one before.
const killEvery = 20 * time.Millisecond

// order is the command of a guard: the first line on its standard input.
type order struct {
	Path string
	Args []string
	Dir  string
	Env  []string
	Stop time.Duration
}

// The words that may follow the order, one per line. The end of the input is wordStop.
const (
	wordStop = "stop"
	wordKill = "kill"
)

// note is what a guard reports, one JSON object per line on its standard output.
type note struct {
	PID  int   `json:"pid,omitempty"`  // the command has started
	Exit *Exit `json:"exit,omitempty"` // it has ended, or could not be started
	// Gone says that none of its processes is left. It is the last note.
	Gone bool `json:"gone,omitempty"`
}

// Guard runs one command, as its standard input says, and returns when nothing of it is
// left. It writes notes to its standard output; the command gets its standard error as
// output, and no input. When the input ends, which is when devproxy ends for any
// reason, when the command ends, or at SIGTERM, SIGINT or SIGHUP, it ends the command
// with everything that it has started: it sends SIGTERM, and kills what is left after
// the command's time.
//
// What it reaches, by system:
//   - Linux: every descendant. It is their reaper (prctl(2), PR_SET_CHILD_SUBREAPER), so
//     those that have left the process group or the session, or have lost their parent,
//     become its children. When the guard is killed, the kernel kills the command
//     (PR_SET_PDEATHSIG), and devproxy the rest. When both are killed at once, only
//     descendants of the command remain. The guard has a name of its own
//     (service-guard), so that killing every devproxy by name spares it.
//   - macOS and BSD: the process group. Processes that have left it remain. Not tried.
//   - Windows: the job. The kernel ends it with the guard. Not tried.
func Guard() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The command must be ended even when nothing reads the report.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	notes, input := json.NewEncoder(os.Stdout), json.NewDecoder(os.Stdin)
	var o order
	if err := input.Decode(&o); err != nil {
		fmt.Fprintln(os.Stderr, "devproxy runs this verb itself, for the commands of services")
		return 2
	}
	t, err := startTree(&exec.Cmd{Path: o.Path, Args: o.Args, Dir: o.Dir, Env: o.Env, Stdout: os.Stderr, Stderr: os.Stderr})
	if err != nil {
		_ = notes.Encode(note{Exit: &Exit{Error: startError(o, err)}})
		_ = notes.Encode(note{Gone: true})
		return 0
	}
	_ = notes.Encode(note{PID: t.leader})
	words := make(chan string)
	go readWords(input, words)
	killing, exited := false, false
	ended := func(exit Exit) {
		exited = true
		_ = notes.Encode(note{Exit: &exit})
	}
	select {
	case exit := <-t.ended:
		ended(exit)
	case word := <-words:
		killing = word == wordKill
	case <-signals:
	}
	t.terminate()
	patience, tick := time.After(o.Stop), time.NewTicker(killEvery)
	defer tick.Stop()
	for reaped := t.reaped; !t.gone(); {
		select {
		case exit := <-t.ended:
			ended(exit)
		case word := <-words:
			killing = killing || word == wordKill
		case <-patience:
			killing = true
		case <-reaped:
			reaped = nil
		case <-tick.C:
		}
		if killing && !t.kill() {
			break // what is left belongs to another user
		}
	}
	if !exited {
		select {
		case exit := <-t.ended:
			ended(exit)
		default:
			ended(Exit{Error: "the command runs as another user, so that it can't be ended"})
		}
	}
	_ = notes.Encode(note{Gone: true})
	return 0
}

// readWords passes the words of the input on, and wordStop at its end. It ends with the
// process.
func readWords(input *json.Decoder, words chan<- string) {
	for {
		var word string
		if err := input.Decode(&word); err != nil {
			words <- wordStop
			return
		}
		words <- word
	}
}

// startError says why a command did not start.
func startError(o order, err error) string {
	reason := err
	if failed, ok := errors.AsType[*fs.PathError](err); ok { // "fork/exec /path: exec format error"
		reason = failed.Err
	}
	return fmt.Sprintf("%s: %v", cmp.Or(o.Args[0], o.Path), reason)
}
