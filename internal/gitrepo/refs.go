package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// Refs as files: one each below refs/, and many in packed-refs, which the single
// files go before (gitrepository-layout(5)).

const (
	maxPackedRefs = 8 << 20 // bytes of packed-refs that are read here
	maxLooseRefs  = 10_000
	maxSymbolic   = 5 // refs of refs, as git has it
)

func (d *direct) resolve(ref string) (oid string, found bool, err error) {
	for range maxSymbolic {
		target, oid, err := d.looseRef(ref)
		switch {
		case err != nil:
			return "", false, err
		case oid != "":
			return oid, true, nil
		case target == "":
			return d.packedRef(ref)
		}
		ref = target
	}
	return "", false, errUnread
}

// looseRef reads a ref's file: the id in it, or the ref that it names; neither
// if there is none.
func (d *direct) looseRef(ref string) (target, oid string, err error) {
	if ref != "HEAD" && (!strings.HasPrefix(ref, "refs/") || !filepath.IsLocal(ref) || filepath.Clean(ref) != ref) {
		return "", "", errUnread
	}
	path := filepath.Join(d.gitDir, filepath.FromSlash(ref))
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && info.IsDir() {
		return "", "", nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return "", "", errUnread // HEAD may be a link, in old repositories
	}
	text, err := readSmall(path, 4<<10)
	if errors.Is(err, fs.ErrNotExist) { // packed meanwhile
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	line := strings.TrimRight(string(text), "\n")
	if target, symbolic := strings.CutPrefix(line, "ref:"); symbolic {
		return strings.TrimSpace(target), "", nil
	}
	if len(line) != 40 || checkOID(line) != nil {
		return "", "", fmt.Errorf("%w: %s is broken", errUnread, ref)
	}
	return "", line, nil
}

func (d *direct) packedRef(ref string) (oid string, found bool, err error) {
	err = d.eachPacked(func(name, at string) bool {
		if name == ref {
			oid, found = at, true
		}
		return !found
	})
	return oid, found, err
}

// eachPacked reads packed-refs until yield returns false.
func (d *direct) eachPacked(yield func(name, oid string) bool) error {
	f, err := os.Open(filepath.Join(d.gitDir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxPackedRefs {
		return errUnread
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' || line[0] == '^' { // a comment; what the tag above names
			continue
		}
		oid, name, ok := strings.Cut(line, " ")
		if !ok || checkOID(oid) != nil {
			return errUnread
		}
		if !yield(name, oid) {
			return nil
		}
	}
	if lines.Err() != nil {
		return errUnread
	}
	return nil
}

func (d *direct) refs(prefix string, each func(Ref) error) error {
	all := map[string]string{}
	err := d.eachPacked(func(name, oid string) bool {
		all[name] = oid
		return true
	})
	if err != nil {
		return err
	}
	loose := 0
	top := filepath.Join(d.gitDir, "refs")
	err = filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(d.ctx)
		}
		if errors.Is(err, fs.ErrNotExist) && path != top {
			return nil // packed, or deleted, meanwhile
		}
		if err != nil {
			return err
		}
		if loose++; loose > maxLooseRefs {
			return errUnread
		}
		name, err := filepath.Rel(d.gitDir, path)
		if err != nil || e.IsDir() || strings.HasSuffix(name, ".lock") {
			return err
		}
		if e.Type().IsRegular() {
			name = filepath.ToSlash(name)
			target, oid, err := d.looseRef(name)
			if target != "" { // shown as what it points at; not at all if that is nothing
				oid, _, err = d.resolve(target)
			}
			if oid != "" {
				all[name] = oid
			}
			return err
		}
		return errUnread
	})
	if err != nil {
		return err
	}
	names := make([]string, 0, len(all))
	for name := range all {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		if err := each(Ref{name, all[name]}); err != nil {
			return err
		}
	}
	return nil
}

func (d *direct) head() (string, error) {
	target, oid, err := d.looseRef("HEAD")
	if err == nil && target == "" && oid == "" {
		err = errUnread
	}
	return target, err
}
