package watch

import (
	"errors"

	"golang.org/x/sys/unix"
)

// File systems without a constant in golang.org/x/sys.
const (
	wslfsMagic   = 0x53464846 // drvfs of WSL 1
	vboxsfMagic  = 0x786f4256
	vmhgfsMagic  = 0xbacbacbc
	prlfsMagic   = 0x7c7c6673 // Parallels
	magicBitMask = 0xffffffff // the field is signed and of differing width
)

// silent reports whether changes in dir can happen without an event here: they
// are made on another machine, or on the host of this virtual one.
func silent(dir string) bool {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return false
	}
	switch uint64(st.Type) & magicBitMask {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
		unix.AFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC,
		unix.V9FS_MAGIC,       // WSL 2's /mnt/c, and QEMU
		unix.FUSE_SUPER_MAGIC, // virtiofs of Docker Desktop, sshfs
		wslfsMagic, vboxsfMagic, vmhgfsMagic, prlfsMagic:
		return true
	}
	return false
}

// limitFix is the command that raises the limit that err is about; empty when it
// is about none.
func limitFix(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return "echo fs.inotify.max_user_instances=1024 | sudo tee /etc/sysctl.d/60-inotify-instances.conf && sudo sysctl --system"
	case errors.Is(err, unix.ENOSPC):
		return "echo fs.inotify.max_user_watches=524288 | sudo tee /etc/sysctl.d/60-inotify-watches.conf && sudo sysctl --system"
	}
	return ""
}
