package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkOpen is opening a repository of n objects in one pack and reading one
// file, each way.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{100, 5_000, 100_000} {
		dir, tip := packOf(b, n)
		for _, way := range []struct {
			name string
			open func(context.Context, string) (source, error)
		}{{"direct", openDirect}, {"plumbing", openPlumbing}} {
			b.Run(fmt.Sprintf("%s/objects=%d", way.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					src, err := way.open(context.Background(), dir)
					if err != nil {
						b.Fatal(err)
					}
					r := &Repo{ctx: context.Background(), gitDir: dir, src: src}
					if _, found, err := r.File(tip, "dir/1"); !found || err != nil {
						b.Fatal(found, err)
					}
					r.Close()
				}
			})
		}
	}
}

// packOf makes a bare repository whose one pack has about n objects.
func packOf(t testing.TB, n int) (dir, tip string) {
	dir = filepath.Join(t.TempDir(), "big.git")
	runGit(t, t.TempDir(), "init", "-q", "--bare", "-b", "main", dir)
	var in bytes.Buffer
	for i := range n {
		fmt.Fprintf(&in, "blob\nmark :%d\ndata %d\n%d\n", i+1, len(fmt.Sprint(i))+1, i)
	}
	in.WriteString("commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\ndata 3\nbig\n")
	for i := range n {
		fmt.Fprintf(&in, "M 100644 :%d dir%.0d/%d\n", i+1, i/1000, i)
	}
	gitIn(t, dir, in.String(), "fast-import", "--quiet")
	runGit(t, dir, "repack", "-adq")
	return dir, runGit(t, dir, "rev-parse", "main")
}
