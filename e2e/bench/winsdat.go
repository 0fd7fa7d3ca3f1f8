package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// writeWinsDat writes a WINS database as Samba's nmbd keeps it, with so many unique names of H nodes, each
// with the address that addr gives it.
func writeWinsDat(path string, names int, addr func(i int) netip.Addr) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	expiry := time.Now().Add(registrationTTL * time.Second).Unix()
	fmt.Fprint(w, "VERSION 1 0\n")
	for i := range names {
		base, suffix, _ := strings.Cut(strings.TrimSuffix(netbiosText(i), ">"), "<")
		fmt.Fprintf(w, "\"%s#%s\" %d %s 64R\n", base, suffix, expiry, addr(i))
	}
	return errors.Join(w.Flush(), f.Close())
}
