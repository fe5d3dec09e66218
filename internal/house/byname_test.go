package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Jobs decide what lies under a name in a workspace, a sandbox's own directories and
// caches; package jobfile is the way to it. These files of the packages that meet
// such names use package os by name all the same, and this is what for.
var byName = map[string]string{
	"internal/cache/cache.go":    "the directories around caches, which no job sees",
	"internal/cache/collect.go":  "the same; what is removed is renamed first and then removed by jobfile",
	"internal/cache/copy.go":     "the new directory that a copy is made in, before anybody sees it",
	"internal/cache/holdings.go": "the directory of the domains, in which only quire makes any",
	"internal/cache/lock.go":     "locks beside the caches",

	"internal/executor/bwrap/anchor.go":       "what the machine or a rootfs has there; never in a writable mount of the run",
	"internal/executor/bwrap/bwrap.go":        "directories in scratch/, whose own names no job can change",
	"internal/executor/bwrap/confine.go":      "settings of the kernel, the program bwrap",
	"internal/executor/bwrap/hidden.go":       "which files of the machine are hidden",
	"internal/executor/bwrap/keptsettings.go": "the kept copy of /etc",
	"internal/executor/bwrap/layout.go":       "which directories of the machine are shown",
	"internal/executor/bwrap/memory.go":       "/proc",
	"internal/executor/bwrap/rootfs.go":       "directories in scratch/, before the first command",
	"internal/executor/bwrap/settings.go":     "the run's copy of /etc, before the first command",

	"internal/executor/docker/copyin.go":        "quire's own program",
	"internal/executor/docker/dockercontext.go": "the operator's settings of the docker command",
	"internal/executor/docker/engine.go":        "the engine's socket",
	"internal/executor/docker/helper.go":        "quire's own program",
	"internal/executor/docker/owner.go":         "/etc/machine-id, the name of the state directory",
	"internal/executor/docker/tls.go":           "the operator's certificates",

	"internal/executor/local/alternates.go": "the repository's, which jobs only read",
	"internal/executor/local/direct.go":     "/proc",
	"internal/executor/local/repository.go": "the repository's, and the view of it, which jobs only read",
	"internal/executor/local/streams.go":    "/dev/null",

	"internal/supervise/artifact.go":   "the kept files of the run, which no job sees",
	"internal/supervise/disk.go":       "the state directory",
	"internal/supervise/executor.go":   "which paths are hidden",
	"internal/supervise/lfs.go":        "a new workspace, before a job has been in it",
	"internal/supervise/local.go":      "whether a person's checkout has a pipeline, before its run",
	"internal/supervise/mirroring.go":  "whether a path that is pushed to is a repository of this box",
	"internal/supervise/submodules.go": "a new workspace, before a job has been in it, and which repository a submodule is of",
	"internal/supervise/supervise.go":  "the directory of the run",
	"internal/supervise/workspace.go":  "a new workspace, before a job or git has been in it",
}

// atNames are the calls that follow a name.
var atNames = map[string][]string{
	"os": {"Open", "OpenFile", "ReadFile", "WriteFile", "Create", "CreateTemp", "ReadDir", "Stat", "Lstat", "Mkdir", "MkdirAll", "Remove", "RemoveAll", "Rename",
		"Symlink", "Link", "Chmod", "Chown", "Lchown", "Chtimes", "Truncate", "Readlink", "DirFS", "CopyFS", "OpenRoot", "OpenInRoot"},
	"filepath": {"Walk", "WalkDir", "EvalSymlinks", "Glob"},
	"unix": {"Open", "Openat", "Openat2", "Creat", "Stat", "Lstat", "Statfs", "Mkdir", "Mkdirat", "Mkfifo", "Unlink", "Unlinkat", "Rmdir", "Rename", "Renameat", "Renameat2",
		"Symlink", "Symlinkat", "Link", "Linkat", "Chmod", "Chown", "Lchown", "Fchmodat", "Fchownat", "Fstatat", "Truncate", "Readlink", "Readlinkat"},
	"ioutil": {"ReadFile", "WriteFile", "ReadDir"},
}

func TestJobsFilesAreNotOpenedByName(t *testing.T) {
	found := map[string]bool{}
	for _, dir := range []string{"internal/supervise", "internal/cache", "internal/executor", "internal/executor/bwrap", "internal/executor/choose", "internal/executor/docker",
		"internal/executor/docker/inside", "internal/executor/host", "internal/executor/local"} {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			name := dir + "/" + filepath.Base(path)
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, ok := call.X.(*ast.Ident)
				if !ok || !slices.Contains(atNames[pkg.Name], call.Sel.Name) {
					return true
				}
				found[name] = true
				if byName[name] == "" {
					t.Errorf("%s:%d uses %s.%s: if a job can have made what lies there, use internal/jobfile; else say here whose file it is",
						name, set.Position(call.Pos()).Line, pkg.Name, call.Sel.Name)
				}
				return true
			})
		}
	}
	for name := range byName {
		if !found[name] {
			t.Errorf("%s opens nothing by name (any more): take it off the list", name)
		}
	}
}
