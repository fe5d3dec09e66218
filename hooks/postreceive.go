package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runner"
	"quire/internal/spool"
)

// Exit statuses of the hooks. git ignores post-receive's, for by then the refs
// have moved; scripts that call the hook may not.
const (
	statusDone        = 0
	statusNotRecorded = 1 // the push is accepted and quire does not know of it
)

// PostReceive is the post-receive hook. It returns the exit status: that of the
// earlier hook that `quire install` chained, if it failed, else whether the
// push is recorded.
func PostReceive(c Call) int {
	shrug()
	r := &reception{call: c, term: &terminal{w: c.Stderr}}
	recorded := r.record()
	r.tell()
	switch {
	case r.byRun: // nobody watches
	case recorded && !r.own():
		r.showHandedOver()
	case recorded && r.faulty == nil:
		r.show()
	}
	switch {
	case r.chainStatus != 0:
		return r.chainStatus
	case !recorded && len(r.errors) > 0:
		return statusNotRecorded
	}
	return statusDone
}

// reception is one push on its way through the hook.
type reception struct {
	call    Call
	term    *terminal
	runner  runner.Runner
	conf    *config.Config
	faulty  error // what is wrong with the configuration; the spool may be known all the same
	push    event.Push
	options event.PushOptions

	listener *os.File // the runner's, who has recorded the push; nil: nobody listened, or the push is our own
	byRun    bool     // a run of quire's puts a tag: the chained hook's business, and nobody else's

	chainStatus int
	errors      []string // for the pusher, in the order in which they were met
	warnings    []string
	hints       []string
}

func (r *reception) fail(err error) { r.errors = append(r.errors, strings.Split(err.Error(), "\n")...) }
func (r *reception) warn(err error) {
	r.warnings = append(r.warnings, strings.Split(err.Error(), "\n")...)
}

// record puts the push into the spool and runs the chained hook. The chained
// hook comes first, as it did before quire was installed; so that its death, or
// ours while it takes its time, loses nothing, the push is announced before it
// and becomes a waiting one after it.
func (r *reception) record() bool {
	before := earlier(r.call.Args[0], "post-receive")
	input, err := r.read()
	if err != nil {
		r.fail(err)
	}
	event.Reached(event.StepRefLines)
	s, possible := r.prepare()
	if r.byRun = possible && r.own() && r.isByRun(s); r.byRun {
		if before != "" {
			heed()
			r.chain(before, input)
		}
		return true
	}
	announcedAlready, own := false, r.own()
	if possible && own {
		var p event.Push
		if p, announcedAlready = announced(s); announcedAlready {
			r.push.ID = p.ID
		}
	}
	if before != "" {
		if possible && own && !announcedAlready {
			announcedAlready = s.Intend(r.push) == nil // an error comes again below, if it lasts
		}
		heed()
		r.chain(before, input)
	}
	if !possible {
		return false
	}
	r.push.Unwatched = r.wait() == event.WaitNone
	if !own {
		if err := r.handOver(); err != nil {
			r.fail(err)
			return false
		}
		return true
	}
	if announcedAlready {
		err = s.Fulfil(r.push)
	} else {
		err = s.Write(r.push)
	}
	if err != nil {
		r.fail(notRecorded(err, r.conf.StateDir))
		return false
	}
	event.Reached(event.StepSpooled)
	if r.faulty != nil {
		r.fail(errors.New("the push is recorded and waits until quire's configuration is right: " + firstFault(r.faulty)))
	}
	return true
}

// chain runs the hook that was there before ours.
func (r *reception) chain(path string, input []byte) {
	if dir, ok := strings.CutSuffix(filepath.Dir(path), ChainSuffix); ok {
		if err := LinkSiblings(dir); err != nil {
			r.warn(fmt.Errorf("the hook %s does not see all of %s: %w; run quire install again as the repository's owner", path, dir, err))
		}
	}
	status, hint, err := runEarlier(path, r.call, input)
	r.chainStatus = status
	if hint != "" {
		r.hints = append(r.hints, hint)
	}
	if err != nil {
		r.fail(err)
	}
}

// read takes in everything that git tells of the push.
func (r *reception) read() (input []byte, err error) {
	updates, input, err := readUpdates(r.call.Stdin)
	r.push = event.Push{At: time.Now(), Pusher: pusher(os.Getenv, nil), Updates: updates}
	r.push.ID = event.NewID(r.push.At)
	r.push.Options, r.options = r.readOptions()
	return input, err
}

// readOptions reads the push options. One that cannot be heeded is told, and
// costs the push nothing.
func (r *reception) readOptions() ([]string, event.PushOptions) {
	raw, err := pushOptions(os.LookupEnv)
	if err != nil {
		r.warn(err)
	}
	parsed, err := event.ParseOptions(raw)
	if err != nil {
		r.warn(err)
	}
	return raw, parsed
}

// prepare finds the spool, and whether there is anything to put into it.
func (r *reception) prepare() (spool.Dir, bool) {
	gitDir, err := repository(os.Getenv("GIT_DIR"))
	if err == nil {
		r.push.GitDir = gitDir
		if r.runner, err = runner.Of(gitDir); err == nil {
			err = r.runner.Settled(gitDir)
		}
		if err != nil {
			err = errors.New("quire has not recorded this push, and nothing runs for it: " + err.Error())
		}
	}
	if r.runner.Off {
		return "", false
	}
	if err != nil {
		r.fail(err)
		return "", false
	}
	r.conf, r.faulty = settings(r.runner)
	if !r.own() {
		// The file may be one that only the runner reads: how long to wait is all
		// that it would tell.
		if r.conf == nil || r.faulty != nil {
			c := config.Defaults()
			r.conf = &c
		}
		r.term.stall = r.conf.Hook.StallLimit.D()
		return "", len(r.push.Updates) > 0
	}
	if r.conf == nil {
		r.fail(errors.New("quire has not recorded this push, and nothing runs for it: " + firstFault(r.faulty)))
	}
	if r.conf == nil || len(r.push.Updates) == 0 {
		return "", false
	}
	r.push.Pusher = pusher(os.Getenv, r.conf.Hook.PusherFrom)
	r.term.stall = r.conf.Hook.StallLimit.D()
	return spool.Dir(r.conf.StateDir), true
}

// isByRun reports whether quire itself makes this push; see spool.OwnVariable.
func (r *reception) isByRun(s spool.Dir) bool {
	name := os.Getenv(spool.OwnVariable)
	return name != "" && s.IsOwn(name, r.push.GitDir, r.push.Updates)
}

// tell prints what went wrong. git's client colours the first word.
func (r *reception) tell() {
	const most = 10 // a screen; what feeds the hook rubbish feeds it much
	for i, text := range r.errors {
		if i == most && len(r.errors) > most+1 {
			r.term.line(fmt.Sprintf("error: and %d more such errors", len(r.errors)-most))
			break
		}
		r.term.line("error: " + text)
	}
	for _, text := range r.warnings {
		r.term.line("warning: " + text)
	}
	for _, text := range r.hints {
		r.term.line("hint: " + text)
	}
}

// wait is how long the pusher wants to watch: as the push says, else as the
// configuration does.
func (r *reception) wait() event.Wait {
	if r.options.Wait != "" {
		return r.options.Wait
	}
	return event.Wait(r.conf.Hook.Wait)
}

// show sees that a worker runs, and shows the pusher as much of what becomes of
// the push as was asked for.
func (r *reception) show() {
	wait := r.wait()
	k := &keeper{conf: r.conf, calm: wait == event.WaitNone}
	var ctx context.Context
	if wait == event.WaitNone {
		obey()
	} else {
		ctx = heed()
	}
	if !workerRuns(r.conf.StateDir) {
		if err := k.start(); err != nil {
			r.term.line("error: the push is recorded and waits: " + err.Error())
			return
		}
	}
	if wait != event.WaitNone {
		r.watch(ctx, k, wait)
	}
}

// notRecorded is the sentence for a push that could not be spooled: what
// failed, where, and what to do.
func notRecorded(err error, stateDir string) error {
	todo := "see to it, and push another commit"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		todo = "make room there, and push another commit"
	case errors.Is(err, syscall.EROFS):
		todo = "make " + stateDir + " writable, or name another state_dir, and push another commit"
	case errors.Is(err, fs.ErrPermission):
		todo = "pushing as " + userName(os.Geteuid()) + ", who may not write there" + owner(stateDir) +
			"; give that user a state_dir of its own, or let everybody push as one user"
	}
	// The path says where; the id of a push that is not there helps nobody.
	cause := err
	var path *fs.PathError
	if errors.As(err, &path) {
		cause = path
	}
	return errors.New("quire has not recorded this push, and nothing runs for it: " + cause.Error() + " (" + todo + ")")
}

// owner names whose directory it is, if that can be known.
func owner(dir string) string {
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if st, err := os.Stat(dir); err == nil {
			if sys, ok := st.Sys().(*syscall.Stat_t); ok {
				return " (" + dir + " belongs to " + userName(int(sys.Uid)) + ")"
			}
		}
	}
	return ""
}
