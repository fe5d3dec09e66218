package bwrap

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Another root directory is shown through an overlay that takes what a command
// writes and is thrown away with it. bwrap makes such overlays from 0.11, which
// Debian 12 does not have; so each command gets a mount namespace first, made
// by unshare(1), in which the overlay is mounted over a tmpfs. Nothing of it is
// on disk or in anybody else's mount table, whatever dies when.

func overlayDir(private string) string  { return filepath.Join(private, "root") }
func overlayRoot(private string) string { return filepath.Join(overlayDir(private), "seen") }

const mountOverlay = `mount -t tmpfs -o "mode=0755$3" quire "$1" &&
mkdir "$1/upper" "$1/work" "$1/seen" &&
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" quire "$1/seen" || exit 1
shift 3
exec "$@"`

// rootfs checks and prepares for another root directory.
func (s *sandbox) rootfs() error {
	root := s.spec.Rootfs
	switch {
	case !filepath.IsAbs(root):
		return fmt.Errorf("rootfs %s: not an absolute path", root)
	case strings.ContainsAny(root, ",:\\"):
		return fmt.Errorf("rootfs %s: a path with a comma, colon or backslash cannot be mounted", root)
	case !isDir(root):
		return fmt.Errorf("rootfs %s: no such directory: make one, with debootstrap say, or unpack an image there", root)
	}
	for _, program := range []string{"unshare", "mount", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			return errors.New("rootfs needs " + program + ", which is not installed: apt-get install util-linux mount")
		}
	}
	s.overRoot = overlayDir(s.private)
	if err := os.MkdirAll(s.overRoot, 0o700); err != nil {
		return fmt.Errorf("rootfs: %w", err)
	}
	return nil
}

// prefix is what stands before bwrap on the command line.
func (s *sandbox) prefix() []string {
	if s.overRoot == "" {
		return nil
	}
	unshare, _ := exec.LookPath("unshare")
	argv := []string{unshare, "--mount"}
	if os.Geteuid() != 0 {
		argv = append(argv, "--map-root-user")
	}
	size := "" // the kernel's own bound: half of the memory
	if most := s.spec.Limits.Memory; most > 0 {
		size = ",size=" + strconv.FormatInt(most, 10)
	}
	return append(argv, "--", "sh", "-c", mountOverlay, "sh", s.overRoot, s.spec.Rootfs, size)
}
