package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/runlog"
)

func newArtifactCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "artifact",
		Short: "Get the files that jobs kept with their run",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newArtifactGetCommand())
	return cmd
}

func newArtifactGetCommand() *cobra.Command {
	var output, job string
	cmd := &cobra.Command{
		Use:               "get RUN PATH",
		Short:             "Copy a kept file out",
		Long:              "Copy a file that (runtime.artifact path) kept, to --output or standard output.",
		Example:           "  quire artifact get 42 dist/app.tar.gz -o app.tar.gz",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return onRun(ctx, args[0], func(d *desk, run event.Run) (err error) {
				jobs, err := d.store.Jobs(ctx, run.ID)
				if err != nil {
					return err
				}
				var fits []artifact
				for _, a := range artifacts(runlog.RunDir(d.cfg.StateDir, run.ID), jobs) {
					if a.Path == filepath.Clean(args[1]) && (job == "" || a.Job == job) {
						fits = append(fits, a)
					}
				}
				switch len(fits) {
				case 1:
					return copyOut(fits[0].file, output, cmd.OutOrStdout())
				case 0:
					if why := runlog.RunDir(d.cfg.StateDir, run.ID).Removed(); why != "" {
						return failedError{error: fmt.Errorf("run %d: %s", run.Number, why)}
					}
					return usageError{fmt.Errorf("run %d kept no %s; quire show %d lists what it kept", run.Number, args[1], run.Number)}
				}
				return usageError{fmt.Errorf("%d jobs of run %d kept %s: say which with --job", len(fits), run.Number, args[1])}
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().StringVar(&job, "job", "", "the `JOB` that kept it, where several did")
	return cmd
}

// copyOut copies a file to a named one, made at the first byte, or to w.
func copyOut(from, to string, w io.Writer) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if to != "" {
		f, err := os.Create(to)
		if err != nil {
			return err
		}
		defer func() {
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}()
		w = f
	}
	_, err = io.Copy(w, in)
	return err
}

// walkFiles calls found for each regular file under root, with its path below
// it. A root that is missing has none.
func walkFiles(root string, found func(path, file string, st os.FileInfo)) {
	// Errors are not told: what cannot be read is not offered.
	_ = filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		st, err := e.Info()
		if err != nil {
			return nil
		}
		found(strings.TrimPrefix(file, root+string(filepath.Separator)), file, st)
		return nil
	})
}
