package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"quire/hooks/install"
	"quire/internal/account"
	"quire/internal/runner"
)

// installer installs repository after repository with the same options.
type installer struct {
	options  install.Options
	runner   string // as the command line names it; "": the one recorded, else the owner
	reason   string
	pushers  []string
	self     string // this program
	me       account.Account
	registry install.Registry
}

// installed is what became of one repository.
type installed struct {
	install.Result
	Runner string   `json:"runner,omitempty"`
	Proofs []proof  `json:"proofs,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

func (in *installer) prepare() (err error) {
	// What is made here is for others to read, whatever mask the caller has; what
	// is private says so.
	syscall.Umask(0o022)
	if in.options.Libexec, err = install.Libexec(); err != nil {
		return err
	}
	if in.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	in.me = account.Self()
	in.registry = install.RegistryOf(in.options.Libexec)
	return nil
}

func (in *installer) install(path string) (installed, error) {
	repo, err := install.Find(path)
	if err != nil {
		return installed{}, err
	}
	// From here on it is this directory, wherever its owner has the path lead.
	opened, err := repo.Open()
	if err != nil {
		return installed{}, err
	}
	defer opened.Close()
	owner := ownerOf(repo, opened)
	who, settled, err := in.choose(repo, opened, owner)
	if err != nil {
		return installed{}, err
	}
	var res installed
	if res.Result, err = in.asOwner(owner, repo, opened, "install"); err != nil {
		return installed{}, err
	}
	if repo.Elsewhere != "" {
		res.Hooks = []string{install.PostReceive}
	}
	if !settled {
		if err := in.record(opened, &who); err != nil {
			return res, err
		}
	}
	res.Runner = nameOf(who)
	if err := in.registry.Add(repo.GitDir, repo.Owner); err != nil {
		res.Notes = append(res.Notes, fmt.Sprintf("%v: removing the programs will not warn of this repository", err))
	}
	if open := repo.Exposed(); open != "" {
		res.Notes = append(res.Notes, open)
	}
	res.Proofs, err = in.prove(repo, owner, who)
	return res, err
}

func ownerOf(repo install.Repo, opened *install.Opened) account.Account {
	owner, err := account.ByUID(repo.Owner)
	if err == nil {
		return owner
	}
	// Without an entry the directory's group is as good a guess as any, but root's.
	if gid := opened.GID(); gid != 0 {
		owner.GID = gid
	}
	return owner
}

// choose decides who runs the repository's pipelines. settled says that this is
// recorded, by root, and not for this user to write again.
func (in *installer) choose(repo install.Repo, opened *install.Opened, owner account.Account) (who runner.Runner, settled bool, err error) {
	if in.me.UID != 0 && in.me.UID != owner.UID {
		return who, false, fmt.Errorf("install: %s belongs to %s; become that user or root", repo.GitDir, owner)
	}
	was, err := opened.Runner()
	if err != nil && in.me.UID != 0 {
		return who, false, err
	}
	user := owner
	switch {
	case in.runner != "":
		if user, err = account.ByName(in.runner); err != nil {
			return who, false, usageError{err}
		}
	case err == nil && was.Recorded && !was.Off:
		if user, err = account.ByUID(was.UID); err != nil {
			user.Name = was.Name
		}
	}
	if in.me.UID != 0 && user.UID != in.me.UID {
		if was.Recorded && was.UID == user.UID {
			return was, true, nil
		}
		return who, false, usageError{fmt.Errorf("only root can let %s run what is pushed to %s; as root: quire install --runner %s %s",
			user, repo.GitDir, in.runner, repo.GitDir)}
	}
	who = runner.Runner{Name: user.Name, UID: user.UID, Recorded: true}
	if user.UID == 0 && owner.UID != 0 {
		who.Reason = in.reason
		if who.Reason == "" {
			who.Reason = was.Reason
		}
		if strings.TrimSpace(who.Reason) == "" {
			return who, false, usageError{fmt.Errorf("%s belongs to %s, and with root as its runner whoever pushes there runs code as root; if that is meant, say why with --reason TEXT",
				repo.GitDir, owner)}
		}
	}
	return who, false, nil
}

// record writes down who the runner is and where that user keeps things, and
// makes the directory for other users' pushes.
func (in *installer) record(opened *install.Opened, who *runner.Runner) error {
	user, _ := account.ByUID(who.UID) // without an entry there is a number
	place, err := in.placeOf(user)
	if err != nil {
		return err
	}
	who.Config, who.StateDir, who.Repository = place.Config, place.StateDir, opened.GitDir()
	was, err := opened.Runner()
	switch {
	case in.me.UID == 0:
		who.Socket = systemSocket(user)
	case err == nil && was.Recorded && was.UID == who.UID:
		who.Socket = was.Socket
	}
	return opened.Record(*who, err == nil && was == *who)
}

// systemSocket is where the unit that install.sh writes listens for a runner.
func systemSocket(user account.Account) string {
	if user.Name == "" {
		return fmt.Sprintf("/run/quire/%d.sock", user.UID)
	}
	return "/run/quire/" + user.Name + ".sock"
}

func (in *installer) uninstall(path string) (install.Result, error) {
	repo, err := install.Find(path)
	if err != nil {
		return install.Result{}, err
	}
	opened, err := repo.Open()
	if err != nil {
		return install.Result{}, err
	}
	defer opened.Close()
	res, err := in.asOwner(ownerOf(repo, opened), repo, opened, "uninstall")
	if err != nil {
		return res, err
	}
	return res, in.registry.Forget(repo.GitDir)
}

// asOwner changes the repository as its owner: root's process does not follow
// the names in somebody else's directory.
func (in *installer) asOwner(owner account.Account, repo install.Repo, opened *install.Opened, doing string) (install.Result, error) {
	if in.me.UID == owner.UID {
		if doing == "uninstall" {
			return install.Uninstall(repo.GitDir)
		}
		return install.Install(repo.GitDir, in.options)
	}
	args := []string{doing, "--hooks-only", "--json"}
	if in.options.WriteAhead {
		args = append(args, "--write-ahead")
	}
	var res install.Result
	if err := in.ask(owner, opened.Path(), &res, append(args, "--", ".")...); err != nil {
		return res, err
	}
	// That process is the owner's, and so is what it says.
	res.GitDir, res.HooksDir = repo.GitDir, repo.HooksDir
	return res, opened.Still()
}

// ask runs this program as another user in a directory and reads the JSON that
// it prints.
func (in *installer) ask(user account.Account, dir string, answer any, args ...string) error {
	cmd := user.Command(in.self, args...)
	cmd.Dir = dir
	if path := os.Getenv("QUIRE_CONFIG"); path != "" {
		cmd.Env = append(cmd.Env, "QUIRE_CONFIG="+path)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if said := strings.TrimSpace(stderr.String()); err != nil && said != "" {
		return errors.New(strings.TrimPrefix(said, "quire: "))
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("run %s as %s: %w", in.self, user, explain(user, in.self, err))
	}
	if err == nil {
		err = json.Unmarshal(stdout.Bytes(), answer)
	}
	if err != nil {
		return fmt.Errorf("run %s as %s: %w", in.self, user, err)
	}
	return nil
}

// nameOf is a runner's name, of whom a repository without a record tells only the
// number.
func nameOf(who runner.Runner) string {
	if who.Name == "" {
		if user, err := account.ByUID(who.UID); err == nil {
			return user.Name
		}
	}
	return who.Who()
}
