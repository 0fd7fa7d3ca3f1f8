//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: pins processes, reads /proc and makes network namespaces, and so runs on Linux only")
	os.Exit(2)
}
