// Package account knows the users of this machine: who has which number, groups
// and home, and how root runs a program as one of them.
//
// It asks /etc/passwd and /etc/group first and then the machine's name service,
// by way of getent(1) and id(1), because quire is built without the C library
// that knows directory services.
package account

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Account is a user. One without an entry in the user database has a number and
// nothing else.
type Account struct {
	Name   string // "" without an entry
	UID    int
	GID    int
	Groups []int // supplementary
	Home   string
}

// Self is who runs this process.
func Self() Account {
	a, err := ByUID(os.Geteuid())
	if err != nil {
		a.GID = os.Getegid()
	}
	return a
}

// ByName finds a user by name or number. A number needs no entry.
func ByName(name string) (Account, error) {
	if uid, err := strconv.Atoi(name); err == nil && uid >= 0 {
		a, _ := ByUID(uid)
		return a, nil
	}
	u, err := user.Lookup(name)
	if err == nil {
		return fill(u)
	}
	var unknown user.UnknownUserError
	if !errors.As(err, &unknown) {
		return Account{}, fmt.Errorf("find the user %s: %w", name, err)
	}
	return getent(name)
}

// ByUID finds a user by number. If there is no such entry, the account has the
// number for its group too, and the error says so.
func ByUID(uid int) (Account, error) {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return fill(u)
	}
	a, err := getent(strconv.Itoa(uid))
	if err != nil {
		return Account{UID: uid, GID: uid}, err
	}
	return a, nil
}

func fill(u *user.User) (Account, error) {
	a := Account{Name: u.Username, Home: u.HomeDir}
	var err1, err2 error
	a.UID, err1 = strconv.Atoi(u.Uid)
	a.GID, err2 = strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return a, fmt.Errorf("find the user %s: %w", u.Username, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return a, fmt.Errorf("find the groups of %s: %w", u.Username, err)
	}
	a.Groups = numbers(ids)
	return a, nil
}

// getent asks the name service.
func getent(key string) (Account, error) {
	out, err := exec.Command("getent", "passwd", "--", key).Output()
	f := strings.Split(strings.TrimSuffix(string(out), "\n"), ":")
	if err != nil || len(f) < 6 {
		return Account{}, fmt.Errorf("there is no user %s", key)
	}
	a := Account{Name: f[0], Home: f[5]}
	var err1, err2 error
	a.UID, err1 = strconv.Atoi(f[2])
	a.GID, err2 = strconv.Atoi(f[3])
	if err := errors.Join(err1, err2); err != nil {
		return Account{}, fmt.Errorf("find the user %s: %w", key, err)
	}
	if ids, err := exec.Command("id", "-G", "--", f[0]).Output(); err == nil {
		a.Groups = numbers(strings.Fields(string(ids)))
	}
	return a, nil
}

func numbers(ids []string) []int {
	var n []int
	for _, id := range ids {
		if g, err := strconv.Atoi(id); err == nil {
			n = append(n, g)
		}
	}
	return n
}

// String is the account as a sentence names it.
func (a Account) String() string {
	if a.Name == "" {
		return "user " + strconv.Itoa(a.UID)
	}
	return a.Name
}

// In reports whether the user belongs to a group.
func (a Account) In(gid int) bool { return a.GID == gid || slices.Contains(a.Groups, gid) }

// Members lists who belongs to a group, by their own entry or the group's.
func Members(gid int) ([]Account, error) {
	var names []string
	group, err := entries("group")
	if err != nil {
		return nil, err
	}
	for _, f := range group {
		if len(f) > 3 && f[2] == strconv.Itoa(gid) {
			names = append(names, strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' })...)
		}
	}
	passwd, err := entries("passwd")
	if err != nil {
		return nil, err
	}
	for _, f := range passwd {
		if len(f) > 3 && f[3] == strconv.Itoa(gid) && !slices.Contains(names, f[0]) {
			names = append(names, f[0])
		}
	}
	var members []Account
	for _, name := range names {
		if a, err := ByName(name); err == nil { // a name in a group may be nobody's
			members = append(members, a)
		}
	}
	return members, nil
}

// entries lists a user database, split at its colons.
func entries(database string) ([][]string, error) {
	text, err := exec.Command("getent", database).Output()
	if err != nil {
		if text, err = os.ReadFile("/etc/" + database); err != nil {
			return nil, fmt.Errorf("read the machine's users: %w", err)
		}
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		all = append(all, strings.Split(strings.TrimSuffix(line, "\n"), ":"))
	}
	return all, nil
}

// Command is a program that the user runs, with nothing of this process but what
// the caller adds: another user's groups, an environment of that user's, no
// terminal. Only root can run one as somebody else.
func (a Account) Command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.Env = a.Env()
	// Its own session: who is given root's terminal can type into it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 && a.UID != 0 {
		groups := make([]uint32, len(a.Groups))
		for i, g := range a.Groups {
			groups[i] = uint32(g)
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID), Groups: groups}
	}
	return cmd
}

// Env is the environment of a program that the user runs.
func (a Account) Env() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	if a.Name != "" {
		env = append(env, "USER="+a.Name, "LOGNAME="+a.Name)
	}
	if a.Home != "" {
		env = append(env, "HOME="+a.Home)
	}
	return env
}

// Blocked is the first directory on the way to path that the user may not pass,
// or path itself if the user may not execute (enter) it, as far as modes tell; ""
// if there is none.
func (a Account) Blocked(path string) (string, os.FileInfo) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for n := range len(parts) + 1 {
		p := "/" + strings.Join(parts[:n], "/")
		st, err := os.Stat(p)
		if err != nil {
			return "", nil
		}
		if !a.mayExecute(st) {
			return p, st
		}
	}
	return "", nil
}

func (a Account) mayExecute(st os.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	perm := st.Mode().Perm()
	switch {
	case a.UID == 0:
		return st.IsDir() || perm&0o111 != 0
	case int(sys.Uid) == a.UID:
		return perm&0o100 != 0
	case a.In(int(sys.Gid)):
		return perm&0o010 != 0
	}
	return perm&0o001 != 0
}
