package bwrap_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
	"quire/internal/executor/local"
	"quire/internal/jobfile"
)

func sh(t *testing.T, x executor.Executor, script string, env ...string) (string, executor.Exit) {
	t.Helper()
	var out bytes.Buffer
	exit, err := x.Exec(t.Context(), executor.Command{
		Argv: []string{"sh", "-c", script}, Env: append([]string{"PATH=" + local.DefaultPath}, env...),
	}, &out, &out)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out.String(), exit
}

func start(t *testing.T, spec executor.Spec) executor.Executor {
	t.Helper()
	needBwrap(t)
	x := open(t, spec)
	t.Cleanup(func() {
		if err := x.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return x
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a job must not see, laid out as on a server: in the state directory,
// beside the repository, in the operator's home, and under /etc.
func TestNothingElseIsInSight(t *testing.T) {
	needBwrap(t)
	spec := executortest.NewSpec(t)
	state := filepath.Dir(spec.RunDir)
	home, etc := t.TempDir(), ""
	write(t, filepath.Join(state, "quire.db"), "SECRET-database")
	write(t, filepath.Join(state, "runs", "other.log"), "SECRET-log")
	write(t, filepath.Join(state, "other.git", "HEAD"), "SECRET-repository")
	write(t, filepath.Join(spec.GitDir, "HEAD"), "own repository")
	write(t, filepath.Join(home, "config.toml"), "SECRET-config")
	if os.Geteuid() == 0 {
		dir, err := os.MkdirTemp("/etc", "quire-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		etc = filepath.Join(dir, "config.toml")
		write(t, etc, "SECRET-etc")
	}
	socket := filepath.Join(home, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	spec.Hidden = []string{state, home, etc, "relative", "/does/not/exist"}
	x := start(t, spec)

	for _, path := range []string{
		filepath.Join(state, "quire.db"), filepath.Join(state, "runs", "other.log"), filepath.Join(state, "other.git", "HEAD"),
		filepath.Join(home, "config.toml"), socket, etc, "/var/run/docker.sock", "/run/docker.sock", "/root/.ssh", "/root/.bashrc",
		"/etc/shadow", "/var/lib", "/sys/fs", "/boot", "/srv/git",
	} {
		if path == "" {
			continue
		}
		if out, _ := sh(t, x, `[ ! -s "$P" ] || [ -d "$P" -a -z "$(ls -A "$P")" ] || { echo in sight; ls -la "$P"; }`, "P="+path); out != "" {
			t.Errorf("%s: %s", path, out)
		}
	}
	out, _ := sh(t, x, `find / -xdev -mmin -10 -type f ! -path '/proc/*' -exec grep -ls SECRET- {} + ; true`)
	if out != "" {
		t.Errorf("secrets are in sight: %s", out)
	}
	if out, _ := sh(t, x, `cat "$G/HEAD"; echo x > "$G/HEAD"; rm -f "$G/HEAD"; mkdir "$G/new"; true`, "G="+spec.GitDir); !strings.HasPrefix(out, "own repository") || strings.Count(out, "Read-only file system") != 3 {
		t.Errorf("the own repository is to be read and not written: %s", out)
	}
	for _, path := range []string{"/x", "/usr/x", "/etc/x", "/opt/x", "/bin/x"} {
		if _, exit := sh(t, x, `echo x > "$P"`, "P="+path); exit.Code == 0 && path != "/x" {
			t.Errorf("%s can be written", path)
		}
	}
	if _, err := os.Lstat("/x"); err == nil {
		t.Error("a command wrote to the machine's root directory")
	}
}

func TestProcessesOfTheMachineAreOutOfSight(t *testing.T) {
	x := start(t, executortest.NewSpec(t))
	out, _ := sh(t, x, `ls -d /proc/[0-9]* | wc -l; ls /proc/self/fd; cat /proc/1/cmdline; kill -0 `+itoa(os.Getpid())+` && echo rea""ched`)
	lines := strings.Fields(out)
	if len(lines) == 0 || len(lines[0]) > 1 {
		t.Errorf("processes in sight: %s", out)
	}
	if strings.Contains(out, "reached") || strings.Contains(out, "HOME") {
		t.Errorf("%s", out)
	}
	// ls has its directory open as 3.
	if fds, _ := sh(t, x, "ls /proc/self/fd"); fds != "0\n1\n2\n3\n" {
		t.Errorf("descriptors of the sandbox are left open: %q", fds)
	}
	if out, _ := sh(t, x, "grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status"); out != "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n" {
		t.Errorf("the command is mighty: %s", out)
	}
	// What is written is what stands there, in case it can be.
	if _, exit := sh(t, x, "p=$(cat /proc/sys/kernel/core_pattern); echo \"$p\" > /proc/sys/kernel/core_pattern"); exit.Code == 0 {
		t.Error("kernel settings can be written")
	}
}

func TestNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	script := `bash -c 'exec 3<>/dev/tcp/127.0.0.1/` + port + ` && echo connected' 2>&1`
	for _, c := range []struct {
		network string
		reached bool
	}{{"", false}, {"none", false}, {"host", true}} {
		spec := executortest.NewSpec(t)
		spec.Network = c.network
		if out, _ := sh(t, start(t, spec), script); strings.Contains(out, "connected") != c.reached {
			t.Errorf("network %q: %s", c.network, out)
		}
	}
}

func TestOwnTmpAndHomeLastForTheRun(t *testing.T) {
	spec := executortest.NewSpec(t)
	x := open(t, spec)
	home := "HOME=/home/somebody"
	if out, exit := sh(t, x, `echo a > ~/f; echo b > /tmp/f; mkdir -p ~/d/e; chmod 0 ~/d; echo $HOME`, home); exit.Code != 0 || out != "/home/somebody\n" {
		t.Fatal(out)
	}
	if out, _ := sh(t, x, `cat ~/f /tmp/f /var/tmp/f`, home); out != "a\nb\nb\n" {
		t.Errorf("the next command finds %q", out)
	}
	if _, err := os.Stat("/tmp/f"); err == nil {
		t.Error("a command wrote to the machine's /tmp")
	}
	if err := x.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := jobfile.Remove(t.Context(), spec.Scratch); err != nil { // as whoever made the Spec does
		t.Error(err)
	}
	if left, _ := os.ReadDir(spec.RunDir); len(left) != 1 { // the workspace
		t.Errorf("left behind: %v", left)
	}
}

// What is hidden stays hidden when the machine's files change under a command.
func TestHiddenFilesStayHiddenWhenTheyAreReplaced(t *testing.T) {
	needBwrap(t)
	if os.Geteuid() != 0 {
		t.Log("only root changes /etc, /opt and /usr/local")
		return
	}
	spec := executortest.NewSpec(t)
	var dirs []string
	for _, top := range []string{"/etc", "/opt", "/usr/local/etc"} {
		if err := os.MkdirAll(top, 0o755); err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp(top, "quire-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "token"), "SECRET-first")
		write(t, filepath.Join(dir, "public"), "a file of the machine")
		dirs = append(dirs, dir)
	}
	// A file at the top of /etc, one that only root may read, and one that is not there yet.
	direct, guarded, later := dirs[0]+".token", dirs[0]+".guarded", dirs[0]+".later"
	for _, f := range []string{direct, guarded, later} {
		t.Cleanup(func() { os.Remove(f) })
	}
	write(t, direct, "SECRET-first")
	write(t, guarded, "SECRET-first")
	if err := os.Chmod(guarded, 0o640); err != nil {
		t.Fatal(err)
	}
	spec.Hidden = []string{direct, later, "/etc", dirs[1], filepath.Join(dirs[1], "token"), dirs[2], filepath.Join(dirs[2], "token"), filepath.Join(dirs[0], "token")}
	x := start(t, spec)
	paths := []string{direct, guarded, later, filepath.Join(dirs[0], "token"), filepath.Join(dirs[1], "token"), filepath.Join(dirs[2], "token")}
	done := make(chan string)
	go func() {
		out, _ := sh(t, x, `echo > started; while [ ! -e replaced ]; do sleep 0.02; done; cat $P 2>/dev/null; cat "$A"`,
			"P="+strings.Join(paths, " "), "A="+filepath.Join(dirs[0], "public"))
		done <- out
	}()
	for {
		if _, err := os.Stat(filepath.Join(spec.Workspace, "started")); err == nil {
			break
		}
	}
	for _, p := range paths { // as renewals do it
		write(t, p+".new", "SECRET-second")
		if err := os.Rename(p+".new", p); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(spec.Workspace, "replaced"), "")
	if out := <-done; out != "a file of the machine" {
		t.Errorf("%s", out)
	}
	if out, _ := sh(t, x, "cat $P 2>/dev/null", "P="+strings.Join(paths, " ")); out != "" {
		t.Errorf("the next command: %s", out)
	}
}

// A rootfs may hold what is hidden, too.
func TestHiddenFilesOfARootfs(t *testing.T) {
	root := executortest.Busybox(t)
	write(t, filepath.Join(root, "etc", "quire", "token"), "SECRET-rootfs")
	spec := executortest.NewSpec(t)
	spec.Rootfs = root
	spec.Hidden = []string{filepath.Join(root, "etc", "quire"), filepath.Join(root, "etc", "quire", "token")}
	if out, _ := sh(t, start(t, spec), "cat /etc/quire/token; cat /etc/os-name"); strings.Contains(out, "SECRET") || !strings.Contains(out, "busybox") {
		t.Errorf("%s", out)
	}
}

// The command's environment must not steer bwrap itself, which is outside.
func TestEnvironmentStaysInside(t *testing.T) {
	spec := executortest.NewSpec(t)
	x := start(t, spec)
	write(t, filepath.Join(spec.Workspace, "evil.so"), "no library")
	out, _ := sh(t, x, "true", "LD_PRELOAD="+filepath.Join(spec.Workspace, "evil.so"))
	if strings.Contains(out, "bwrap") || strings.Count(out, "evil.so") > 1 {
		t.Errorf("the loader outside of the sandbox has read the command's environment: %s", out)
	}
	done := make(chan string)
	go func() {
		out, _ := sh(t, x, "echo > started; while [ ! -e stop ]; do sleep 0.02; done", "TOKEN=quire-test-secret-in-env")
		done <- out
	}()
	for {
		if _, err := os.Stat(filepath.Join(spec.Workspace, "started")); err == nil {
			break
		}
	}
	if seen := executortest.Marked(t, "quire-test-secret-in-env"); len(seen) > 0 {
		t.Errorf("the environment is on a command line: %q", seen)
	}
	write(t, filepath.Join(spec.Workspace, "stop"), "")
	<-done
}

func TestMounts(t *testing.T) {
	spec := executortest.NewSpec(t)
	cache, data := t.TempDir(), t.TempDir()
	write(t, filepath.Join(data, "f"), "data")
	spec.Mounts = []executor.Mount{{Source: cache, Target: "/root/.cache/go-build", Writable: true}, {Source: data, Target: "/data"}}
	x := start(t, spec)
	if out, _ := sh(t, x, `cat /data/f; echo kept > /root/.cache/go-build/f; echo x > /data/f`, "HOME=/root"); !strings.HasPrefix(out, "data") || !strings.Contains(out, "Read-only") {
		t.Error(out)
	}
	if b, err := os.ReadFile(filepath.Join(cache, "f")); err != nil || string(b) != "kept\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestRootfs(t *testing.T) {
	root := executortest.Busybox(t)
	spec := executortest.NewSpec(t)
	spec.Rootfs = root
	x := start(t, spec)
	if out, exit := sh(t, x, "cat /etc/os-name; ls /usr/share 2>/dev/null; echo new > /etc/os-name; rm -rf /bin/wget; cat /etc/os-name; id -u"); out != "busybox\nnew\n0\n" {
		t.Errorf("%s%+v", out, exit)
	}
	if out, _ := sh(t, x, "cat /etc/os-name"); out != "busybox\n" {
		t.Errorf("what a command wrote to the root is not thrown away: %s", out)
	}
	if b, err := os.ReadFile(filepath.Join(root, "etc", "os-name")); err != nil || string(b) != "busybox\n" {
		t.Errorf("the root directory was changed: %q, %v", b, err)
	}
	var out bytes.Buffer
	_, err := x.Exec(t.Context(), executor.Command{Argv: []string{"git"}, Env: []string{"PATH=/bin:/usr/bin"}}, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "git: no such program") {
		t.Errorf("a program that only the machine has: %v %s", err, out.String())
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if bytes.Contains(mounts, []byte(spec.RunDir)) {
		t.Error("a mount is left on the machine")
	}
}

func TestConformanceRootfs(t *testing.T) {
	needBwrap(t)
	root := executortest.Busybox(t)
	tr := traits
	tr.Path = "/bin"
	executortest.Run(t, tr, func(t testing.TB, spec executor.Spec) executor.Executor {
		spec.Rootfs = root
		return open(t, spec)
	})
}

func TestRefusedConfigurations(t *testing.T) {
	needBwrap(t)
	for _, c := range []struct {
		change func(*executor.Spec)
		says   string
	}{
		{func(s *executor.Spec) { s.Network = "bridge" }, `network "bridge"`},
		{func(s *executor.Spec) { s.Rootfs = "/no/such/root" }, "/no/such/root"},
		{func(s *executor.Spec) { s.Rootfs = "relative" }, "absolute"},
		{func(s *executor.Spec) { s.Rootfs = "/a,b" }, "comma"},
	} {
		spec := executortest.NewSpec(t)
		c.change(&spec)
		if x, err := newBwrap(spec); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, %v; want an error that says %s", x, err, c.says)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := newBwrap(executortest.NewSpec(t)); err == nil || !strings.Contains(err.Error(), "apt-get install bubblewrap") {
		t.Errorf("without bwrap: %v", err)
	}
}

// A person's checkout is shown whole, or git in it would not work: go build asks it for
// the version.
func TestGitWorksInACheckout(t *testing.T) {
	needBwrap(t)
	spec := executortest.NewSpec(t)
	spec.GitDir, spec.Checkout = filepath.Join(spec.Workspace, ".git"), true
	write(t, filepath.Join(spec.Workspace, "file"), "text")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first"}} {
		if out, err := exec.Command("git", append([]string{"-C", spec.Workspace}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	x := start(t, spec)
	if out, exit := sh(t, x, "git log --format=%s && git status --porcelain && echo more >> file && git status --porcelain"); exit.Code != 0 || out != "first\n M file\n" {
		t.Errorf("%s%+v", out, exit)
	}
	if out, _ := sh(t, x, "git config a.b c; echo x > .git/hooks/post-commit && echo WRITTEN"); !strings.Contains(out, "Read-only") || strings.Contains(out, "WRITTEN") {
		t.Errorf("%s", out)
	}
}

// What is hidden may go, and come again: between two commands, and between the plan of
// a sandbox and its mounts.
func TestSomethingHiddenGoes(t *testing.T) {
	needBwrap(t)
	spec := executortest.NewSpec(t)
	shown := filepath.Join(spec.GitDir, "objects")
	secret, dir := filepath.Join(shown, "secret"), filepath.Join(shown, "dir")
	spec.Hidden = append(spec.Hidden, secret, dir)
	write(t, filepath.Join(spec.GitDir, "HEAD"), "ref: refs/heads/main\n")
	write(t, secret, "SECRET-one")
	write(t, filepath.Join(dir, "file"), "SECRET-two")
	real, err := exec.LookPath("bwrap")
	if err != nil {
		t.Fatal(err)
	}
	bin, late := t.TempDir(), filepath.Join(t.TempDir(), "late")
	// What it can do is read in its text.
	held := fmt.Sprintf("#!/bin/sh\n# --disable-userns\nif [ -e %[1]s ]; then rm %[1]s %[2]s; fi\nexec %[3]s \"$@\"\n", late, secret, real)
	if err := os.WriteFile(filepath.Join(bin, "bwrap"), []byte(held), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	x := start(t, spec)
	look := func(when, want string) {
		t.Helper()
		var out, said bytes.Buffer
		exit, err := x.Exec(t.Context(), executor.Command{
			Argv: []string{"sh", "-c", `cd "$S" && ls && cat secret dir/* dir 2>/dev/null; true`}, Env: []string{"PATH=" + local.DefaultPath, "S=" + shown},
		}, &out, &said)
		if err != nil || out.String() != want || exit.Code != 0 {
			t.Errorf("%s: %q, %s, %+v, %v; want %q", when, out.String(), said.String(), exit, err, want)
		}
	}
	look("at first", "dir\nsecret\n")
	write(t, late, "")
	look("a file is removed before it is covered", "dir\n")
	if _, err := os.Stat(late); err == nil {
		t.Error("nothing was removed under the command")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	look("a directory is removed between two commands", "")
	write(t, dir, "SECRET: no directory any more")
	write(t, secret, "SECRET-three")
	look("both come again", "dir\nsecret\n")
}
