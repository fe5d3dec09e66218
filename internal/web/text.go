package web

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// escapes are the terminal sequences that programs colour their output with
// (ECMA-48 CSI, and OSC with its two endings).
var escapes = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)|[@-Z\\\\-_])")

// readable makes a line of output fit for a page: no terminal sequences, and of
// a line that was written over (a progress bar) its last state.
func readable(line []byte) string {
	s := strings.ToValidUTF8(string(line), "�")
	s = strings.TrimRight(escapes.ReplaceAllString(s, ""), "\r")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	return s
}

func took(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// listen opens the address; a path is a Unix socket, for a proxy on the same
// box.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w; choose another address with --listen or [web] listen", err)
	}
	return l, nil
}
