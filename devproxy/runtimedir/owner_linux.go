package runtimedir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The layout of inet_diag_req_v2 and inet_diag_msg (linux/inet_diag.h), after the
// header of a netlink message.
const (
	diagRequest = 56
	diagReply   = 72
	replyState  = 1  // byte
	replyUID    = 64 // 32 bits
)

// clientUID asks the kernel for the owner of the socket at the other end (sock_diag(7)).
// It is unknown if this network has no such socket, as for a client that reached the
// port through the host of a virtual machine, and if the kernel cannot be asked.
func clientUID(local, remote netip.AddrPort) (uid uint32, known bool, err error) {
	reply, err := askDiag(diagQuestion(remote, local))
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, false, nil
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return 0, false, nil // in a sandbox
	case err != nil:
		return 0, false, fmt.Errorf("cannot find out whose connection it is: %w", err)
	}
	// Sockets whose process has closed them have no owner.
	return binary.NativeEndian.Uint32(reply[replyUID:]), reply[replyState] == unix.BPF_TCP_ESTABLISHED, nil
}

// diagQuestion asks for the socket with these addresses as it sees them.
func diagQuestion(own, other netip.AddrPort) []byte {
	m := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+diagRequest)
	native, network := binary.NativeEndian, binary.BigEndian
	native.PutUint32(m[0:], uint32(cap(m)))
	native.PutUint16(m[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(m[6:], unix.NLM_F_REQUEST)
	family := byte(unix.AF_INET)
	if own.Addr().Unmap().Is6() {
		family = unix.AF_INET6
	}
	m = append(m, family, unix.IPPROTO_TCP, 0, 0)
	m = native.AppendUint32(m, ^uint32(0)) // in any state
	m = network.AppendUint16(m, own.Port())
	m = network.AppendUint16(m, other.Port())
	for _, addr := range []netip.Addr{own.Addr().Unmap(), other.Addr().Unmap()} {
		var field [16]byte
		copy(field[:], addr.AsSlice())
		m = append(m, field[:]...)
	}
	m = native.AppendUint32(m, 0)          // any interface
	m = native.AppendUint64(m, ^uint64(0)) // no cookie
	return m
}

// askDiag sends one question and returns the reply, without its header.
func askDiag(question []byte) ([]byte, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(socket)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(socket, question, 0, kernel); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	buffer := make([]byte, 4096)
	n, from, err := unix.Recvfrom(socket, buffer, 0) // the kernel has answered within sendto
	if err != nil {
		return nil, os.NewSyscallError("recvfrom", err)
	}
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, errors.New("another process has answered for the kernel")
	}
	messages, err := syscall.ParseNetlinkMessage(buffer[:n])
	if err != nil || len(messages) == 0 {
		return nil, fmt.Errorf("the kernel's answer cannot be read: %w", err)
	}
	m := messages[0]
	switch {
	case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
		return nil, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
	case m.Header.Type == unix.SOCK_DIAG_BY_FAMILY && len(m.Data) >= diagReply:
		return m.Data, nil
	}
	return nil, fmt.Errorf("the kernel's answer is a message of type %d", m.Header.Type)
}

const showsPeers = true

// peerUID returns the user of the process at the other end of a unix socket.
func peerUID(fd int) (uint32, error) {
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return peer.Uid, nil
}
