package gitrepo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// zeros is a blob of n zero bytes: large, and small where it is stored.
func zeros(t testing.TB, dir string, n int64) string {
	t.Helper()
	c := exec.Command("git", "hash-object", "-w", "--stdin")
	c.Dir = dir
	c.Stdin = io.LimitReader(zero{}, n)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// hashed stores an object as it is, whether git would have made it or not.
func hashed(t testing.TB, dir, kind, content string) string {
	t.Helper()
	return gitIn(t, dir, content, "hash-object", "-t", kind, "-w", "--stdin", "--literally")
}

// allocated is how many bytes f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bothWays runs a test with each way to read a plain repository.
func bothWays(t *testing.T, dir string, test func(t *testing.T, r *Repo)) {
	for name, open := range map[string]func(string) (*Repo, error){
		"as opened": func(dir string) (*Repo, error) { return Open(context.Background(), dir) },
		"plumbing": func(dir string) (*Repo, error) {
			src, err := openPlumbing(context.Background(), dir)
			return &Repo{ctx: context.Background(), gitDir: dir, src: src}, err
		},
		"older git": func(dir string) (*Repo, error) {
			src, err := openPlumbing(context.Background(), dir)
			return &Repo{ctx: context.Background(), gitDir: dir, src: src}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "older git" {
				defer asksApart.Store(asksApart.Swap(true))
			}
			r, err := open(dir)
			if err != nil {
				t.Fatal(err)
			}
			test(t, r)
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// What is too large is refused by its size, and none of it is read.
func TestWhatIsTooLargeIsNotRead(t *testing.T) {
	f := newFixture(t)
	const large = 200 << 20
	blob := zeros(t, f.dir, large)
	tree := gitIn(t, f.dir, "100644 blob "+blob+"\tbig\n", "mktree")
	ofLargeFile := gitIn(t, f.dir, "big\n", "commit-tree", tree)
	header := func(tree string) string {
		return "tree " + tree + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n"
	}
	largeCommit := hashed(t, f.dir, "commit", header(tree)+strings.Repeat("m", MaxCommit))
	largeTag := hashed(t, f.dir, "tag", "object "+f.first+"\ntype commit\ntag x\ntagger A <a@b> 1 +0000\n\n"+strings.Repeat("m", MaxCommit))
	largeTree := hashed(t, f.dir, "tree", strings.Repeat("100644 "+strings.Repeat("n", 1<<16)+"\x00"+strings.Repeat("\x01", 20), MaxTree>>16))
	ofLargeTree := hashed(t, f.dir, "commit", header(largeTree))
	tagOfLargeFile := hashed(t, f.dir, "tag", "object "+blob+"\ntype blob\ntag x\ntagger A <a@b> 1 +0000\n\n")
	bothWays(t, f.dir, func(t *testing.T, r *Repo) {
		for _, c := range []struct {
			what string
			read func() error
			want string
		}{
			{"a file", func() error { _, _, err := r.File(ofLargeFile, "big"); return err }, fmt.Sprintf("big has %d bytes; at most %d are read", large, MaxFile)},
			{"a commit", func() error { _, err := r.Commit(largeCommit); return err }, "commit " + largeCommit[:12] + " has 4194"},
			{"a tag", func() error { _, err := r.Commit(largeTag); return err }, "tag " + largeTag[:12] + " has 4194"},
			{"a tree", func() error { _, _, err := r.File(ofLargeTree, "x"); return err }, "tree " + largeTree[:12] + " has 1678"},
			{"a tree, compared", func() error { _, err := r.ChangedPaths(f.first, ofLargeTree); return err }, "tree " + largeTree[:12]},
		} {
			var err error
			took := allocated(func() { err = c.read() })
			var typed *TooLargeError
			if !errors.Is(err, ErrTooLarge) || !errors.As(err, &typed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want %q", c.what, err, c.want)
			}
			if took > 2<<20 {
				t.Errorf("%s: %d bytes were allocated to refuse it", c.what, took)
			}
		}
		if has, err := r.Has(ofLargeFile, "big"); !has || err != nil {
			t.Errorf("Has of the large file = %v, %v", has, err)
		}
		var not *NotCommitError
		if _, err := r.Commit(tagOfLargeFile); !errors.As(err, &not) {
			t.Errorf("a tag of the large file: %v", err)
		}
		if c, err := r.Commit(f.merge); err != nil || c.OID != f.merge {
			t.Errorf("reading on: %v", err)
		}
	})
}

func TestTagsOfTagsAreFollowedSoFar(t *testing.T) {
	f := newFixture(t)
	at, kind := f.first, "commit"
	var chain []string
	for range maxPeel + 1 {
		at = hashed(t, f.dir, "tag", fmt.Sprintf("object %s\ntype %s\ntag x\ntagger A <a@b> 1 +0000\n\nm\n", at, kind))
		kind = "tag"
		chain = append(chain, at)
	}
	bothWays(t, f.dir, func(t *testing.T, r *Repo) {
		if c, err := r.Commit(chain[maxPeel-2]); err != nil || c.OID != f.first {
			t.Errorf("%d tags: %v", maxPeel-1, err)
		}
		if _, err := r.Commit(chain[maxPeel]); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d tags: %v", maxPeel+1, err)
		}
	})
}

// bomb is a tree of so many levels, each with 100 times the tree below.
func bomb(t testing.TB, dir, leaf string, levels int) string {
	t.Helper()
	at := leaf
	for range levels {
		var rows strings.Builder
		for i := range 100 {
			fmt.Fprintf(&rows, "040000 tree %s\td%02d\n", at, i)
		}
		at = gitIn(t, dir, rows.String(), "mktree")
	}
	return at
}

func TestATreeBombIsCountedAndNotExpanded(t *testing.T) {
	f := newFixture(t)
	blob := hashed(t, f.dir, "blob", "x")
	file := gitIn(t, f.dir, "100644 blob "+blob+"\tf\n", "mktree")
	empty := gitIn(t, f.dir, "", "mktree")
	for name, leaf := range map[string]string{"of files": file, "of empty directories": empty} {
		c := gitIn(t, f.dir, "bomb\n", "commit-tree", bomb(t, f.dir, leaf, 5))
		t.Run(name, func(t *testing.T) {
			bothWays(t, f.dir, func(t *testing.T, r *Repo) {
				if got, err := r.ChangedPaths("", c); !errors.Is(err, ErrTooLarge) {
					t.Errorf("%d changed paths, %v", len(got), err)
				}
				if got, err := r.List(c, ""); !errors.Is(err, ErrTooLarge) {
					t.Errorf("%d files, %v", len(got), err)
				}
			})
		})
	}
}

// packWith makes a pack of a blob of zeros and of a small one that is a delta
// upon it, and returns the small one's id.
func packWith(t testing.TB, dir string, base int64) (small string) {
	t.Helper()
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x02")
	entry := func(kind byte, size int64, more []byte, content io.Reader) {
		c := kind<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			pack.WriteByte(c | 0x80)
			c = byte(size & 0x7f)
		}
		pack.WriteByte(c)
		pack.Write(more)
		z := zlib.NewWriter(&pack)
		if _, err := io.Copy(z, content); err != nil {
			t.Fatal(err)
		}
		z.Close()
	}
	first := pack.Len()
	entry(3, base, nil, io.LimitReader(zero{}, base))
	delta := append(binary.AppendUvarint(nil, uint64(base)), binary.AppendUvarint(nil, 3)...)
	delta = append(delta, 3, 'a', 'b', 'c')
	back := pack.Len() - first
	ofs := []byte{byte(back & 0x7f)}
	for back >>= 7; back > 0; back >>= 7 {
		back--
		ofs = append([]byte{0x80 | byte(back&0x7f)}, ofs...)
	}
	entry(ofsDelta, int64(len(delta)), ofs, bytes.NewReader(delta))
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	c := exec.Command("git", "index-pack", "--stdin")
	c.Dir, c.Stdin = dir, &pack
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("index-pack: %v\n%s", err, out)
	}
	return gitIn(t, dir, "abc", "hash-object", "--stdin")
}

// A small file may be a delta upon an object of any size. This process does not
// make that, and the git that does is held to a bound.
func TestADeltaUponAHugeObject(t *testing.T) {
	f := newFixture(t)
	const base = 160 << 20
	blob := packWith(t, f.dir, base)
	c := gitIn(t, f.dir, "c\n", "commit-tree", gitIn(t, f.dir, "100644 blob "+blob+"\tsmall\n", "mktree"))
	bothWays(t, f.dir, func(t *testing.T, r *Repo) {
		var got []byte
		var err error
		took := allocated(func() { got, _, err = r.File(c, "small") })
		if string(got) != "abc" || err != nil || took > 2<<20 {
			t.Errorf("%q, %v, with %d bytes allocated here", got, err, took)
		}
	})
	src, err := openPlumbing(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	src.(*gitPlumbing).memory = 64 << 20
	r := &Repo{ctx: context.Background(), gitDir: f.dir, src: src}
	defer r.Close()
	if got, _, err := r.File(c, "small"); !errors.Is(err, ErrTooLarge) || strings.Contains(err.Error(), "\n") {
		t.Errorf("with too little memory: %q, %v", got, err)
	}
	if _, err := r.Commit(c); err != nil {
		t.Errorf("reading on: %v", err)
	}
}

// Modes that git reads as a directory's are a directory's, however they are
// written.
func TestOddModes(t *testing.T) {
	f := newFixture(t)
	blob := hashed(t, f.dir, "blob", "x")
	raw := func(oid string) string {
		var b strings.Builder
		for i := 0; i < len(oid); i += 2 {
			var c byte
			fmt.Sscanf(oid[i:i+2], "%02x", &c)
			b.WriteByte(c)
		}
		return b.String()
	}
	inner := hashed(t, f.dir, "tree", "100664 f\x00"+raw(blob))
	for _, mode := range []string{"40000", "040000", "40755", "4000000040000", "0000000000000000000000040000"} {
		tree := hashed(t, f.dir, "tree", mode+" d\x00"+raw(inner))
		c := hashed(t, f.dir, "commit", "tree "+tree+"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n")
		gits := runGit(t, f.dir, "ls-tree", "-r", "--name-only", c)
		bothWays(t, f.dir, func(t *testing.T, r *Repo) {
			got, err := r.ChangedPaths("", c)
			if strings.Join(got, "\n") != gits || err != nil {
				t.Errorf("mode %s: %q, %v; git says %q", mode, got, err, gits)
			}
			if has, err := r.Has(c, "d/f"); !has || err != nil {
				t.Errorf("mode %s: Has = %v, %v", mode, has, err)
			}
		})
	}
}

func TestManyRefs(t *testing.T) {
	f := newFixture(t)
	runGit(t, f.dir, "pack-refs", "--all")
	packed, err := os.OpenFile(filepath.Join(f.dir, "packed-refs"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	const n = 60_000 // more than 8 MiB of packed-refs hold
	in := bufio.NewWriter(packed)
	for i := range n { // behind all the others: the file says that it is sorted
		fmt.Fprintf(in, "%s refs/zmany/%0120d\n", f.first, i)
	}
	if err := errors.Join(in.Flush(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	bothWays(t, f.dir, func(t *testing.T, r *Repo) {
		seen := 0
		if err := r.EachRef("refs/zmany/", func(Ref) error { seen++; return nil }); err != nil || seen != n {
			t.Errorf("%d refs, %v", seen, err)
		}
		enough := errors.New("enough")
		if err := r.EachRef("refs/", func(Ref) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("broken off: %v", err)
		}
		if oid, found, err := r.ResolveRef("refs/heads/main"); oid != f.merge || !found || err != nil {
			t.Errorf("main: %v, %v, %v", oid, found, err)
		}
	})
}

// Every object of a repository with long chains of deltas is read as git reads
// it.
func TestDirectReadsWhatGitReads(t *testing.T) {
	f := newFixture(t)
	var in strings.Builder
	text := strings.Repeat("a line of some length that is the same in all of them\n", 200)
	for i := range 60 {
		content := text + fmt.Sprintf("and %d\n", i) + text[:i*50]
		fmt.Fprintf(&in, "commit refs/heads/long\ncommitter A <a@b> %d +0000\ndata 2\nm\nM 100644 inline file\ndata %d\n%s\n", 1700000000+i, len(content), content)
	}
	gitIn(t, f.dir, in.String(), "fast-import", "--quiet")
	runGit(t, f.dir, "repack", "-adfq", "--depth=100", "--window=50")
	src, err := openDirect(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	deltas := 0
	for line := range strings.Lines(runGit(t, f.dir, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize) %(deltabase)") + "\n") {
		w := strings.Fields(line)
		if strings.Trim(w[3], "0") != "" {
			deltas++
		}
		kind, size, err := src.stat(w[0])
		if err != nil || kind != w[1] || fmt.Sprint(size) != w[2] {
			t.Errorf("stat %s: %s %d, %v", line, kind, size, err)
		}
		kind, data, err := src.object(w[0]) // it compares the id
		if err != nil || kind != w[1] || fmt.Sprint(len(data)) != w[2] {
			t.Errorf("read %s: %s of %d bytes, %v", line, kind, len(data), err)
		}
	}
	if deltas < 50 {
		t.Errorf("%d deltas only", deltas)
	}
	if packs, _ := filepath.Glob(filepath.Join(f.dir, "objects/pack/*.idx")); len(packs) != 1 {
		t.Errorf("packs %v", packs)
	}
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte("base"), []byte{4, 3, 3, 'a', 'b', 'c'})
	f.Add([]byte("base"), []byte{4, 8, 0x90, 4, 0x91, 0, 4})
	f.Add([]byte("base"), []byte{4, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		out, err := applyDelta(base, delta)
		if err == nil && (len(out) > maxDirect || cap(out) > maxDirect+1) {
			t.Errorf("%d bytes came of %d and %d", len(out), len(base), len(delta))
		}
	})
}

// A repository's reading ends with the work that it is for: a walk that is under
// way, a git that does not answer, and a list of refs.
func TestReadingEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	big := gitIn(t, f.dir, "bomb\n", "commit-tree", bomb(t, f.dir, gitIn(t, f.dir, "", "mktree"), 3))
	stopped := errors.New("stopped by a test")
	for name, read := range map[string]func(*Repo) error{
		"a commit":    func(r *Repo) error { _, err := r.Commit(f.first); return err },
		"a file":      func(r *Repo) error { _, _, err := r.File(f.first, "README"); return err },
		"changes":     func(r *Repo) error { _, err := r.ChangedPaths("", big); return err },
		"extent":      func(r *Repo) error { _, err := r.Extent(big, ExtentBounds{Bytes: 1 << 30}); return err },
		"refs":        func(r *Repo) error { _, err := r.Refs("refs/"); return err },
		"a ref":       func(r *Repo) error { _, _, err := r.ResolveRef("refs/heads/main"); return err },
		"HEAD":        func(r *Repo) error { _, err := r.DefaultBranch(); return err },
		"an ancestor": func(r *Repo) error { _, err := r.IsAncestor(f.first, f.merge); return err },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			r, err := Open(ctx, f.dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			stop(stopped)
			if err := read(r); !errors.Is(err, stopped) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("in the middle of a walk", func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		src := &counting{after: 3, then: func() { stop(stopped) }}
		var err error
		if src.source, err = openDirect(ctx, f.dir); err != nil {
			t.Fatal(err)
		}
		r := &Repo{ctx: ctx, gitDir: f.dir, src: src}
		defer r.Close()
		if _, err := r.ChangedPaths("", big); !errors.Is(err, stopped) || src.read > src.after {
			t.Errorf("%v after %d objects, and %d more", err, src.after, src.read-src.after)
		}
	})
	t.Run("a git that does not answer", func(t *testing.T) {
		bin := t.TempDir()
		// It says that it is there, and then nothing.
		script := "#!/bin/sh\n: >" + bin + "/started\nexec sleep 600\n"
		if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		ctx, stop := context.WithCancelCause(t.Context())
		src, err := openPlumbing(ctx, f.dir)
		if err != nil {
			t.Fatal(err)
		}
		r := &Repo{ctx: ctx, gitDir: f.dir, src: src}
		defer r.Close()
		go func() {
			for { // a fact, with nothing that tells of it
				if _, err := os.Stat(filepath.Join(bin, "started")); err == nil {
					stop(stopped)
					return
				}
				runtime.Gosched()
			}
		}()
		if _, err := r.Commit(f.first); !errors.Is(err, stopped) {
			t.Errorf("got %v", err)
		}
	})
}

// counting is a source that does something after it was read some times.
type counting struct {
	source
	read, after int
	then        func()
}

func (c *counting) object(oid string) (string, []byte, error) {
	if c.read++; c.read == c.after {
		defer c.then()
	}
	return c.source.object(oid)
}
