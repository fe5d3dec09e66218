package gitrepo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// goGitIndexLimit is the total size of pack indexes, in bytes, up to which
// go-git is the cheaper way. An index takes 28 bytes an object (SHA-1, version
// 2), so this is some 7,000 objects. `go test -bench Open ./internal/gitrepo`,
// opening and reading one file: at 5,000 objects go-git takes 2.3 ms and the
// plumbing 3.1; at 9,000 they take 4.1 and 2.9; at 100,000, 22 and 3.7.
const goGitIndexLimit = 192 << 10

// cheapForGoGit looks at file names, sizes and the config file. Any doubt
// speaks for git's own plumbing, which reads everything.
func cheapForGoGit(gitDir string) bool {
	// A linked worktree's refs and objects are elsewhere; a shallow history has
	// grafted ends that go-git's walk reports as missing; a borrowed object
	// store has indexes of unknown size.
	for _, sign := range []string{"commondir", "shallow", "reftable", "objects/info/alternates", "info/grafts"} {
		if _, err := os.Lstat(filepath.Join(gitDir, sign)); err == nil {
			return false
		}
	}
	config, err := os.ReadFile(filepath.Join(gitDir, "config"))
	if err != nil {
		return false
	}
	// [extensions] announces SHA-256, reftable, worktreeConfig and whatever
	// comes, "promisor" a partial clone; [include] could hide them.
	config = bytes.ToLower(config)
	for _, word := range []string{"extensions", "promisor", "partialclone", "include"} {
		if bytes.Contains(config, []byte(word)) {
			return false
		}
	}
	packs, err := os.ReadDir(filepath.Join(gitDir, "objects", "pack"))
	if err != nil {
		return false
	}
	var size int64
	for _, p := range packs {
		if !strings.HasSuffix(p.Name(), ".idx") {
			continue
		}
		info, err := p.Info()
		if err != nil {
			return false
		}
		if size += info.Size(); size > goGitIndexLimit {
			return false
		}
	}
	return true
}
