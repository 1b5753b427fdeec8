// Package hostsfile keeps a block of lines in the hosts file, one block for each user of
// the machine: the names that the user's projects serve, with the loopback addresses.
//
// Everything outside the block is the user's and stays as it is, byte for byte. A block
// whose marks were edited is an error that names the line, and nothing is written.
package hostsfile

import (
	"bytes"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

const (
	// MaxNames bounds the names of one block. Programs that read the hosts file read
	// all of it for every lookup.
	MaxNames = 1000
	// maxFile bounds the size of a hosts file. Files that block advertising have some
	// megabytes.
	maxFile = 64 << 20
)

// addresses are those of every name. A browser or a program tries both.
var addresses = []string{"127.0.0.1", "::1"}

// The marks around a block. The user's id is in both.
const (
	markStart = "# devproxy: begin of the names of user "
	markEnd   = "# devproxy: end of the names of user "
	// unended follows the id in the first mark when the line above it had no line
	// ending, so that Edit can restore that.
	unended = ", after a line without its ending"
	// advice is the second line of a block.
	advice = "# written by devproxy names sync, removed by devproxy names clean"
)

// BlockError is a block that Edit cannot replace: someone has changed its marks, or has put
// lines into it.
type BlockError struct {
	Line    int // from 1
	Problem string
}

// Error is "line 12: a second block of user 1000 begins here".
func (e *BlockError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// block is where a user's block is in a text.
type block struct {
	start, end int    // of its bytes, with the line endings
	ending     string // of its first line
	unended    bool   // the line above had no line ending
	names      []string
}

// Edit returns text with the block of user replaced by one with these names. Without
// names it removes the block. The names must have passed [Check]. The error is a
// *BlockError.
func Edit(text []byte, user string, names []string) ([]byte, error) {
	names = sorted(names)
	old, found, err := find(text, user)
	if err != nil {
		return nil, err
	}
	switch {
	case !found && len(names) == 0:
		return text, nil
	case !found:
		start := len(text)
		ending := lineEnding(text)
		needs := start > 0 && text[start-1] != '\n'
		added := render(user, names, ending, needs)
		if needs {
			added = append([]byte(ending), added...)
		}
		return slices.Concat(text, added), nil
	case len(names) > 0:
		added := render(user, names, old.ending, old.unended)
		return slices.Concat(text[:old.start], added, text[old.end:]), nil
	}
	before, after := text[:old.start], text[old.end:]
	if old.unended {
		before, after = restoreEnding(before, after, old.ending)
	}
	return slices.Concat(before, after), nil
}

// restoreEnding removes the line ending that was added above a removed block. If other
// users' blocks follow, the first of them notes the same now. If other lines follow, they
// need the line ending.
func restoreEnding(before, after []byte, ending string) ([]byte, []byte) {
	if len(after) == 0 {
		return bytes.TrimSuffix(before, []byte(ending)), nil
	}
	first := after[:bytes.IndexByte(after, '\n')+1]
	mark := bytes.TrimRight(first, "\r\n")
	if bytes.HasPrefix(mark, []byte(markStart)) && !bytes.HasSuffix(mark, []byte(unended)) {
		after = slices.Concat(mark, []byte(unended), after[len(mark):])
	}
	return before, after
}

// Names returns the names in the block of user, sorted; nil without a block.
func Names(text []byte, user string) ([]string, error) {
	old, _, err := find(text, user)
	return old.names, err
}

// find finds the block of user, and checks that nothing in it would be lost.
func find(text []byte, user string) (found block, ok bool, err error) {
	const outside, inside, after = 0, 1, 2
	state, number, at := outside, 0, 0
	for line := range bytes.Lines(text) {
		number++
		next := at + len(line)
		content := string(bytes.TrimRight(line, "\r\n"))
		fault := func(format string, args ...any) error {
			return &BlockError{number, fmt.Sprintf(format, args...)}
		}
		starts := content == markStart+user || content == markStart+user+unended
		ends := content == markEnd+user
		switch {
		case starts && state == inside:
			return block{}, false, fault("a block of user %s begins here, and the one above has no end", user)
		case starts && state == after:
			return block{}, false, fault("a second block of user %s begins here", user)
		case starts:
			state, found.start, found.unended = inside, at, strings.HasSuffix(content, unended)
			found.ending = string(line[len(content):])
		case ends && state != inside:
			return block{}, false, fault("the block of user %s ends here, and its beginning is missing", user)
		case ends:
			state, found.end = after, next
		case state == inside:
			names, own := readLine(content)
			if !own {
				return block{}, false, fault("this line is in the block of user %s, and devproxy did not write it", user)
			}
			found.names = append(found.names, names...)
		}
		at = next
	}
	if state == inside {
		line := 1 + bytes.Count(text[:found.start], []byte("\n"))
		return block{}, false, &BlockError{line, fmt.Sprintf("the block of user %s begins here and has no end", user)}
	}
	found.names = sorted(found.names)
	return found, state == after, nil
}

// readLine returns the name of a line in a block; own is false for a line that devproxy
// does not write there.
func readLine(content string) (names []string, own bool) {
	if content == advice {
		return nil, true
	}
	address, name, _ := strings.Cut(content, " ")
	if !slices.Contains(addresses, address) || faultOf(name) != "" {
		return nil, false
	}
	return []string{name}, true
}

// render is a block. One name per line: some resolvers bound the names of a line.
func render(user string, names []string, ending string, unendedLine bool) []byte {
	var text bytes.Buffer
	text.WriteString(markStart + user)
	if unendedLine {
		text.WriteString(unended)
	}
	text.WriteString(ending + advice + ending)
	for _, address := range addresses {
		for _, name := range names {
			text.WriteString(address + " " + name + ending)
		}
	}
	text.WriteString(markEnd + user + ending)
	return text.Bytes()
}

// lineEnding is the one that text uses last; the system's if it has none.
func lineEnding(text []byte) string {
	switch i := bytes.LastIndexByte(text, '\n'); {
	case i < 0:
		return systemEnding
	case i > 0 && text[i-1] == '\r':
		return "\r\n"
	}
	return "\n"
}

func sorted(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// Entry is a name and its address on a line of a hosts file.
type Entry struct {
	Line    int    // from 1
	Name    string // in lower case, without a final dot
	Address string
}

// Others returns the entries that give one of these names an address other than
// loopback's. Most programs use the first line that has a name.
func Others(text []byte, names []string) []Entry {
	var all []Entry
	for entry := range Entries(text) {
		if addr, err := netip.ParseAddr(entry.Address); err == nil && !addr.Unmap().IsLoopback() && slices.Contains(names, entry.Name) {
			all = append(all, entry)
		}
	}
	return all
}

// Entries iterates over every name that a line of text gives an address.
func Entries(text []byte) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		number := 0
		for line := range bytes.Lines(text) {
			number++
			content, _, _ := strings.Cut(string(line), "#")
			fields := strings.Fields(content)
			for i := 1; i < len(fields); i++ {
				if !yield(Entry{number, strings.ToLower(strings.TrimSuffix(fields[i], ".")), fields[0]}) {
					return
				}
			}
		}
	}
}
