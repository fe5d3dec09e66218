package mirror

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// HostKey is a key that an SSH server shows.
type HostKey struct {
	Host        string `json:"host"` // as known_hosts has it: "host", or "[host]:port"
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"` // "SHA256:…", as ssh-keygen -l prints it
	Line        string `json:"line"`        // of known_hosts
}

// keyKinds are asked for one by one: a server shows one key in a handshake.
var keyKinds = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
}

// errSeen ends a handshake when the key has been shown.
var errSeen = errors.New("seen")

// ScanHost asks the SSH server at addr ("host" or "host:port") for its keys. It
// trusts none of them and logs in nowhere; who it really was that answered is
// for a person to find out, by the fingerprint.
func ScanHost(ctx context.Context, addr string) ([]HostKey, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), "22"
	}
	name := host
	if port != "22" {
		name = "[" + host + "]:" + port
	}
	var keys []HostKey
	var last error
	for _, kinds := range keyKinds {
		key, err := showKey(ctx, net.JoinHostPort(host, port), kinds)
		if err != nil {
			last = err
			continue
		}
		keys = append(keys, HostKey{name, key.Type(), ssh.FingerprintSHA256(key),
			name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("ask %s for its host keys: %w", addr, last)
	}
	return keys, nil
}

func showKey(ctx context.Context, addr string, kinds []string) (ssh.PublicKey, error) {
	d := net.Dialer{Timeout: 15 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(15 * time.Second))
	var shown ssh.PublicKey
	_, _, _, err = ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User: "git", HostKeyAlgorithms: kinds,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shown = key
			return errSeen
		},
	})
	if shown != nil {
		return shown, nil
	}
	return nil, err
}

// pinsFile is where Trust keeps the pins of a state directory whose locks are
// in lockDir.
func pinsFile(lockDir string) string { return filepath.Join(filepath.Dir(lockDir), "known_hosts") }

// Trust pins keys: from the next delivery on, their hosts must show one of
// them. Pins that were made before for the same hosts go.
func (e *Engine) Trust(keys []HostKey) error {
	path := pinsFile(e.locks)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("pin host keys: %w", err)
	}
	again := map[string]bool{}
	for _, k := range keys {
		again[k.Host] = true
	}
	var lines []string
	for line := range strings.Lines(string(old)) {
		line = strings.TrimSpace(line)
		if host, _, _ := strings.Cut(line, " "); line != "" && !again[host] {
			lines = append(lines, line)
		}
	}
	for _, k := range keys {
		lines = append(lines, k.Line)
	}
	return writeWhole(path, strings.Join(lines, "\n")+"\n")
}

// pins are the lines that Trust wrote.
func (e *Engine) pins() []string {
	text, err := os.ReadFile(pinsFile(e.locks))
	if err != nil {
		return nil // none; a host without a pin is refused by ssh
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// writeWhole replaces a file so that there is always a whole one.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".known_hosts-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
