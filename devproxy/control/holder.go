package control

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/devproxy/devproxy/localca"
)

// maxHolder bounds a holder file: a pid, a time and a path.
const maxHolder = 64 << 10

// Holder is who runs a folder. It is kept in a file beside the lock and not in
// it, because on Windows nobody else can read a locked file.
type Holder struct {
	PID     int       `json:"pid"`
	Folder  string    `json:"folder"`
	Started time.Time `json:"started"`
}

// HeldError says that another process runs the folder.
type HeldError struct {
	// Holder is that process. PID is 0 when it has not said who it is.
	Holder Holder
}

func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("devproxy already runs for %s", e.Holder.Folder)
	}
	return fmt.Sprintf("devproxy already runs for %s (pid %d)", e.Holder.Folder, e.Holder.PID)
}

func writeHolder(base string, holder Holder) error {
	text, err := json.Marshal(holder)
	if err != nil {
		return err
	}
	if err := localca.WriteFile(base+holderSuffix, text, 0o600); err != nil {
		return fmt.Errorf("cannot write who runs here to %s: %w", base+holderSuffix, err)
	}
	return nil
}

// readHolder is who said last that it holds the lock. ok is false when nobody
// did, or only a process that is gone.
func readHolder(base string) (holder Holder, ok bool) {
	f, err := os.Open(base + holderSuffix)
	if err != nil {
		return Holder{}, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHolder))
	if err != nil || json.Unmarshal(text, &holder) != nil || !alive(holder.PID) {
		return Holder{}, false
	}
	return holder, true
}
