//go:build profile

package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// profileFile names the file that a CPU profile is written to: of all from the start until SIGUSR1. Only a
// build with the tag "profile" has this: make profile makes one, the image never.
const profileFile = "OLLAMAMAX_CPU_PROFILE"

func init() {
	path := os.Getenv(profileFile)
	if path == "" {
		return
	}
	file, err := os.Create(path + ".part")
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, profileFile+":", err)
		os.Exit(1)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGUSR1)
	go func() {
		<-end
		pprof.StopCPUProfile()
		err := file.Close()
		if err == nil {
			err = os.Rename(file.Name(), path) // whole, or not there
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, profileFile+":", err)
		}
	}()
}
