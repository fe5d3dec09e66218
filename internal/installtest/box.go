package installtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Box is a machine with users of its own, for tests that run as root: a mount
// namespace in which /etc is this machine's with changes that nobody else sees,
// and /var/lib and /run are its own.
type Box struct {
	Dir   string
	Users map[string]User
}

// User is somebody on a Box.
type User struct {
	Name   string
	UID    int // the primary group has the same number and name
	Home   string
	Groups []string // further ones; made as they are named
}

// Open makes a box in a directory, which must be open to all. No number of these
// users may be this machine's.
func Open(dir string, users ...User) (*Box, error) {
	b := &Box{Dir: dir, Users: map[string]User{}}
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can make users")
	}
	for _, part := range []string{"etc", "etc.work", "var-lib", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, ".box", part), 0o755); err != nil {
			return nil, err
		}
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, err
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		return nil, err
	}
	members, groups := map[string][]string{}, []string{}
	for _, u := range users {
		b.Users[u.Name] = u
		passwd = append(passwd, fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", u.Name, u.UID, u.UID, u.Home)...)
		group = append(group, fmt.Sprintf("%s:x:%d:\n", u.Name, u.UID)...)
		for _, g := range u.Groups {
			if members[g] == nil {
				groups = append(groups, g)
			}
			members[g] = append(members[g], u.Name)
		}
		if strings.HasPrefix(u.Home, dir+"/") {
			if err := os.MkdirAll(u.Home, 0o755); err != nil {
				return nil, err
			}
			if err := os.Chown(u.Home, u.UID, u.UID); err != nil {
				return nil, err
			}
		}
	}
	for i, g := range groups {
		group = append(group, fmt.Sprintf("%s:x:%d:%s\n", g, GroupID+i, strings.Join(members[g], ","))...)
	}
	return b, errors.Join(
		os.WriteFile(b.Etc("passwd"), passwd, 0o644),
		os.WriteFile(b.Etc("group"), group, 0o644),
		os.RemoveAll(b.Etc("quire")),
	)
}

// GroupID is the number of the first group that users of a Box name.
const GroupID = 61950

// Etc is where a file of the box's /etc is seen from outside, once something was
// written there.
func (b *Box) Etc(name string) string { return filepath.Join(b.Dir, ".box", "etc", name) }

// VarLib is the same of /var/lib.
func (b *Box) VarLib(name string) string { return filepath.Join(b.Dir, ".box", "var-lib", name) }

// Command is a program that a user of the box, or root, starts there, with an
// environment of nothing but what that user has and env.
func (b *Box) Command(user string, umask int, env []string, program string, args ...string) *exec.Cmd {
	// Not an overlay where state is kept: each command mounts its own, and they
	// would not see each other's locks.
	mounts := fmt.Sprintf("mount -t overlay none -o lowerdir=/etc,upperdir=%[1]s/etc,workdir=%[1]s/etc.work /etc && "+
		"mount --bind %[1]s/var-lib /var/lib && mount --bind %[1]s/run /run && umask %03[2]o && exec \"$@\"", filepath.Join(b.Dir, ".box"), umask)
	argv := []string{"--mount", "--propagation", "private", "sh", "-c", mounts, "box"}
	home := "/root"
	if u, ok := b.Users[user]; ok {
		home = u.Home
		id := strconv.Itoa(u.UID)
		argv = append(argv, "setpriv", "--reuid="+id, "--regid="+id, "--init-groups", "--inh-caps=-all", "--")
	}
	argv = append(append(argv, program), args...)
	cmd := exec.Command("unshare", argv...)
	cmd.Dir = b.Dir
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=" + home, "USER=" + user, "LOGNAME=" + user}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}
