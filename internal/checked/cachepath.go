package checked

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// CachePath is where a pipeline wants a directory that is kept between runs:
// below the workspace, or, in a sandbox or container, at an absolute path of it.
// Its zero value is none. Only NewCachePath makes one.
type CachePath struct{ clean string }

// Bounds of a path at which something is mounted.
const (
	maxTarget     = 1024 // bytes
	maxTargetPart = 255  // bytes, NAME_MAX
	maxTargetDeep = 64
)

// reserved are absolute paths at and below which nothing of a pipeline's is
// mounted: the kernel's file systems, sockets of the machine, the system's
// programs and settings, and our own helper in containers.
var reserved = []string{
	"/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/etc", "/.quire",
	"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/libexec",
	"/oldroot", "/newroot", // bwrap's own, while it makes a sandbox
}

// whole are absolute paths that cannot be a cache themselves, because all
// programs share them; what is below them can.
var whole = []string{
	"/", "/usr", "/usr/local", "/usr/share", "/var", "/var/tmp", "/var/lib", "/var/cache", "/tmp", "/home", "/opt", "/srv", "/mnt", "/media",
	"/nix", "/nix/store", "/gnu", "/gnu/store",
}

// ownParts are the names at the top of a workspace that no cache may cover: the
// clone's own directory, and what decides which code runs.
var ownParts = []string{".git", ".quire"}

// NewCachePath checks the path of a cache.
func NewCachePath(s string) (CachePath, error) {
	if err := Line(s, maxTarget); err != nil {
		return CachePath{}, err
	}
	clean := path.Clean(s)
	parts := strings.Split(strings.Trim(clean, "/"), "/")
	if len(parts) > maxTargetDeep {
		return CachePath{}, fmt.Errorf("it is %d directories deep, and %d is the most", len(parts), maxTargetDeep)
	}
	for _, p := range parts {
		if len(p) > maxTargetPart {
			return CachePath{}, fmt.Errorf("a part of it has %d bytes, and %d is the most", len(p), maxTargetPart)
		}
	}
	if path.IsAbs(clean) {
		for _, dir := range reserved {
			if Inside(clean, dir) {
				return CachePath{}, fmt.Errorf("nothing can be mounted at or below %s", dir)
			}
		}
		for _, dir := range whole {
			if clean == dir {
				return CachePath{}, fmt.Errorf("%s is shared by all programs: name a directory below it", dir)
			}
		}
		return CachePath{clean}, nil
	}
	switch {
	case clean == ".":
		return CachePath{}, errors.New("it is the workspace itself: name a directory below it")
	case parts[0] == "..":
		return CachePath{}, errors.New("it leads out of the workspace")
	}
	for _, own := range ownParts {
		if parts[0] == own {
			return CachePath{}, fmt.Errorf("%s in the workspace is not for caches", own)
		}
	}
	return CachePath{clean}, nil
}

func (p CachePath) String() string { return p.clean }

// Absolute reports whether the path is one of the sandbox's or container's; else
// it is below the workspace.
func (p CachePath) Absolute() bool { return path.IsAbs(p.clean) }

// Overlaps reports whether one of two caches is, or lies in, the other.
func (p CachePath) Overlaps(other CachePath) bool {
	return Inside(p.clean, other.clean) || Inside(other.clean, p.clean)
}

// Inside reports whether a clean path is dir or lies below it.
func Inside(p, dir string) bool {
	return p == dir || dir == "/" && path.IsAbs(p) || strings.HasPrefix(p, dir+"/")
}
