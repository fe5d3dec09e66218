package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// direct reads the repository's own files in this process: loose objects, packs
// by their indexes, refs. It starts nothing and loads no index, so it costs the
// same however much the repository holds.
//
// It gives up early. What is large, odd or damaged is errUnread, and for git
// itself to read, in a process of its own. Every allocation is bounded before it
// is made, by maxDirect.
type direct struct {
	ctx     context.Context
	gitDir  string
	objects string
	packs   []*pack // the one of the last hit first
	known   map[string]bool
	in      *bufio.Reader
	z       io.ReadCloser // used again and again; implements zlib.Resetter
}

// errUnread is the error for what git itself is to read.
var errUnread = errors.New("this is for git to read")

func unread(cause error) error { return fmt.Errorf("%w: %w", errUnread, cause) }

const (
	maxDirect = 1 << 20 // bytes of an object, of a delta, and of what it is applied to
	maxChain  = 128     // deltas upon deltas; git makes 50
	maxPacks  = 64      // two open files each
)

// openDirect opens a repository, unless something about it is unusual. It looks
// at file names and the config file. Any doubt speaks for git, which reads
// everything.
func openDirect(ctx context.Context, gitDir string) (source, error) {
	// A linked worktree's refs and objects are elsewhere, as is a borrowed object
	// store; a shallow history has grafted ends.
	for _, sign := range []string{"commondir", "shallow", "reftable", "objects/info/alternates", "info/grafts"} {
		if _, err := os.Lstat(filepath.Join(gitDir, sign)); err == nil {
			return nil, fmt.Errorf("%w: it has %s", errUnread, sign)
		}
	}
	config, err := readSmall(filepath.Join(gitDir, "config"), maxDirect)
	if err != nil {
		return nil, unread(err)
	}
	// [extensions] announces SHA-256, reftable, worktreeConfig and whatever
	// comes, "promisor" a partial clone; [include] could hide them.
	config = bytes.ToLower(config)
	for _, word := range []string{"extensions", "promisor", "partialclone", "include"} {
		if bytes.Contains(config, []byte(word)) {
			return nil, fmt.Errorf("%w: its config says %s", errUnread, word)
		}
	}
	return &direct{ctx: ctx, gitDir: gitDir, objects: filepath.Join(gitDir, "objects"), known: map[string]bool{}}, nil
}

// readSmall reads a file that is expected to be small.
func readSmall(path string, bound int64) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > bound {
		return nil, fmt.Errorf("%w: %s has %d bytes", errUnread, path, info.Size())
	}
	data, err := io.ReadAll(io.LimitReader(f, bound+1))
	if err == nil && int64(len(data)) > bound {
		err = errUnread
	}
	return data, err
}

func (d *direct) stat(oid string) (kind string, size int64, err error) {
	kind, size, _, err = d.find(oid, false)
	return kind, size, err
}

func (d *direct) sizes(oids []string) ([]int64, error) {
	if len(oids) > 2000 {
		return nil, errUnread // git tells the sizes of many faster than it starts
	}
	out := make([]int64, len(oids))
	for i, oid := range oids {
		err := context.Cause(d.ctx)
		if err != nil {
			return nil, err
		}
		if _, out[i], err = d.stat(oid); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *direct) object(oid string) (kind string, data []byte, err error) {
	kind, size, data, err := d.find(oid, true)
	if err != nil {
		return kind, nil, err
	}
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kind, size)
	h.Write(data)
	if hex.EncodeToString(h.Sum(nil)) != oid {
		// A flipped bit on the disk must not become a pipeline.
		return "", nil, fmt.Errorf("%w: object %.12s has another id", errUnread, oid)
	}
	return kind, data, nil
}

// find looks an object up, loose and then in packs, and reads it if that is
// wanted and allowed.
func (d *direct) find(oid string, content bool) (kind string, size int64, data []byte, err error) {
	id, err := hex.DecodeString(oid)
	if err != nil || len(id) != sha1.Size {
		return "", 0, nil, fmt.Errorf("%.12s: %w", oid, ErrNotFound)
	}
	kind, size, data, err = d.loose(oid, content)
	if !errors.Is(err, os.ErrNotExist) {
		return kind, size, data, err
	}
	for again := false; ; again = true {
		for i, p := range d.packs {
			at, found, err := p.offset(id)
			if err != nil {
				return "", 0, nil, unread(err)
			}
			if !found {
				continue
			}
			d.packs[0], d.packs[i] = d.packs[i], d.packs[0]
			return d.packed(p, oid, at, content)
		}
		fresh, err := d.list()
		if err != nil {
			return "", 0, nil, err
		}
		if !fresh || again {
			return "", 0, nil, fmt.Errorf("%.12s: %w", oid, ErrNotFound)
		}
	}
}

// list opens the packs that are not open yet and reports whether there were any.
func (d *direct) list() (fresh bool, err error) {
	names, err := filepath.Glob(filepath.Join(d.objects, "pack", "*.idx"))
	if err != nil || len(names) > maxPacks {
		return false, fmt.Errorf("%w: %d packs", errUnread, len(names))
	}
	for _, name := range names {
		if d.known[name] {
			continue
		}
		p, err := openPack(name)
		if err != nil {
			return false, unread(err)
		}
		d.known[name] = true
		d.packs = append(d.packs, p)
		fresh = true
	}
	return fresh, nil
}

// loose reads objects/ab/cdef…: zlib over "kind size\0" and the content.
func (d *direct) loose(oid string, content bool) (kind string, size int64, data []byte, err error) {
	f, err := openFile(filepath.Join(d.objects, oid[:2], oid[2:]))
	if err != nil {
		return "", 0, nil, err
	}
	defer f.Close()
	if err := d.inflating(f); err != nil {
		return "", 0, nil, err
	}
	var head [32]byte
	n := 0
	for ; n == 0 || head[n-1] != 0; n++ {
		if n == len(head) {
			return "", 0, nil, fmt.Errorf("%w: object %.12s has no header", errUnread, oid)
		}
		if _, err := io.ReadFull(d.z, head[n:n+1]); err != nil {
			return "", 0, nil, unread(err)
		}
	}
	kind, number, _ := strings.Cut(string(head[:n-1]), " ")
	size, err = strconv.ParseInt(number, 10, 64)
	if err != nil || size < 0 {
		return "", 0, nil, fmt.Errorf("%w: object %.12s has a malformed header", errUnread, oid)
	}
	if !content {
		return kind, size, nil, nil
	}
	if err := readable(oid, kind, size); err != nil {
		return kind, size, nil, err
	}
	data, err = d.inflated(size)
	return kind, size, data, err
}

// readable says whether an object is read here: no if a bound forbids it at
// all, and not by this process if it is large.
func readable(oid, kind string, size int64) error {
	if err := sized(oid, kind, size); err != nil {
		return err
	}
	if size > maxDirect {
		return fmt.Errorf("%w: %s %.12s has %d bytes", errUnread, kind, oid, size)
	}
	return nil
}

func (d *direct) rest() error { return nil }

func (d *direct) close() error {
	for _, p := range d.packs {
		p.close()
	}
	d.packs = nil
	return nil
}

// What direct leaves to git, since it walks history.

func (d *direct) isAncestor(string, string) (bool, error) { return false, errUnread }
