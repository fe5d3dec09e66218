package hooks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// pusher is who pushes: the name in the first of the variables that the operator
// believes ([hook] pusher_from) and that is set, else the Unix user, with the
// fingerprint of the SSH key where sshd tells it (ExposeAuthInfo yes), since many people
// may share one account. Rules hang on it, so no other variable is asked: where
// sshd passes on what a client sets, the client would choose who it is.
func pusher(env func(string) string, believed []string) string {
	for _, name := range believed {
		if who := tame(env(name)); who != "" {
			return who
		}
	}
	who := unixUser(env)
	if key := sshKey(env("SSH_USER_AUTH")); key != "" {
		who += " (" + key + ")"
	}
	return who
}

// unixUser asks the environment first, where sshd and sudo put the name, and
// then /etc/passwd; os/user would link the C library's resolver, and users of a
// directory service have both variables set.
func unixUser(env func(string) string) string {
	for _, name := range []string{"LOGNAME", "USER"} {
		if who := tame(env(name)); who != "" {
			return who
		}
	}
	return userName(os.Geteuid())
}

// userName is the name of a numeric user id for a person to read.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	passwd, _ := os.ReadFile("/etc/passwd") // without it the number must do
	for line := range strings.Lines(string(passwd)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == id {
			return tame(f[0])
		}
	}
	return "user " + id
}

// sshKey is the fingerprint, as ssh-keygen -l prints it, of the key in a file
// that sshd wrote for SSH_USER_AUTH: lines "publickey ALGORITHM BASE64".
func sshKey(path string) string {
	if path == "" {
		return ""
	}
	info, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(info) {
		f := strings.Fields(string(line))
		if len(f) < 3 || f[0] != "publickey" {
			continue
		}
		if key, err := base64.StdEncoding.DecodeString(f[2]); err == nil {
			sum := sha256.Sum256(key)
			return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
		}
	}
	return ""
}

// tame makes a name fit to be shown: no control characters, and not endless.
func tame(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.TrimSpace(s))
	const most = 100
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}
