package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"quire/hooks/install"
	"quire/internal/account"
	"quire/internal/config"
	"quire/internal/runner"
)

// subject is what one user runs.
type subject struct {
	user  account.Account
	conf  string // the configuration that the repositories' records name; "": the usual one
	repos []string
}

// examineAll looks at the named repositories, or at all that are known, each as
// the user who runs it. Root looks as every such user, anybody else as
// themselves. alone is for those whom root asks.
func examineAll(ctx context.Context, repos []string, alone bool) ([]finding, error) {
	in := installer{}
	if err := in.prepare(); err != nil {
		return nil, err
	}
	e := &exam{ctx: ctx, me: in.me}
	if alone {
		e.examine(repos)
		return e.findings, nil
	}
	// Who names a configuration asks about that one.
	all := len(repos) == 0
	if all && os.Getenv("QUIRE_CONFIG") == "" {
		repos = e.registered()
	}
	mine, others := e.byRunner(repos)
	if in.me.UID != 0 {
		if all || len(mine.repos) > 0 {
			e.examine(mine.repos)
		}
		for _, o := range others {
			if o.user.UID == in.me.UID { // with another configuration
				e.ask(&in, o)
				continue
			}
			for _, path := range o.repos {
				e.try(&in, path, o.user)
			}
		}
		return e.findings, nil
	}
	if owner, path, ok := configuredFor(); ok && owner.UID != 0 {
		// The configuration that root named is that of another user.
		others = append(others, subject{owner, path, mine.repos})
	} else if len(mine.repos) > 0 || len(others) == 0 || config.Find() != "" {
		e.examine(mine.repos)
	}
	for _, o := range others {
		e.ask(&in, o)
	}
	for _, path := range repos {
		e.tryAll(&in, path)
	}
	return e.findings, nil
}

// registered looks at the list of repositories. Those that are gone are no
// reason to look further.
func (e *exam) registered() []string {
	list, err := registered()
	if err != nil {
		e.warn("repositories", "", "%v", err)
	}
	var here []string
	for _, l := range list {
		switch l.State {
		case install.StateGone:
			e.warn("repositories", "quire repositories forget "+l.Path, "%s is gone", l.Path)
		case install.StateOff:
			e.ok("repositories", "%s was uninstalled; its hook stays for others", l.Path)
		case install.StateUnknown:
			if e.me.UID == 0 {
				e.warn("repositories", "", "%s: %s", l.Path, l.Error)
			}
		default:
			here = append(here, l.Path)
		}
	}
	return here
}

// byRunner sorts repositories by who runs them. One that cannot be read is told
// of as this user's.
func (e *exam) byRunner(repos []string) (mine subject, others []subject) {
	mine.user = e.me
	usual := config.Find()
	for _, path := range repos {
		repo, err := install.Find(path)
		if errors.Is(err, fs.ErrPermission) {
			e.bad("push", "", "a push to %s by %s is not recorded: %v", path, e.me, err)
			continue
		}
		if err != nil {
			mine.repos = append(mine.repos, path) // the look at its hook says what is wrong
			continue
		}
		who, err := runner.Of(repo.GitDir)
		switch {
		case err != nil:
			e.bad("runner", "", "%v", err)
			continue
		case who.Ignored != "":
			e.bad("runner", "as root or the owner: quire install "+repo.GitDir, "%s, so nothing says who runs its pipelines", who.Ignored)
		}
		if who.UID == e.me.UID && (who.Config == usual || who.Config == "" || os.Getenv("QUIRE_CONFIG") != "") {
			mine.repos = append(mine.repos, repo.GitDir)
			continue
		}
		n := slices.IndexFunc(others, func(o subject) bool { return o.user.UID == who.UID && o.conf == who.Config })
		if n < 0 {
			user, _ := account.ByUID(who.UID) // one without an entry is named by number
			others, n = append(others, subject{user, who.Config, nil}), len(others)
		}
		others[n].repos = append(others[n].repos, repo.GitDir)
	}
	return mine, others
}

// configuredFor is whose state directory the configuration names that root was
// told of.
func configuredFor() (account.Account, string, bool) {
	if os.Getenv("QUIRE_CONFIG") == "" {
		return account.Account{}, "", false
	}
	cfg, err := config.LoadPublic()
	if err != nil {
		return account.Account{}, "", false
	}
	st, err := os.Stat(cfg.StateDir)
	if err != nil {
		return account.Account{}, "", false
	}
	path, err := filepath.Abs(cfg.Path)
	owner, _ := account.ByUID(int(st.Sys().(*syscall.Stat_t).Uid)) // one without an entry is named by number
	return owner, path, err == nil
}

// ask has another user look at what that user runs.
func (e *exam) ask(in *installer, o subject) {
	cmd := o.user.Command(in.self, append([]string{"doctor", "--json", "--alone", "--"}, o.repos...)...)
	if o.conf != "" {
		cmd.Env = append(cmd.Env, "QUIRE_CONFIG="+o.conf)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := account.Within(cmd, 5*time.Minute) // that user can stop it
	var ee *exec.ExitError
	if errors.As(err, &ee) && ee.ExitCode() == exitFailed {
		err = nil // something is wrong, which stands in the findings
	}
	for dec := json.NewDecoder(&stdout); err == nil; {
		var f finding
		if err = dec.Decode(&f); err == nil {
			f.User = o.user.String()
			e.findings = append(e.findings, f)
		}
	}
	if !errors.Is(err, io.EOF) {
		e.bad("user", "", "%s cannot run %s doctor: %v", o.user, in.self, explain(o.user, in.self, fmt.Errorf("%w %s", err, bytes.TrimSpace(stderr.Bytes()))))
	}
}

// try looks whether a push by this user would be recorded.
func (e *exam) try(in *installer, path string, who account.Account) {
	repo, err := install.Find(path)
	var note string
	if err == nil {
		note, err = in.tryPush(repo, in.me)
	}
	if errors.Is(err, errNotAsRoot) {
		e.warn("push", "", "a push to %s by %s was not tried: %v", path, in.me, err)
		return
	}
	if err != nil {
		e.bad("push", "", "a push to %s by %s is not recorded: %v", path, in.me, err)
		return
	}
	e.ok("push", "a push to %s by %s is recorded, and run by %s", path, in.me, who)
	if note != "" {
		e.warn("push", listenCure(who), "%s", note)
	}
}

// tryAll looks whether a push would be recorded by everybody who may push.
func (e *exam) tryAll(in *installer, path string) {
	repo, err := install.Find(path)
	if err != nil || !repo.Hooked() {
		return // the look at its hook says so
	}
	if open := repo.Exposed(); open != "" {
		e.warn("hook", "chmod g-w,o-w, or +t on the repository's directory, where members need not delete branches", "%s", open)
	}
	who, err := runner.Of(repo.GitDir)
	if err != nil {
		return // told already
	}
	opened, err := repo.Open()
	if err != nil {
		e.bad("push", "", "%v", err)
		return
	}
	defer opened.Close()
	pushers, err := in.pushersOf(repo, ownerOf(repo, opened), who)
	if err != nil {
		e.bad("push", "", "%v", err)
		return
	}
	for _, user := range pushers {
		as := &exam{ctx: e.ctx, me: user}
		if note, err := in.tryPush(repo, user); errors.Is(err, errNotAsRoot) {
			as.ok("push", "a push to %s was not tried: %v", repo.GitDir, err)
		} else if err != nil {
			as.bad("push", "", "a push to %s is not recorded: %v", repo.GitDir, err)
		} else {
			as.ok("push", "a push to %s is recorded", repo.GitDir)
			if note != "" {
				as.warn("push", listenCure(account.Account{Name: who.Name, UID: who.UID}), "%s", note)
			}
		}
		e.findings = append(e.findings, as.findings...)
	}
}

// listenCure is what has a runner listen.
func listenCure(runner account.Account) string {
	return "as root: systemctl enable --now quire-listen-" + unitName(runner) + ".socket, or have that user keep: quire worker --listen --socket " + systemSocket(runner)
}

// whoseFile says to whom something belongs that this user may not use.
func whoseFile(path string) string {
	for ; ; path = filepath.Dir(path) {
		st, err := os.Stat(path)
		if err == nil {
			owner, _ := account.ByUID(int(st.Sys().(*syscall.Stat_t).Uid)) // one without an entry is named by number
			return fmt.Sprintf("%s belongs to %s; as that user: %s", path, owner, typed(owner))
		}
		if path == "/" {
			return ""
		}
	}
}
