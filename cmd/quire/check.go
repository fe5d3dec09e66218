package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"quire/internal/config"
	"quire/internal/memory"
	"quire/pipeline"
)

func newCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with a pipeline, with line, column and cure",
		Long: `Compile and evaluate a pipeline, without running a job, and say everything that
is wrong with it, and what is odd: an input that is no job, a variable that no
other job will see, a number that Lua 5.4 prints in another way. It may take the
time and memory that [eval] of the configuration allows. FILE is the checkout's .quire/ci.fnl unless named; "-" reads
standard input.

Exit status 1 if something is wrong; what is only odd is told as a warning.`,
		Example: `  quire check
  quire check .quire/ci.fnl --json | jq -r '"\(.line): \(.message)"'
  git show HEAD:.quire/ci.fnl | quire check -`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"fnl"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file := ""
			if len(args) > 0 {
				file = args[0]
			}
			src, err := pipelineSource(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			limits := config.Defaults().Eval
			if cfg, err := config.Load(); err == nil { // a checkout on another machine has none
				limits = cfg.Eval
			}
			p, warnings, err := checkPipeline(cmd.Context(), src, limits)
			out := cmd.OutOrStdout()
			if asJSON {
				return checkJSON(out, src.Name, warnings, err)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, plainLines(err.Error()))
				return errFailed
			}
			if len(warnings) > 0 {
				fmt.Fprintln(os.Stderr, plainLines(warnings.Error()))
			}
			var ids []string
			for _, j := range p.Jobs {
				ids = append(ids, j.ID)
			}
			_, err = fmt.Fprintf(out, "%s is sound: %s\n", src.Name, counted(len(ids), "job")+listed(ids))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each fault and each warning")
	return cmd
}

// checkPipeline loads a pipeline within the limits of [eval], as the supervisor of
// a run does. What takes too much memory may be a library call that nothing stops:
// it is left behind, for this process is about to end.
func checkPipeline(ctx context.Context, src pipeline.Source, limits config.Eval) (*pipeline.Pipeline, pipeline.Diagnostics, error) {
	type result struct {
		p        *pipeline.Pipeline
		warnings pipeline.Diagnostics
		err      error
	}
	over := make(chan int64, 1)
	finished := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		memory.Watch(int64(limits.Memory), 10*time.Millisecond, finished, func(resident int64) { over <- resident })
	})
	loaded := make(chan result, 1)
	go func() { // waited for, except when nothing ends it
		var r result
		if r.p, r.err = pipeline.Load(ctx, src, pipeline.Limits{Stretch: limits.Timeout.D()}); r.err == nil {
			r.warnings = r.p.Warnings()
		}
		loaded <- r
	}()
	select {
	case r := <-loaded:
		close(finished)
		watching.Wait()
		return r.p, r.warnings, r.err
	case resident := <-over:
		return nil, nil, pipeline.Diagnostics{{File: src.Name, Message: fmt.Sprintf(
			"It took more memory than [eval] memory allows: %d MiB of %d MiB.", resident>>20, limits.Memory>>20)}}
	}
}

func listed(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ": " + plain(strings.Join(ids, ", "))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func checkJSON(w io.Writer, name string, warnings pipeline.Diagnostics, err error) error {
	var faults pipeline.Diagnostics
	switch {
	case err == nil:
		for _, d := range warnings {
			if err := printJSON(w, d); err != nil {
				return err
			}
		}
		return nil
	case errors.As(err, &faults):
	default: // a compile error of Fennel, or a runaway
		faults = pipeline.Diagnostics{{File: name, Message: err.Error()}}
	}
	for _, d := range faults {
		if err := printJSON(w, d); err != nil {
			return err
		}
	}
	return errFailed
}

// pipelineSource reads a pipeline from a file, standard input ("-"), or the
// checkout around the working directory (""). Modules come from the .quire/lib
// beside it.
func pipelineSource(file string, stdin io.Reader) (pipeline.Source, error) {
	if file == "" {
		root, err := checkoutRoot()
		if err != nil {
			return pipeline.Source{}, err
		}
		file = filepath.Join(root, pipelineFile)
	}
	src := pipeline.Source{Name: file}
	var err error
	if file == "-" {
		src.Name = "stdin"
		src.Text, err = io.ReadAll(stdin)
		return src, err
	}
	if src.Text, err = os.ReadFile(file); err != nil {
		return src, usageError{err}
	}
	root := filepath.Dir(filepath.Dir(file)) // of .quire/ci.fnl
	src.Lib = func(module string) ([]byte, string, error) {
		for _, lib := range pipeline.LibFiles(module) {
			text, err := os.ReadFile(filepath.Join(root, lib))
			if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				return text, lib, err
			}
		}
		return nil, "", pipeline.ErrNoModule
	}
	return src, nil
}

const pipelineFile = ".quire/ci.fnl"

// checkoutRoot is the nearest directory, from the working directory up, that
// holds a pipeline.
func checkoutRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, pipelineFile)); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", usageError{fmt.Errorf("no %s here or in a directory above %s", pipelineFile, start)}
		}
	}
}
