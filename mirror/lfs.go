package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"quire/internal/gitrepo"
)

// sendLFS brings the Git LFS objects of the moves' commits to the target before
// the commits: a copy with pointers to nothing is no copy, and most servers do
// not notice. Moves whose objects cannot be brought are refused.
func (d *delivery) sendLFS(ctx context.Context, moves []*move) {
	var with []*move
	for _, m := range moves {
		if m.result == nil && !m.deletes() && m.d.Put != m.d.Want && d.usesLFS(m.d.Want) {
			with = append(with, m)
		}
	}
	if len(with) == 0 {
		return
	}
	refuse := func(c Class, detail string) {
		for _, m := range with {
			d.pusher.refuse(m, refusedOrPending(c), c, detail)
		}
	}
	if _, err := exec.LookPath("git-lfs"); err != nil {
		refuse(ClassLFS, "the commits keep files in Git LFS, and git-lfs is not installed here, so the files cannot be sent")
		return
	}
	there, err := d.sentWithLFS(ctx)
	var names []string
	if err == nil {
		names, err = d.pusher.sess.nameForLFS(with, there)
	}
	if err != nil {
		refuse(ClassLocal, err.Error())
		return
	}
	args := append([]string{"lfs", "push", lfsRemote}, names...)
	limited, cancel := context.WithTimeoutCause(ctx, d.attempt, errTooLong)
	defer cancel()
	out := d.pusher.sess.lfs(limited, args...)
	switch {
	case out.err != nil:
		for _, m := range with {
			d.pusher.interrupted(m, out.err)
		}
	case out.exit != 0:
		said := out.stdout + out.stderr
		c := d.pusher.classify(said)
		if c == ClassUnknown || c == ClassBroken {
			c = ClassLFS
		}
		refuse(c, "git lfs push: "+cause(said))
	}
}

// usesLFS reports whether the commit's attributes keep files in LFS. Only the
// file at the top is read, where git-lfs writes them. What cannot be read here
// is for the push to meet.
func usesLFS(r *gitrepo.Repo, oid string) bool {
	attributes, found, err := r.File(oid, ".gitattributes")
	return err == nil && found && bytes.Contains(attributes, []byte("filter=lfs"))
}

func (d *delivery) usesLFS(oid string) bool {
	r, err := d.repo()
	if err != nil {
		return false
	}
	yes, known := d.lfs[oid]
	if !known {
		yes = usesLFS(r, oid)
		if d.lfs == nil {
			d.lfs = map[string]bool{}
		}
		d.lfs[oid] = yes
	}
	return yes
}

// sentWithLFS is where the target's branches are, by short name, as far as they
// are where they were put and what was sent with them is in LFS: the objects of
// their histories are there. The ledger alone does not do: a repository that was
// made anew there has none of them.
func (d *delivery) sentWithLFS(ctx context.Context) (map[string]string, error) {
	rows, err := d.rows(ctx, d.req.GitDir, d.to.url)
	if err != nil {
		return nil, err
	}
	was := map[string]string{}
	for ref, row := range rows {
		if strings.HasPrefix(ref, "refs/heads/") && row.Put != "" && len(was) < knownTips && d.usesLFS(row.Put) {
			was[ref] = row.Put
		}
	}
	out := map[string]string{}
	if len(was) == 0 {
		return out, nil
	}
	there, err := d.pusher.sess.refs(ctx, nil)
	if err != nil {
		return out, nil // what is wrong with the target, git-lfs meets too
	}
	for ref, oid := range was {
		if there[ref] == oid {
			out[strings.TrimPrefix(ref, "refs/heads/")] = oid
		}
	}
	return out, nil
}

// lfsRemote is what the session's configuration calls the target for git-lfs,
// which leaves out what the refs of that remote reach.
const lfsRemote = "lfs"

// nameForLFS readies the session's git directory for git-lfs, which takes names
// and no ids, and looks for its objects beside the repository's.
func (s *session) nameForLFS(moves []*move, there map[string]string) (names []string, err error) {
	own := filepath.Join(s.dir, "git")
	write := func(path, text string, how int) {
		path = filepath.Join(own, path)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err != nil {
			return
		}
		f, openErr := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o600)
		if err = openErr; err == nil {
			_, writeErr := f.WriteString(text)
			err = errors.Join(writeErr, f.Close())
		}
	}
	url := s.to.url
	if s.to.kind == "file" {
		url = "file://" + strings.TrimPrefix(url, "file://") // git-lfs takes no path
	}
	write("objects/info/alternates", objectsOf(s.gitDir)+"\n", os.O_TRUNC)
	write("config", fmt.Sprintf("[lfs]\n\tstorage = %q\n[remote %q]\n\turl = %q\n",
		filepath.Join(commonDir(s.gitDir), "lfs"), lfsRemote, url), os.O_APPEND)
	for i, m := range moves {
		name := fmt.Sprintf("lfs-%d", i)
		write("refs/heads/"+name, m.d.Want+"\n", os.O_TRUNC)
		names = append(names, name)
	}
	for name, oid := range there {
		write("refs/remotes/"+lfsRemote+"/"+name, oid+"\n", os.O_TRUNC)
	}
	return names, err
}

// lfs runs git-lfs in the session's git directory. It is not named by GIT_DIR:
// git-lfs hands its environment to what it starts in a file remote, which would
// take the one for the other.
func (s *session) lfs(ctx context.Context, args ...string) output {
	var env []string
	for _, v := range s.env {
		if !strings.HasPrefix(v, "GIT_DIR=") && !strings.HasPrefix(v, "GIT_OBJECT_DIRECTORY=") {
			env = append(env, v)
		}
	}
	return s.run(ctx, filepath.Join(s.dir, "git"), env, args...)
}
