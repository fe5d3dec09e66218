package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// receive makes one ref of this repository as a push does: it speaks to git
// receive-pack (gitprotocol-pack(5), "Pushing Data To a Server") and sends no
// objects, since they are here. It asks for no sideband: what hooks print then
// comes on standard error; and with one, git 2.39 waits for ever in a partial clone
// (check_connected in connected.c leaves the sideband open), as git push does.
//
// refused is why the repository did not take the ref, with what its hooks said;
// "" if it did. A child that cannot be started, and ctx's end, are errors.
func receive(ctx context.Context, gitDir, ref, oid string, env []string) (refused string, err error) {
	c := exec.CommandContext(ctx, "git", "receive-pack", gitDir)
	c.Env = append(slices.Clone(env), "GIT_TERMINAL_PROMPT=0")
	c.Dir = "/"
	var said boundedText
	c.Stderr = &said
	// Its hooks are its children: all of them end with it.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = receiveGrace
	in, err := c.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := c.Start(); err != nil {
		return "", fmt.Errorf("git receive-pack: %w", err)
	}
	reason, talkErr := push(bufio.NewReader(out), in, ref, oid)
	in.Close()
	if talkErr == nil {
		io.Copy(io.Discard, out) // post-receive is over when git closes it; an error is Wait's to tell
	}
	waitErr := c.Wait()
	if ctx.Err() != nil {
		EndGroup(c.Process.Pid)
		return "", context.Cause(ctx)
	}
	if talkErr == nil && reason == "" {
		return "", nil // whatever its post-receive hook came to
	}
	if talkErr != nil { // it broke off: a hook can do that too (reference-transaction)
		reason = ""
		if said.Len() == 0 {
			return "", errors.Join(fmt.Errorf("git receive-pack: %w", talkErr), waitErr)
		}
	}
	parts := []string{reason, oneLine(said.String())}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": "), nil
}

// receiveGrace is how long a push that was told to end may take.
const receiveGrace = 3 * time.Second

// push is the conversation. reason is git's word if the ref was refused.
func push(from *bufio.Reader, to io.Writer, ref, oid string) (reason string, err error) {
	for { // what is there: nobody asks
		line, err := packet(from)
		if err != nil {
			return "", err
		}
		if line == nil {
			break
		}
	}
	format, sum := "sha1", func(b []byte) []byte { s := sha1.Sum(b); return s[:] }
	if len(oid) == 64 {
		format, sum = "sha256", func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	}
	command := fmt.Sprintf("%s %s %s\x00report-status quiet object-format=%s", strings.Repeat("0", len(oid)), oid, ref, format)
	pack := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00") // version 2, no objects (gitformat-pack(5))
	text := fmt.Sprintf("%04x%s0000", len(command)+4, command) + string(pack) + string(sum(pack))
	if _, err := io.WriteString(to, text); err != nil {
		return "", err
	}
	// The report: "unpack ok", and "ok REF" or "ng REF REASON".
	for {
		line, err := packet(from)
		if err != nil {
			return "", err
		}
		if line == nil {
			return "", errors.New("it says nothing of the ref")
		}
		text := strings.TrimSuffix(string(line), "\n")
		if text == "ok "+ref {
			return "", nil
		}
		if why, ok := strings.CutPrefix(text, "ng "+ref+" "); ok {
			return oneLine(why), nil
		}
		if why, ok := strings.CutPrefix(text, "unpack "); ok && why != "ok" {
			return oneLine(why), nil
		}
	}
}

// packet reads one pkt-line (gitprotocol-common(5)); nil is a flush.
func packet(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil || n > 0 && n < 4 {
		return nil, fmt.Errorf("%q is no length", head)
	}
	if n == 0 {
		return nil, nil
	}
	line := make([]byte, n-4)
	_, err = io.ReadFull(r, line)
	return line, err
}

// boundedText keeps the beginning of what is printed.
type boundedText struct{ bytes.Buffer }

const maxSaid = 8 << 10

func (b *boundedText) Write(p []byte) (int, error) {
	if room := maxSaid - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// oneLine is untrusted text for a sentence.
func oneLine(s string) string {
	var parts []string
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, line))
		if line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}
