package main

import "os"

// Windows has no signals to reload with: nameward.yaml is followed, and there is `nameward reload`.
var handled = []os.Signal{os.Interrupt}

func isReload(os.Signal) bool  { return false }
func isRestart(os.Signal) bool { return false }
