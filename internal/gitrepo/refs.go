package gitrepo

import (
	"bufio"
	"bytes"
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
	r, err := readLoose(d.gitDir, ref)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", "", nil
	case err != nil:
		return "", "", unread(err)
	case r.broken != "":
		// A directory stands where other refs begin with this name; for all else git
		// has the better sentence.
		if info, err := os.Stat(filepath.Join(d.gitDir, filepath.FromSlash(ref))); err == nil && info.IsDir() {
			return "", "", nil
		}
		return "", "", fmt.Errorf("%w: %s is broken", errUnread, ref)
	case len(r.oid) > 40:
		return "", "", errUnread
	}
	return r.target, r.oid, nil
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
	f, err := openFile(filepath.Join(d.gitDir, "packed-refs"))
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
	lines.Split(wholeLines)
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

// wholeLines is bufio.ScanLines but for what follows the last line end: half a line
// of a torn file can be the name of another ref.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if atEOF && bytes.IndexByte(data, '\n') < 0 {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, atEOF)
}

func (d *direct) refs(prefix string, each func(Ref) error) error {
	all := map[string]string{}
	broken := damagedPacked(d.gitDir)
	err := d.eachPacked(func(name, oid string) bool {
		switch {
		case strings.Trim(oid, "0") == "":
			broken = append(broken, packedZero(d.gitDir, name))
		case !strings.HasPrefix(name, "refs/") || unusableName(name) != "":
			broken = append(broken, damagedName(d.gitDir, name))
		default:
			all[name] = oid
		}
		return true
	})
	if err != nil {
		return err
	}
	loose := 0
	err = eachLoose(d.gitDir, func(name string, r looseRef) error {
		if ended := context.Cause(d.ctx); ended != nil {
			return ended
		}
		if loose++; loose > maxLooseRefs {
			return errUnread
		}
		delete(all, name) // its file goes before, also one that is broken
		oid, found := r.oid, true
		if r.target != "" { // shown as what it points at; not at all if that is nothing
			var err error
			if oid, found, err = d.resolve(r.target); err != nil {
				found, r.broken = false, "names "+r.target+", which cannot be read"
			} else if !found && !mayDangle(name) {
				r.broken = "names " + r.target + ", which does not exist"
			}
		}
		switch {
		case r.broken != "":
			broken = append(broken, brokenRef(d.gitDir, name, r.broken))
		case found && len(oid) != 40:
			return errUnread
		case found:
			all[name] = oid
		}
		return nil
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
	return brokenRefs(broken, prefix)
}

func (d *direct) head() (string, error) {
	target, oid, err := d.looseRef("HEAD")
	if err == nil && target == "" && oid == "" {
		err = errUnread
	}
	return target, err
}
