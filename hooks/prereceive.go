package hooks

import (
	"errors"
	"os"
	"time"

	"quire/internal/runner"
	"quire/internal/spool"
)

// PreReceive is the pre-receive hook of a repository installed with
// --write-ahead: it announces the push in the spool before git moves the refs,
// so that not even a crash between the two loses it. What it announced,
// post-receive fulfils; what is left over the worker settles by looking where
// the refs are.
//
// It refuses nothing by itself. The status is that of the earlier hook that was
// chained, whose refusal git obeys.
func PreReceive(c Call) int {
	shrug() // an interrupted push is git's to give up
	r := &reception{call: c, term: &terminal{w: c.Stderr}}
	input, _ := r.read() // post-receive tells what is wrong with the lines and options
	if before := earlier(c.Args[0], "pre-receive"); before != "" {
		heed()
		r.chain(before, input)
	}
	if r.chainStatus == 0 {
		if err := r.announce(); err != nil {
			r.warn(err)
		}
	}
	r.tell()
	return r.chainStatus
}

func (r *reception) announce() error {
	gitDir, err := repository(os.Getenv("GIT_DIR"))
	if err != nil {
		return err
	}
	r.push.GitDir = gitDir
	if r.runner, err = runner.Of(gitDir); err != nil || r.runner.Off || r.runner.Ignored != "" || !r.own() {
		return nil // post-receive tells; of a push by another user the runner learns when it is over
	}
	r.conf, r.faulty = settings(r.runner)
	if r.conf == nil || len(r.push.Updates) == 0 {
		return nil // post-receive tells
	}
	if r.isByRun(spool.Dir(r.conf.StateDir)) {
		return nil // post-receive will not take it up
	}
	r.push.At, r.push.Pusher = time.Now(), pusher(os.Getenv, r.conf.Hook.PusherFrom)
	r.push.ID = announcedID(r.push.At)
	if err := spool.Dir(r.conf.StateDir).Intend(r.push); err != nil {
		return errors.New("this push is not written ahead: " + err.Error())
	}
	return nil
}
