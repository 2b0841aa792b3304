// Package socket reads and writes sockets that never block.
package socket

import (
	"io"
	"syscall"
	"unsafe"
)

// Read reads what has arrived into p, which is not empty. again tells that nothing has. The error is io.EOF
// where the other side has closed.
//
// The runtime is not told of the system call: it returns at once, and the telling costs as much as the call.
func Read(fd uintptr, p []byte) (n int, again bool, err error) {
	return call(syscall.SYS_READ, fd, p)
}

// Write writes of p, which is not empty, what there is room for. again tells that there is none.
func Write(fd uintptr, p []byte) (n int, again bool, err error) {
	return call(syscall.SYS_WRITE, fd, p)
}

func call(trap, fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			if n == 0 {
				return 0, false, io.EOF
			}
			return int(n), false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, errno
		}
	}
}

// Quiet tells whether a socket has nothing to be read, neither bytes nor an end.
func Quiet(fd uintptr) bool {
	var one [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one[0])), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return errno == syscall.EAGAIN
}
