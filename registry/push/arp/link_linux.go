package arp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// card is an interface with a packet socket, packet(7), which receives nothing.
type card struct {
	fd    int
	iface *net.Interface
}

func openLink(name string) (link, error) {
	iface, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("interface %s: %w", name, err)
	case len(iface.HardwareAddr) != 6:
		return nil, fmt.Errorf("interface %s has no Ethernet address to announce", name)
	case iface.Flags&net.FlagUp == 0:
		return nil, fmt.Errorf("interface %s is down", name)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("announcing addresses needs root or CAP_NET_RAW: %w", err)
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &card{fd, iface}, nil
}

func (c *card) close() error { return unix.Close(c.fd) }

func (c *card) announce(addr netip.Addr) error {
	for _, frame := range frames(c.iface.HardwareAddr, addr, addr.Is6() && isRouter(c.iface.Name)) {
		// The hardware address is in the frame.
		if err := unix.Sendto(c.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: c.iface.Index}); err != nil {
			return fmt.Errorf("announcing %s on %s: %w", addr, c.iface.Name, os.NewSyscallError("sendto", err))
		}
	}
	return nil
}

// isRouter reports whether the host forwards what comes in on the interface.
func isRouter(name string) bool {
	text, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf", name, "forwarding"))
	return err == nil && !bytes.Equal(bytes.TrimSpace(text), []byte("0"))
}

func (c *card) has(addrs []netip.Addr) ([]error, error) {
	table, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil, os.NewSyscallError("netlink RTM_GETADDR", err)
	}
	have, err := configured(table, c.iface.Index)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(addrs))
	for i, a := range addrs {
		flags, ok := have[a]
		switch {
		case !ok:
			errs[i] = fmt.Errorf("%s is not on %s of this host, so it is not announced", a, c.iface.Name)
		case flags&unix.IFA_F_DADFAILED != 0:
			errs[i] = fmt.Errorf("another host has %s, %s does not use it (duplicate address detection)", a, c.iface.Name)
		case flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0:
			errs[i] = fmt.Errorf("%s still asks whether another host has %s (duplicate address detection)", c.iface.Name, a)
		}
	}
	return errs, nil
}

// configured lists the addresses of an interface with their flags, out of what rtnetlink(7) tells.
func configured(table []byte, index int) (map[netip.Addr]uint8, error) {
	msgs, err := syscall.ParseNetlinkMessage(table)
	if err != nil {
		return nil, fmt.Errorf("the kernel's list of addresses: %w", err)
	}
	have := map[netip.Addr]uint8{}
	for _, m := range msgs {
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg || int(binary.NativeEndian.Uint32(m.Data[4:])) != index {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, fmt.Errorf("the kernel's list of addresses: %w", err)
		}
		if a, ok := local(attrs); ok {
			have[a] = m.Data[2]
		}
	}
	return have, nil
}

// local is the address of this host: IFA_LOCAL, for IFA_ADDRESS may be that of the other end; IPv6 mostly has only that.
func local(attrs []syscall.NetlinkRouteAttr) (addr netip.Addr, ok bool) {
	for _, a := range attrs {
		if t := a.Attr.Type; t == syscall.IFA_LOCAL || t == syscall.IFA_ADDRESS && !ok {
			addr, ok = netip.AddrFromSlice(a.Value)
			if t == syscall.IFA_LOCAL {
				break
			}
		}
	}
	return addr, ok
}
