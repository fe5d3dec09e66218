package supervise

import (
	"fmt"

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
		Lib: func(module string) ([]byte, string, error) {
			for _, file := range pipeline.LibFiles(module) {
				if text, found, err := repo.File(commit, file); err != nil || found {
					return text, file, err
				}
			}
			return nil, "", pipeline.ErrNoModule
		},
	}, nil
}
