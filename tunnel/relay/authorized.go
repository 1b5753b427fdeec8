package relay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// keyType is the first word of a key's line, as in SSH's files.
const keyType = "devproxy-ed25519"

// revokedWord is the first word of a line that bars a key, whoever enrols it.
const revokedWord = "revoked"

// maxKeysFile bounds an authorized_keys file, in bytes: 50000 keys.
const maxKeysFile = 4 << 20

// keysFile is what an authorized_keys file says.
type keysFile struct {
	admitted map[Key]bool
	revoked  map[Key]bool
}

// KeysError is a line of an authorized_keys file that cannot be read.
type KeysError struct {
	Path   string
	Line   int
	Reason string
}

func (e *KeysError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Reason) }

// CheckKeysFile reports what is wrong with the authorized_keys file at path:
// a *KeysError, or that it cannot be read.
func CheckKeysFile(path string) error {
	text, err := readKeysFile(path)
	if err != nil {
		return err
	}
	_, err = parseKeys(path, text)
	return err
}

func readKeysFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the authorized keys: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the authorized keys: %w", err)
	}
	if len(text) > maxKeysFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxKeysFile)
	}
	return text, nil
}

// parseKeys reads one key a line, "devproxy-ed25519 BASE64 comment" or BASE64
// alone; "revoked" in front bars it. Empty lines and those with # are left out.
func parseKeys(path string, text []byte) (keysFile, error) {
	file := keysFile{map[Key]bool{}, map[Key]bool{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	var wrong []error
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		into := file.admitted
		if rest, ok := strings.CutPrefix(line, revokedWord+" "); ok {
			line, into = strings.TrimSpace(rest), file.revoked
		}
		key, err := parseKeyLine(line)
		if err != nil {
			wrong = append(wrong, &KeysError{path, n, err.Error()})
			continue
		}
		into[key] = true
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, fmt.Errorf("%s: %w", path, err))
	}
	for key := range file.revoked {
		delete(file.admitted, key)
	}
	return file, errors.Join(wrong...)
}

func parseKeyLine(line string) (Key, error) {
	words := strings.Fields(line)
	if words[0] == keyType {
		words = words[1:]
	}
	if len(words) == 0 {
		return Key{}, fmt.Errorf("no key follows %q", keyType)
	}
	key, err := ParseKey(words[0])
	if err != nil {
		return Key{}, fmt.Errorf(`%w; write "%s BASE64 comment", as devproxy relay login prints it`, err, keyType)
	}
	return key, nil
}
