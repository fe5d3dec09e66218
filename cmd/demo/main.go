// Command demo shows quire's main job on a machine that has nothing but git: a
// bare repository with a pipeline, a forge that demands a token, a push whose
// jobs can be watched, and the branch and tag that arrive at the forge. It is
// run by ./install.sh --demo, works in a temporary directory, and leaves nothing
// behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	keep := flag.Bool("keep", false, "leave the directory")
	flag.Parse()
	// A terminal's ctrl-C reaches git and the hook as well; here it means: clean up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, *keep)
	switch {
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	s, err := newStage()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.clear(keep)) }()
	url, err := s.openForge()
	if err != nil {
		return err
	}
	if err := s.build(ctx, url); err != nil {
		return err
	}

	fmt.Print("$ cat .quire/ci.fnl\n", pipeline(url), "\n$ git push origin main\n")
	if err := s.watch(ctx, s.checkout, "git", "push", "origin", "main"); err != nil {
		return fmt.Errorf("the push: %w", err)
	}
	fmt.Println()
	if err := s.showArrival(ctx); err != nil {
		return err
	}
	if err := s.showSecrecy(); err != nil {
		return err
	}
	if keep {
		fmt.Printf("\nAll of it stays in %s; look with:\n  QUIRE_CONFIG=%s %s runs\n", s.dir, s.config, s.quire)
	}
	return nil
}
