package mirror

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// reserved is what an address is that no pipeline in a sandbox may be led to, ""
// for any other: what answers there trusts whoever can reach it. Addresses that
// carry an IPv4 address are judged by that.
func reserved(a netip.Addr) (what string) {
	a = carried(a.WithZone(""))
	switch {
	case a.IsLoopback():
		return "a loopback address"
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0: // Linux connects 0.0.0.0 to itself
		return "an address of this machine"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a multicast address"
	}
	for _, m := range metadata {
		if a == m {
			return "the address of a cloud's metadata"
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return "" // no list: the kernel has none of its own to show
	}
	for _, o := range own {
		if p, err := netip.ParsePrefix(o.String()); err == nil && carried(p.Addr()) == a {
			return "an address of this machine"
		}
	}
	return ""
}

// metadata are addresses that clouds serve a machine's credentials at and that are
// not link-local: AWS over IPv6, Alibaba Cloud, Azure (each from its manual).
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"),
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	compatible = netip.MustParsePrefix("::/96")        // RFC 4291, 2.5.5.1
	sixToFour  = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// carried is the IPv4 address inside an IPv6 address, or the address itself.
func carried(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is4() {
		return a
	}
	b := a.As16()
	switch {
	case a == netip.IPv6Loopback(), a == netip.IPv6Unspecified():
		return a
	case nat64.Contains(a), compatible.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// addressOf is the address that a host is written as; ok is false for a name.
// Spellings that some programs read as an address and others as a name (decimal,
// octal, hexadecimal, fewer than four parts) are errors.
func addressOf(host string) (a netip.Addr, ok bool, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true, nil
	}
	if strings.HasSuffix(host, ".") {
		return a, false, fmt.Errorf("the host %s ends with a dot", host)
	}
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	hex, isHex := strings.CutPrefix(last, "0x")
	if strings.Trim(last, "0123456789") == "" || isHex && strings.Trim(hex, "0123456789abcdef") == "" {
		return a, false, fmt.Errorf("the host %s is a number: write the address in four decimal parts", host)
	}
	if strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "" {
		return a, false, fmt.Errorf("the host %s holds characters that no host's name has", host)
	}
	return a, false, nil
}

// reservedHost is why a host must not be connected to as far as its spelling
// tells, "" if nothing does.
func reservedHost(host string) (why string) {
	a, isAddress, err := addressOf(host)
	if err != nil {
		return err.Error()
	}
	if isAddress {
		if what := reserved(a); what != "" {
			return host + " is " + what
		}
		return ""
	}
	if name := strings.ToLower(host); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return host + " is this machine"
	}
	return ""
}

// lookUp is the addresses of a host, in the order in which they should be tried.
func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, ok, err := addressOf(host); ok || err != nil {
		return []netip.Addr{a}, err
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range list {
		list[i] = list[i].Unmap()
	}
	return list, err
}
