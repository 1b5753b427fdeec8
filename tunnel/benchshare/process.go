package main

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

// cpuOf is the processor time that a child has used, with its threads.
func cpuOf(c *child) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
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
func numberIn(c *child, file, line string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.cmd.Process.Pid, file))
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

// residentKB is the memory that a child has, in KB (proc_pid_status(5)).
func residentKB(c *child) (int64, error) { return numberIn(c, "status", "VmRSS:") }

// descriptorLimit is how many files a child may open.
func descriptorLimit(c *child) (int64, error) { return numberIn(c, "limits", "Max open files") }
