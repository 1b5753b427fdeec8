package hostsfile

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// copyAttributes gives to the extended attributes of from: the label of SELinux, ACLs.
func copyAttributes(from, to *os.File) error {
	size, err := unix.Flistxattr(int(from.Fd()), nil)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil || size == 0 {
		return err
	}
	list := make([]byte, size)
	if size, err = unix.Flistxattr(int(from.Fd()), list); err != nil {
		return err
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(list[:size], []byte{0}), []byte{0}) {
		if len(name) == 0 {
			continue
		}
		length, err := unix.Fgetxattr(int(from.Fd()), string(name), nil)
		if err != nil {
			return err
		}
		value := make([]byte, length)
		if length, err = unix.Fgetxattr(int(from.Fd()), string(name), value); err != nil {
			return err
		}
		if err := unix.Fsetxattr(int(to.Fd()), string(name), value[:length], 0); err != nil {
			return err
		}
	}
	return nil
}
