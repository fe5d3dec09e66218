package supervise

import (
	"fmt"
	"strings"

	"quire/internal/gitrepo"
	"quire/pipeline"
)

// PipelineFile is where a repository keeps its pipeline.
const PipelineFile = ".quire/ci.fnl"

// sourceAt is the pipeline of a commit, with the modules that it may require:
// of the same commit, never of the file system.
func sourceAt(repo *gitrepo.Repo, commit string) (pipeline.Source, error) {
	text, found, err := repo.File(commit, PipelineFile)
	if err != nil {
		return pipeline.Source{}, err
	}
	if !found {
		return pipeline.Source{}, fmt.Errorf("there is no %s at %.12s", PipelineFile, commit)
	}
	return pipeline.Source{
		Name: PipelineFile, Text: text,
		Lib: func(module string) ([]byte, string, bool) {
			for _, file := range pipeline.LibFiles(module) {
				if text, found, err := repo.File(commit, file); err == nil && found {
					return text, file, true
				}
			}
			return nil, "", false
		},
	}, nil
}

// isProtected reports whether the pipeline at commit is the default branch's
// own: the same .quire/ci.fnl and .quire/lib, by object id and mode. What
// cannot be read is not.
func isProtected(repo *gitrepo.Repo, commit string) bool {
	head, found, err := repo.ResolveRef("HEAD")
	if err != nil || !found {
		return false
	}
	changed, err := repo.ChangedPaths(head, commit)
	if err != nil {
		return false
	}
	for _, path := range changed {
		if path == ".quire" || path == PipelineFile || path == ".quire/lib" || strings.HasPrefix(path, ".quire/lib/") ||
			strings.HasPrefix(path, PipelineFile+"/") {
			return false
		}
	}
	return true
}
