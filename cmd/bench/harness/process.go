package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat, on every Linux that Go
// runs on (sysconf(3) _SC_CLK_TCK).
const clockTick = 10 * time.Millisecond

// CPU is the processor time that the child has used, all of its threads
// together. It is exact to 10 ms. The processes that the child started count
// only when they are named in pids.
func (c *Child) CPU(pids ...int) (time.Duration, error) {
	total := time.Duration(0)
	for _, pid := range append(pids, c.PID()) {
		used, err := c.cpuOf(pid)
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

func (c *Child) cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("what %s uses: %w", c.name, err)
	}
	// The second field is the program's name, which may have blanks in it.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	const user, system = 14 - 3, 15 - 3 // proc_pid_stat(5) counts from 1
	if len(fields) <= system {
		return 0, fmt.Errorf("what %s uses: %q", c.name, text)
	}
	u, err := strconv.Atoi(fields[user])
	if err != nil {
		return 0, err
	}
	s, err := strconv.Atoi(fields[system])
	return time.Duration(u+s) * clockTick, err
}

// numberIn is the first number on a line of a child's file in /proc.
func (c *Child) numberIn(pid int, file, line string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, fmt.Errorf("what %s has: %w", c.name, err)
	}
	for row := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(row, line); ok && len(strings.Fields(rest)) > 0 {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("what %s has: there is no line %q in its %s", c.name, line, file)
}

// ResidentKB is the resident memory of the child and of pids, in KB
// (proc_pid_status(5)).
func (c *Child) ResidentKB(pids ...int) (int64, error) {
	total := int64(0)
	for _, pid := range append(pids, c.PID()) {
		kb, err := c.numberIn(pid, "status", "VmRSS:")
		if err != nil {
			return 0, err
		}
		total += kb
	}
	return total, nil
}

// DescriptorLimit is how many files the child may open.
func (c *Child) DescriptorLimit() (int64, error) {
	return c.numberIn(c.PID(), "limits", "Max open files")
}
