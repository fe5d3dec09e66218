package hooks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"quire/internal/installtest"
)

// town is a machine with users: alice and bob are a team, git serves others, web
// has no home.
type town struct {
	t *testing.T
	*installtest.Box
	umask int
}

// towns runs a test as root with two masks.
func towns(t *testing.T, test func(t *testing.T, b *town)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be several users")
	}
	for _, umask := range []int{0o022, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			dir, err := os.MkdirTemp("", "quire-users-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			team := []string{"team"}
			box, err := installtest.Open(dir,
				installtest.User{Name: "alice", UID: 61931, Home: dir + "/home/alice", Groups: team},
				installtest.User{Name: "bob", UID: 61932, Home: dir + "/home/bob", Groups: team},
				installtest.User{Name: "gitter", UID: 61933, Home: dir + "/home/gitter"},
				installtest.User{Name: "web", UID: 61934, Home: "/nonexistent"})
			if err != nil {
				t.Fatal(err)
			}
			b := &town{t, box, umask}
			if err := os.Mkdir(filepath.Join(dir, "srv"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(box.Etc("gitconfig"), []byte("[init]\n\tdefaultBranch = main\n[user]\n\tname = t\n\temail = t@t\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			test(t, b)
		})
	}
}

// as runs a program as a user and returns what it printed and its exit status.
func (b *town) as(user, program string, args ...string) (string, int) {
	b.t.Helper()
	if program == "quire" {
		program = filepath.Join(prefix, "bin/quire")
	}
	cmd := b.Command(user, b.umask, []string{"QUIRE_BIN=/bin/true"}, program, args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		b.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (b *town) must(user, program string, args ...string) string {
	b.t.Helper()
	out, status := b.as(user, program, args...)
	if status != 0 {
		b.t.Fatalf("%s: %s %s: exit %d\n%s", user, program, strings.Join(args, " "), status, out)
	}
	return out
}

// repository makes a bare one of a user's in srv; shared is a group that may push.
func (b *town) repository(user, name, shared string) string {
	b.t.Helper()
	path := filepath.Join(b.Dir, "srv", name)
	u := b.Users[user]
	if err := os.Mkdir(path, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chown(path, u.UID, u.UID); err != nil {
		b.t.Fatal(err)
	}
	if shared == "" {
		b.must(user, "git", "init", "-q", "--bare", path)
		return path
	}
	b.must(user, "git", "init", "-q", "--bare", "--shared=group", path)
	b.must("root", "chgrp", "-R", shared, path)
	b.must("root", "sh", "-c", `find "$1" -type d -exec chmod g+s {} +`, "sh", path)
	b.trust(path)
	return path
}

// trust lets git serve a repository to others than its owner.
func (b *town) trust(path string) {
	b.t.Helper()
	f, err := os.OpenFile(b.Etc("gitconfig"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "[safe]\n\tdirectory = %s\n", path); err != nil {
		b.t.Fatal(err)
	}
}

// push pushes a new commit to a branch as a user.
func (b *town) push(user, repo, branch string) string {
	b.t.Helper()
	co := filepath.Join(b.Dir, "co-"+user)
	if err := os.RemoveAll(co); err != nil {
		b.t.Fatal(err)
	}
	b.must("root", "git", "init", "-q", co)
	b.must("root", "git", "-C", co, "commit", "-q", "--allow-empty", "-m", branch)
	b.must("root", "chmod", "-R", "a+rX", co)
	b.must("root", "chown", "-R", user, co)
	return b.must(user, "git", "-C", co, "push", "-q", "-o", "ci.wait=none", repo, "HEAD:refs/heads/"+branch)
}

// stat is a file's owner, mode as chmod has it, and type.
func (b *town) stat(path string) (uid int, mode uint32) {
	b.t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		b.t.Fatalf("%s: %v", path, err)
	}
	return int(st.Uid), st.Mode & 0o7777
}

func (b *town) expect(path string, user string, mode uint32) {
	b.t.Helper()
	uid, got := b.stat(path)
	if uid != b.Users[user].UID || got != mode {
		b.t.Errorf("%s belongs to %d and has mode %04o; want %s (%d) and %04o", path, uid, got, user, b.Users[user].UID, mode)
	}
}

func (b *town) says(out string, wants ...string) {
	b.t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			b.t.Errorf("nothing like %q in\n%s", want, out)
		}
	}
}

func (b *town) spooled(state string) int {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "spool", "new", "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(found)
}

// Root installs for somebody: what is in the repository stays that user's, and a
// push as that user is recorded where the record says.
func TestRootInstallsForTheOwner(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		repo := b.repository("gitter", "project.git", "")
		hook := filepath.Join(repo, "hooks", "post-receive")
		if err := os.WriteFile(hook, []byte("#!/bin/sh\necho earlier\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(hook, b.Users["gitter"].UID, -1); err != nil {
			t.Fatal(err)
		}
		state := b.Users["gitter"].Home + "/.local/state/quire"
		out := b.must("root", "quire", "install", repo)
		b.says(out, "installed in "+repo+": post-receive", "its pipelines run as gitter", "tried as gitter: a push is recorded")
		for path, mode := range map[string]uint32{"hooks/post-receive": 0o777, "hooks.before-quire": 0o755, "quire-drop": 0o1733, "quire-install.json": 0o644} {
			if path == "quire-install.json" {
				_, config := b.stat(filepath.Join(repo, "config"))
				mode = 0o600 | config&0o044
			}
			if path == "hooks.before-quire" {
				_, mode = b.stat(filepath.Join(repo, "hooks"))
			}
			b.expect(filepath.Join(repo, path), "gitter", mode)
		}
		b.expect(filepath.Join(repo, "quire.toml"), "root", 0o644)
		record, err := os.ReadFile(filepath.Join(repo, "quire.toml"))
		if err != nil {
			t.Fatal(err)
		}
		b.says(string(record), `runner = "gitter"`, "uid = 61933", fmt.Sprintf("state_dir = %q", state))
		if _, err := os.Stat(state); err == nil {
			t.Error("trying left something behind")
		}
		out = b.push("gitter", repo, "main")
		b.says(out, "remote: earlier")
		if n := b.spooled(state); n != 1 {
			t.Errorf("%d pushes are recorded:\n%s", n, out)
		}
		// Again nothing changes; the owner may do it, and take it out.
		before := b.must("root", "find", repo, "-path", "*/objects/*", "-o", "-printf", "%p %m %u %T@ %i %l\n")
		b.says(b.must("gitter", "quire", "install", repo), "already in", "tried as gitter")
		if after := b.must("root", "find", repo, "-path", "*/objects/*", "-o", "-printf", "%p %m %u %T@ %i %l\n"); after != before {
			t.Errorf("before\n%safter\n%s", before, after)
		}
		b.must("gitter", "quire", "uninstall", repo)
		for _, gone := range []string{"quire.toml", "quire-drop", "quire-install.json", "hooks.before-quire"} {
			if _, err := os.Lstat(filepath.Join(repo, gone)); err == nil {
				t.Errorf("%s is still there", gone)
			}
		}
		b.expect(hook, "gitter", 0o755)
	})
}

// In a shared repository every member is tried, and what keeps one out is named.
func TestEveryMemberOfTheGroupIsTried(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		repo := b.repository("alice", "shared.git", "team")
		out := b.must("root", "quire", "install", repo)
		b.says(out, "its pipelines run as alice", "tried as alice: a push is recorded", "tried as bob: a push is recorded",
			"others than the owner may write to "+repo+" (mode 0775)")
		b.says(b.must("alice", "quire", "install", repo), "not tried as bob, which only root can do")

		// Somebody named who is not in the group,
		out, status := b.as("root", "quire", "install", "--pusher", "gitter", repo)
		want := "gitter may not write in " + repo + "/objects, so git refuses the push"
		if b.umask == 0o077 { // nor read HEAD
			want = "git refuses it: '" + repo + "' does not appear to be a git repository"
		}
		b.says(out, "a push to "+repo+" by gitter is not recorded: "+want)
		if status == 0 {
			t.Error("it is no failure")
		}

		// a repository in a home that is closed,
		home := b.Users["alice"].Home
		if err := os.Chmod(home, 0o700); err != nil {
			t.Fatal(err)
		}
		moved := filepath.Join(home, "moved.git")
		b.must("root", "mv", repo, moved)
		b.trust(moved)
		out, status = b.as("root", "quire", "install", moved)
		b.says(out, "tried as alice: a push is recorded",
			"a push to "+moved+" by bob is not recorded: "+home+" (mode 0700) is not open to bob: chmod o+x "+home)
		if status == 0 {
			t.Error("it is no failure")
		}
		if err := os.Chmod(home, 0o711); err != nil {
			t.Fatal(err)
		}
		b.says(b.must("root", "quire", "install", moved), "tried as bob: a push is recorded")

		// a hook that is not executable, and programs in a place that is closed.
		closed := filepath.Join(b.Dir, "closed")
		b.must("root", "sh", "-c", `umask 077; mkdir "$2"; cp -r "$1" "$2/p"; chmod 755 "$2/p"`, "sh", prefix, closed)
		b.must("root", "chown", "-R", "alice", closed) // alice installed for herself
		out, status = b.as("root", closed+"/p/bin/quire", "install", moved)
		b.says(out, "a push to "+moved+" by bob is not recorded: "+closed+" (mode 0700) is not open to bob: chmod o+x "+closed)
		if status == 0 {
			t.Error("it is no failure")
		}
	})
}

// A drop directory that is not the runner's is no place for a push.
func TestADropDirectoryOfSomebodyElseIsFound(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		repo := b.repository("alice", "shared.git", "team")
		b.must("root", "quire", "install", repo)
		b.must("bob", "sh", "-c", `mv "$1/quire-drop" "$1/was"; mkdir "$1/quire-drop"; chmod 1733 "$1/quire-drop"`, "sh", repo)
		check := func() (string, int) {
			return b.as("bob", "env", "GIT_DIR="+repo, filepath.Join(repo, "hooks/post-receive"), "--check")
		}
		out, status := check()
		b.says(out, "hand a push over to alice: "+repo+"/quire-drop belongs to user 61932")
		if status == 0 {
			t.Error("it is no failure")
		}
		b.must("root", "quire", "install", repo)
		if out, status := check(); status != 0 {
			t.Errorf("after another quire install: %s", out)
		}
	})
}

// Nobody becomes a runner by somebody else's doing but root's.
func TestWhoMayInstallForWhom(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		repo := b.repository("alice", "shared.git", "team")
		for _, c := range []struct {
			user   string
			args   []string
			status int
			want   string
		}{
			{"bob", nil, 3, "install: " + repo + " belongs to alice; become that user or root"},
			{"bob", []string{"--runner", "bob"}, 3, "belongs to alice"},
			{"alice", []string{"--runner", "bob"}, 2, "only root can let bob run what is pushed to " + repo + "; as root: quire install --runner bob " + repo},
			{"alice", []string{"--runner", "root", "--reason", "x"}, 2, "only root can let root run"},
			{"root", []string{"--runner", "root"}, 2, repo + " belongs to alice, and with root as its runner whoever pushes there runs code as root; if that is meant, say why with --reason TEXT"},
			{"root", []string{"--runner", "nobody-of-this-name"}, 2, "there is no user nobody-of-this-name"},
		} {
			out, status := b.as(c.user, "quire", append(append([]string{"install"}, c.args...), repo)...)
			if status != c.status || !strings.Contains(out, c.want) {
				t.Errorf("%s %v: exit %d\n%s", c.user, c.args, status, out)
			}
			if _, err := os.Lstat(filepath.Join(repo, "hooks/post-receive")); err == nil {
				t.Fatalf("%s %v: a hook was installed", c.user, c.args)
			}
		}
		b.says(b.must("root", "quire", "install", "--runner", "root", "--reason", "it mirrors by root's key", repo), "its pipelines run as root")
		b.must("root", "quire", "install", repo) // keeps what was said
		record, err := os.ReadFile(filepath.Join(repo, "quire.toml"))
		if err != nil {
			t.Fatal(err)
		}
		b.says(string(record), `runner = "root"`, `reason = "it mirrors by root's key"`)
		// The owner may install again, and not change it.
		b.must("alice", "quire", "install", repo)
		if again, _ := os.ReadFile(filepath.Join(repo, "quire.toml")); string(again) != string(record) {
			t.Errorf("alice changed\n%s", again)
		}
		b.says(b.must("root", "quire", "install", "--runner", "bob", repo), "its pipelines run as bob")
		b.expect(filepath.Join(repo, "quire-drop"), "bob", 0o1733)
		out, status := b.as("bob", "quire", "uninstall", repo)
		if status == 0 {
			t.Errorf("bob uninstalled: %s", out)
		}
		b.must("alice", "quire", "uninstall", repo)
	})
}

// A user without a home can be the runner, and keeps things in the system's
// directories, whatever its environment says.
func TestARunnerWithoutAHome(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		repo := b.repository("web", "site.git", "")
		out := b.must("root", "quire", "install", repo)
		b.says(out, "its pipelines run as web", "tried as web: a push is recorded")
		b.expect(b.Etc("quire"), "root", 0o755)
		b.expect(b.Etc("quire/web.toml"), "root", 0o644)
		b.expect(b.VarLib("quire-web"), "web", 0o700)
		out = b.push("web", repo, "main")
		if n := b.spooled(b.VarLib("quire-web")); n != 1 {
			t.Errorf("%d pushes are recorded:\n%s", n, out)
		}
		b.says(b.must("web", "quire", "secrets", "list"), "no secrets are declared")
	})
}

// Links that members of the group, or the owner, put where root writes lead
// nowhere.
func TestRootFollowsNoLinks(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		precious := filepath.Join(b.Dir, "precious")
		if err := os.WriteFile(precious, []byte("[core]\n\tbare = true\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		closed := filepath.Join(b.Dir, "roots")
		if err := os.Mkdir(closed, 0o755); err != nil {
			t.Fatal(err)
		}
		intact := func(what string) {
			t.Helper()
			if text, err := os.ReadFile(precious); err != nil || string(text) != "[core]\n\tbare = true\n" {
				t.Errorf("%s: root's file holds %q, %v", what, text, err)
			}
			b.expect(precious, "root", 0o600)
			b.expect(closed, "root", 0o755)
			if entries, err := os.ReadDir(closed); err != nil || len(entries) > 0 {
				t.Errorf("%s: root's directory holds %v, %v", what, entries, err)
			}
		}
		repo := b.repository("alice", "shared.git", "team")
		for _, name := range []string{"quire.toml", "quire-install.json"} {
			b.must("bob", "ln", "-s", precious, filepath.Join(repo, name))
		}
		b.must("bob", "ln", "-s", closed, filepath.Join(repo, "quire-drop"))
		b.as("root", "quire", "install", repo)
		intact("links in place")
		b.must("alice", "rm", "-f", repo+"/quire-drop", repo+"/quire-install.json")
		b.must("root", "quire", "install", repo)
		b.expect(filepath.Join(repo, "quire.toml"), "root", 0o644)
		b.must("bob", "sh", "-c", `mv "$1/quire-drop" "$1/was"; ln -s "$2" "$1/quire-drop"`, "sh", repo, closed)
		if out, status := b.as("root", "quire", "install", repo); status == 0 {
			t.Errorf("a link for a drop directory: %s", out)
		}
		intact("the drop directory")

		// The owner's hooks directory leads into root's, and config to root's file:
		// uninstalling would write what the record says there.
		other := b.repository("alice", "other.git", "")
		b.must("alice", "sh", "-c", `rm -r "$1/hooks"; ln -s "$2" "$1/hooks"`, "sh", other, closed)
		if out, status := b.as("root", "quire", "install", other); status == 0 {
			t.Errorf("hooks that are root's: %s", out)
		}
		intact("hooks")
		b.must("alice", "sh", "-c", `rm "$1/hooks"; mkdir "$1/hooks"`, "sh", other)
		b.must("root", "quire", "install", other)
		b.must("alice", "sh", "-c", `rm "$1/config"; ln -s "$2" "$1/config"
printf '{"config_before": "%s", "config_after": "%s"}' "$(echo '[core] sshCommand = evil' | base64)" "$3" >"$1/quire-install.json"`,
			"sh", other, precious, "0000")
		b.as("root", "quire", "uninstall", other)
		intact("the repository's config")
	})
}

// Root's doctor looks as each runner, names the user of each line, and knows what
// is gone. Nobody is told to take what is another user's.
func TestDoctorLooksAsEachRunner(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		own := filepath.Join(b.Dir, "p") // a list of repositories of its own
		b.must("root", "sh", "-c", `cp -r "$1" "$2"; rm -rf "$2/share"; chmod -R a+rX "$2"`, "sh", prefix, own)
		quire := filepath.Join(own, "bin/quire")
		gitters := b.repository("gitter", "project.git", "")
		shared := b.repository("alice", "shared.git", "team")
		gone := b.repository("alice", "gone.git", "")
		b.must("root", quire, "install", gitters, shared, gone)
		b.must("root", "rm", "-r", gone)
		b.push("gitter", gitters, "main")
		out, _ := b.as("root", quire, "doctor")
		for _, want := range []string{
			`ok    gitter  hook          ` + gitters,
			`ok    alice   hook          ` + shared,
			`ok    gitter  push          a push to ` + gitters + ` is recorded`,
			`ok    alice   push          a push to ` + shared + ` is recorded`,
			`ok    bob     push          a push to ` + shared + ` is recorded`,
			`bad   gitter  spool         1 pushes wait and no worker runs`,
			gone + ` is gone`,
			`quire repositories forget ` + gone,
		} {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("nothing like %q in\n%s", want, out)
			}
		}
		for _, never := range []string{"chown", "chmod 700", ".db away"} {
			if strings.Contains(out, never) {
				t.Errorf("%q in\n%s", never, out)
			}
		}
		b.says(b.must("root", quire, "repositories", "forget"), "forgotten: "+gone)
		if out := b.must("root", quire, "repositories"); strings.Contains(out, gone) {
			t.Error(out)
		}

		// Somebody who is not the runner hears whose it is, and how a push fares.
		out, _ = b.as("bob", quire, "doctor", shared)
		b.says(out, "a push to "+shared+" by bob is recorded, and run by alice")
		b.must("gitter", "sh", "-c", `mkdir -p ~/.config/quire; echo "state_dir = \"$HOME/.local/state/quire\"" >~/.config/quire/config.toml; chmod -R a+rX ~/.config`)
		b.must("root", "chmod", "711", b.Users["gitter"].Home)
		out, status := b.as("bob", "env", "QUIRE_CONFIG="+b.Users["gitter"].Home+"/.config/quire/config.toml", quire, "doctor")
		if status != 1 || !strings.Contains(out, "belongs to gitter; as that user: runuser -u gitter -- quire doctor") ||
			strings.Contains(out, "chown") || strings.Contains(out, "chmod") || strings.Contains(out, ".db") {
			t.Errorf("exit %d\n%s", status, out)
		}

		// A token file that root made is there, and nothing to the runner.
		token := filepath.Join(b.Dir, "token")
		if err := os.WriteFile(token, []byte("a-token-of-the-mirror\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.must("gitter", "sh", "-c", `printf '[secrets.mirror_token]\nfile = "%s"\n' "$1" >>~/.config/quire/config.toml`, "sh", token)
		b.must("root", quire, "install", gitters) // its record names the file
		out, status = b.as("root", quire, "doctor", gitters)
		want := "bad gitter secrets secret mirror_token: open " + token + ": permission denied; make it readable for the user the worker runs as"
		if status != 1 || !strings.Contains(strings.Join(strings.Fields(out), " "), want) || strings.Contains(out, "1 declared") {
			t.Errorf("exit %d, want %q\n%s", status, want, out)
		}
	})
}
