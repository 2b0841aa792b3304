package main

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// alarm wakes who waits when it is due, by the kernel's own timer. Go's timers are up to a millisecond late in
// a process that is idle, because its poll counts in milliseconds: as much as is to be measured.
type alarm struct {
	fd   uintptr
	file *os.File
}

func newAlarm() (*alarm, error) {
	const monotonic = 1 // CLOCK_MONOTONIC
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("timerfd_create", errno)
	}
	return &alarm{fd, os.NewFile(fd, "timerfd")}, nil
}

func (a *alarm) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	once := [2]syscall.Timespec{1: syscall.NsecToTimespec(int64(d))}
	if _, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, a.fd, 0, uintptr(unsafe.Pointer(&once)), 0, 0, 0); errno != 0 {
		return os.NewSyscallError("timerfd_settime", errno)
	}
	var expired [8]byte
	_, err := a.file.Read(expired[:])
	return err
}

func (a *alarm) close() { _ = a.file.Close() }
