package mirror

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"quire/internal/gitrepo"
)

// Which objects of Git LFS a push needs. A pointer is told by its content, as
// git-lfs itself does: whatever .gitattributes say today, a commit of last year
// may hold one, and a directory may have attributes of its own.

// pointer stands in a commit for a file whose content Git LFS keeps.
type pointer struct {
	oid  string // SHA-256 of the content
	size int64
	path string // of one place where it stands
}

// maxPointer is the size that a file must stay below to be a pointer (git-lfs,
// docs/spec.md).
const maxPointer = 1024

// minPointer is less than any has: the object's id alone is 64 bytes, and what must
// stand round it some 60. Most small files of a history are smaller or larger, and
// need not be read.
const minPointer = 110

// parsePointer reads lines of "key value": version, perhaps extensions, oid, size.
func parsePointer(content []byte) (p pointer, ok bool) {
	if len(content) >= maxPointer || !bytes.HasPrefix(content, []byte("version ")) {
		return p, false
	}
	version := false
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch key {
		case "version":
			version = strings.HasSuffix(value, "/spec/v1") || strings.HasSuffix(value, "://git-media.io/v/2")
		case "oid":
			oid, sha256 := strings.CutPrefix(value, "sha256:")
			if !sha256 || !isLFSOID(oid) {
				return p, false
			}
			p.oid = oid
		case "size":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return p, false
			}
			p.size = n
		}
	}
	return p, version && p.oid != "" && p.size > 0 // nothing is kept of an empty file
}

func isLFSOID(oid string) bool { return len(oid) == 64 && strings.Trim(oid, "0123456789abcdef") == "" }

// pointers are the LFS files of a delivery, by object id.
type pointers map[string]pointer

func (p pointers) see(path string, content []byte) {
	if found, ok := parsePointer(content); ok {
		found.path = path
		p[found.oid] = found
	}
}

// sorted is the files in the order of their paths.
func (p pointers) sorted() []pointer {
	var out []pointer
	for _, x := range p {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b pointer) int { return strings.Compare(a.path+"\x00"+a.oid, b.path+"\x00"+b.oid) })
	return out
}

// fewMoves is for how many refs of a push the repository is read in this process.
const fewMoves = 16

// glance looks for pointers in what few small pushes bring, without starting
// anything: what is between a commit and one that is there. complete is false if
// that is too much or too odd, and git is to look.
func (d *delivery) glance(moves []*move, there func(oid string) bool) (found pointers, complete bool) {
	r, err := d.repo()
	if err != nil || len(moves) > fewMoves {
		return nil, false
	}
	found = pointers{}
	for _, m := range moves {
		complete, err := r.SmallFilesAdded(m.d.Want, there, minPointer, maxPointer-1, found.see)
		if err != nil || !complete {
			return nil, false
		}
	}
	return found, true
}

// scan is glance for any push: git lists what the moves' commits reach and those
// of there do not, as far as it is here.
func (d *delivery) scan(ctx context.Context, moves []*move, there []string) (pointers, error) {
	r, err := d.repo()
	if err != nil {
		return nil, err
	}
	args := []string{"rev-list", "--objects", "--ignore-missing", "--filter=blob:limit=" + strconv.Itoa(maxPointer)}
	for _, m := range moves {
		args = append(args, m.d.Want)
	}
	if len(there) > 0 {
		args = append(append(args, "--not"), there[:min(len(there), knownTips)]...)
	}
	found := pointers{}
	paths := map[string]string{}
	look := func() error {
		oids := make([]string, 0, len(paths))
		for oid := range paths {
			oids = append(oids, oid)
		}
		err := r.SmallFiles(oids, minPointer, maxPointer-1, func(oid string, content []byte) { found.see(paths[oid], content) })
		clear(paths)
		return err
	}
	err = d.pusher.sess.lines(ctx, func(line string) error {
		oid, path, named := strings.Cut(line, " ")
		if !named || path == "" {
			return nil // a commit, or a tree at the top
		}
		if paths[oid] = path; len(paths) >= 4096 {
			return look()
		}
		return nil
	}, args...)
	if err == nil {
		err = look()
	}
	return found, err
}

// usesLFS reports whether the history of the moves' commits ever had files kept in
// LFS by attributes. Pointers in a history that never did are somebody's text.
func (d *delivery) usesLFS(ctx context.Context, moves []*move) (bool, error) {
	r, err := d.repo()
	if err != nil {
		return false, err
	}
	args := []string{"rev-list", "--objects", "--ignore-missing"}
	for _, m := range moves {
		args = append(args, m.d.Want)
	}
	var oids []string
	err = d.pusher.sess.lines(ctx, func(line string) error {
		if oid, path, _ := strings.Cut(line, " "); path == ".gitattributes" || strings.HasSuffix(path, "/.gitattributes") {
			oids = append(oids, oid)
		}
		return nil
	}, args...)
	if err != nil {
		return false, err
	}
	uses := false
	err = r.SmallFiles(oids, 0, gitrepo.MaxFile, func(_ string, content []byte) {
		uses = uses || bytes.Contains(content, []byte("filter=lfs"))
	})
	return uses, err
}

// lines runs a git command of this machine's repository whose output is read line
// by line, however long it is.
func (s *session) lines(ctx context.Context, each func(line string) error, args ...string) error {
	c := exec.CommandContext(ctx, "git", args...)
	c.Env, c.Dir = s.env, "/"
	stderr := s.cred.reading()
	c.Stderr = stderr
	stdout, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return fmt.Errorf("start git %s: %w", args[0], err)
	}
	var eachErr error
	lines := bufio.NewScanner(stdout)
	for eachErr == nil && lines.Scan() {
		eachErr = each(lines.Text())
	}
	if eachErr == nil {
		eachErr = lines.Err()
	}
	if eachErr != nil {
		c.Process.Kill()
	}
	io.Copy(io.Discard, stdout)
	err = c.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case eachErr != nil:
		return eachErr
	case err != nil:
		return &commandError{"git " + args[0], stderr.text()}
	}
	return nil
}
