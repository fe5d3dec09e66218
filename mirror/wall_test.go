package mirror

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// usualAllow is the default of [mirroring] allow_urls.
var usualAllow = []string{"https://", "http://", "ssh://"}

func sandbox(t testing.TB, private string, allowed ...string) Wall {
	t.Helper()
	w, err := SandboxWall(allowed, []string{private})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAllow(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		yes, not []string
	}{
		{"https://", []string{"https://h/r", "https://h:8443/r"}, []string{"http://h/r", "ssh://h/r", "/srv/r", "file:///srv/r"}},
		{"ssh://", []string{"ssh://h/r", "git@h:r"}, []string{"https://h/r"}},
		{"https://h", []string{"https://h/r", "https://H/a/b", "https://h:443/r", "https://u@h/r"}, []string{"https://h:8443/r", "https://g/r", "https://h.evil/r", "http://h/r"}},
		{"https://h:8443/", []string{"https://h:8443/r"}, []string{"https://h/r"}},
		{"http://127.0.0.1:*/", []string{"http://127.0.0.1:3000/r"}, []string{"http://127.0.0.2:3000/r"}},
		{"https://h/me/", []string{"https://h/me/r.git", "https://h/me/a/b"}, []string{"https://h/you/r", "https://h/me", "https://h/mere/r"}},
		{"https://h/me/*", []string{"https://h/me/r.git"}, []string{"https://h/me/a/b"}},
		{"https://h/me/r", []string{"https://h/me/r", "https://h/me/r.git"}, []string{"https://h/me/rr"}},
		{"https://*.example.org/", []string{"https://a.example.org/r", "https://a.b.example.org/r"}, []string{"https://example.org/r", "https://evilexample.org/r", "https://a.example.org.evil/r"}},
		{"https://*/me/", []string{"https://h/me/r"}, []string{"https://h/you/r"}},
		{"ssh://git@h/me/", []string{"git@h:me/r", "ssh://git@h:22/me/r"}, []string{"root@h:me/r", "git@h:you/r", "ssh://git@h:2222/me/r"}},
		{"http://[::1]:3000/", []string{"http://[::1]:3000/r"}, []string{"http://[::2]:3000/r"}},
	} {
		a, err := parseAllow(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, list := range []struct {
			urls []string
			want bool
		}{{c.yes, true}, {c.not, false}} {
			for _, url := range list.urls {
				to, err := parseRemote(url)
				if err != nil {
					t.Fatalf("%s: %v", url, err)
				}
				if got := a.matches(to); got != list.want {
					t.Errorf("%s with %s: %v", c.pattern, url, got)
				}
			}
		}
	}
}

// What a pipeline in a sandbox asks for by default, and what becomes of it.
func TestWhereASandboxMayPush(t *testing.T) {
	w := newWorld(t)
	other := filepath.Join(t.TempDir(), "other.git")
	forgetest.InitBare(t, other)
	link := filepath.Join(t.TempDir(), "link.git")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	wall := sandbox(t, w.state, usualAllow...)
	ask := func(url string, hasSecret bool) error {
		return w.engine.Admit(t.Context(), w.src, wall, url, hasSecret)
	}
	for _, url := range []string{"https://example.org/r", "http://example.org:8080/r", "http://10.1.2.3/r", "https://[2001:db8::1]/r"} {
		if err := ask(url, false); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"git@example.org:r", "ssh://example.org/r"} {
		if err := ask(url, true); err != nil {
			t.Errorf("%s with a key: %v", url, err)
		}
	}
	own := ""
	if list, err := net.InterfaceAddrs(); err == nil {
		for _, a := range list {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
				own = "http://" + n.IP.String() + "/r"
			}
		}
	}
	for _, url := range []string{
		other, link, "file://" + other, "file://" + link, "file:///" + other, w.src, "file://" + w.src, "/",
		"git@example.org:r", "ssh://example.org/r", // without a key
		"http://127.0.0.1/r", "http://127.9.9.9/r", "http://localhost/r", "http://LOCALHOST:1/r", "http://a.localhost/r", "http://localhost./r",
		"http://[::1]/r", "http://[::ffff:127.0.0.1]/r", "http://[::ffff:7f00:1]/r", "http://[::127.0.0.1]/r", "http://[64:ff9b::7f00:1]/r",
		"http://[2002:7f00:1::]/r", "http://0.0.0.0/r", "http://0.1.2.3/r", "http://[::]/r", "http://2130706433/r", "http://0x7f000001/r",
		"http://0x7f.1/r", "http://127.1/r", "http://0177.0.0.1/r", "http://127.0.0.1./r",
		"http://169.254.169.254/latest", "http://[fe80::1]/r", "http://[fe80::1%25lo]/r", "http://[::ffff:a9fe:a9fe]/r", "http://[fd00:ec2::254]/r",
		"http://224.0.0.1/r", "http://[ff02::1]/r", "http://255.255.255.255/r", own,
		"https://example.org/a/../b", "https://example.org/a/%2e%2e/b", "https://example.org/a%2fb", "git@example.org:../r",
	} {
		if url == "" {
			continue
		}
		err := ask(url, false)
		var no *NotAllowedError
		if !errors.As(err, &no) || no.Why == "" || no.Do == "" {
			t.Errorf("%s: %v, want that it is not allowed, and what to do", url, err)
		}
	}
	for _, url := range []string{"ext::sh -c touch% /tmp/x", "fd::17", "git://h/r", "ftp://h/r", "-o:r", "--upload-pack=x", "h:-r", "https://h/\x00r", "https://h/r\nx", "http://127.0.0.1\\@h/r", "./r", ""} {
		if err := ask(url, true); err == nil {
			t.Errorf("%q: allowed", url)
		}
		if err := w.engine.Admit(t.Context(), w.src, HostWall(), url, true); err == nil && url == "" {
			t.Errorf("%q on the host: allowed", url)
		}
	}
	// What the host executor's jobs could do by themselves.
	for _, url := range []string{other, "file://" + other, "http://127.0.0.1/r", "git@h:r"} {
		if err := w.engine.Admit(t.Context(), w.src, HostWall(), url, false); err != nil {
			t.Errorf("on the host, %s: %v", url, err)
		}
	}
	if err := w.engine.Admit(t.Context(), w.src, Wall{}, "https://example.org/r", true); err == nil {
		t.Error("a wall that nobody made lets through")
	}
}

// A refused request pushes nothing, makes no tag, asks nobody and leaves nothing
// in the ledger that somebody could push later.
func TestRefusedRequestLeavesNothing(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	other := filepath.Join(t.TempDir(), "other.git")
	forgetest.InitBare(t, other)
	ran := filepath.Join(t.TempDir(), "ran")
	forgetest.Hook(t, other, "post-receive", "touch "+ran)
	for _, url := range []string{other, "file://" + other, w.target.URL} {
		req := w.request(Want{"refs/heads/main", one})
		req.Target.URL, req.Wall = url, sandbox(t, w.state, usualAllow...)
		req.Resolve = func(context.Context) (secret.Value, error) {
			t.Error("a secret is fetched for " + url)
			return secret.NewValue(token), nil
		}
		r := only(t, w.deliver(req))
		if r.Status != Refused || r.Class != ClassNotAllowed || !strings.Contains(r.Advice, "[mirroring] allow_urls") {
			t.Errorf("%s: %+v", url, r)
		}
	}
	if list, err := w.store.Targets(t.Context(), "", ""); err != nil || len(list) != 0 {
		t.Errorf("the ledger holds %+v, %v", list, err)
	}
	if got := at(t, other, "refs/heads/main"); got != "" {
		t.Error("something was pushed")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the hook ran")
	}
	if n := len(w.forge.Requests()); n != 0 {
		t.Errorf("the forge was asked %d times", n)
	}
}

// What the ledger holds from another time does not get past a wall that was built
// meanwhile, and goes on when it is taken down.
func TestTheLedgerIsNoWayAroundTheWall(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Do: forgetest.Answer(503, "down")})
	one := w.commit("refs/heads/main", "one")
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", one}))); r.Status != Pending {
		t.Fatalf("%+v", r)
	}
	w.forge.Heal()
	c.advance(time.Minute)
	before := len(w.forge.Requests())
	k := NewKeeper(w.engine, KeeperOptions{
		Secret: func(context.Context, string, string) (secret.Value, error) { return secret.NewValue(token), nil },
		Wall:   func(string) (Wall, error) { return sandbox(t, w.state, usualAllow...), nil },
	})
	k.deliver(t.Context(), w.due("refs/heads/main"))
	if d := w.row("refs/heads/main"); d.State != store.DeliveryRefused || Class(d.Class) != ClassNotAllowed {
		t.Errorf("ledger %+v", d)
	}
	k.audit(t.Context(), w.targetRow())
	if row := w.targetRow(); Class(row.LookClass) != ClassNotAllowed {
		t.Errorf("a look: %+v", row)
	}
	k.Wall = func(string) (Wall, error) { return Wall{}, errors.New("no configuration") }
	k.deliver(t.Context(), w.due("refs/heads/main"))
	if _, err := w.engine.Expires(t.Context(), k.request(w.targetRow())); err != nil && !strings.Contains(err.Error(), "allow") {
		t.Errorf("%v", err)
	}
	if n := len(w.forge.Requests()); n != before {
		t.Errorf("the forge was asked %d times more", n-before)
	}
	// The operator allows it, and the daily look takes it up again.
	k.Wall = func(string) (Wall, error) { return sandbox(t, w.state, w.forge.URL+"/"), nil }
	c.advance(25 * time.Hour)
	k.audit(t.Context(), w.targetRow())
	k.deliver(t.Context(), w.due("refs/heads/main"))
	w.wantThere("refs/heads/main", one)
}

// A standing order of the operator's is free, also where a pipeline asked for the
// same place and was refused.
func TestTheOperatorsOwnOrderKnowsNoWall(t *testing.T) {
	w := newWorld(t)
	dst := filepath.Join(t.TempDir(), "dst.git")
	forgetest.InitBare(t, dst)
	ran := filepath.Join(t.TempDir(), "ran")
	forgetest.Hook(t, dst, "post-receive", "touch "+ran)
	w.dst, w.target = dst, Target{Name: "local", URL: dst}
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Wall = sandbox(t, w.state, usualAllow...)
	if rep := w.deliver(req); rep.OK() {
		t.Errorf("%s", rep)
	}
	k := NewKeeper(w.engine, KeeperOptions{Orders: []Order{w.order()}})
	if err := k.Owe(t.Context(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	k.deliver(t.Context(), w.due("refs/heads/main"))
	w.wantThere("refs/heads/main", one)
	if _, err := os.Stat(ran); err != nil {
		t.Error("the hook of the operator's own mirror did not run")
	}
}

// A place of this machine that the operator lists is pushed to, and nothing runs
// there, whatever the operator's own configuration of git says.
func TestListedPlacesOfThisMachine(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo := func(name string) string {
		dir := filepath.Join(base, name)
		forgetest.InitBare(t, dir)
		return dir
	}
	ran := filepath.Join(base, "ran")
	home := filepath.Join(base, "home")
	if err := os.MkdirAll(filepath.Join(home, "hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "hooks", "post-receive"), "#!/bin/sh\ntouch "+ran+"\n")
	if err := os.Chmod(filepath.Join(home, "hooks", "post-receive"), 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := repo("elsewhere.git")
	plain := repo("mirrors/plain.git")
	write(t, filepath.Join(home, ".gitconfig"), "[core]\n\thooksPath = "+filepath.Join(home, "hooks")+"\n[url \""+elsewhere+"\"]\n\tinsteadOf = "+plain+"\n")
	t.Setenv("HOME", home)
	wall := sandbox(t, w.state, filepath.Join(base, "mirrors")+"/**")
	push := func(url string) Result {
		t.Helper()
		req := w.request(Want{"refs/heads/main", one})
		req.Target.URL, req.Target.Secret, req.Credential, req.Wall = url, "", secret.Value{}, wall
		return only(t, w.deliver(req))
	}
	for _, url := range []string{plain, "file://" + plain} {
		if r := push(url); !r.Status.Good() {
			t.Errorf("%s: %+v", url, r)
		}
	}
	if at(t, plain, "refs/heads/main") != one || at(t, elsewhere, "refs/heads/main") != "" {
		t.Error("it went elsewhere")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the operator's global hook ran")
	}
	through := filepath.Join(base, "through.git")
	if err := os.Symlink(plain, through); err != nil {
		t.Fatal(err)
	}
	if r := push(through); !r.Status.Good() {
		t.Errorf("a link of the operator's to a listed place: %+v", r)
	}

	refused := map[string]string{} // URL: what is said
	hooked := repo("mirrors/hooked.git")
	forgetest.Hook(t, hooked, "post-receive", "touch "+ran)
	refused[hooked] = "its hook post-receive"
	for i, set := range [][2]string{{"core.hooksPath", home}, {"core.fsmonitor", "touch " + ran}, {"core.alternateRefsCommand", "touch " + ran + "; true"}, {"filter.x.clean", "touch " + ran}} {
		dir := repo("mirrors/set" + string(rune('a'+i)) + ".git")
		git(t, dir, "config", set[0], set[1])
		refused[dir] = strings.ToLower(set[0])
	}
	included := repo("mirrors/included.git")
	write(t, filepath.Join(base, "more"), "[core]\n\thooksPath = "+home+"\n")
	git(t, included, "config", "include.path", filepath.Join(base, "more"))
	refused[included] = "core.hookspath"
	if err := os.Symlink(elsewhere, filepath.Join(base, "mirrors", "link.git")); err != nil {
		t.Fatal(err)
	}
	refused[filepath.Join(base, "mirrors", "link.git")] = "no push there"
	refused[filepath.Join(base, "mirrors", "..", "elsewhere.git")] = "no push there"
	refused[filepath.Join(base, "mirrors", "nothing.git")] = "no such repository"
	refused[w.src] = "no push there"
	worktree := filepath.Join(base, "mirrors", "tree")
	git(t, elsewhere, "update-ref", "refs/heads/x", w.foreign(elsewhere, "", "x"))
	git(t, elsewhere, "worktree", "add", "-q", worktree, "x")
	refused[worktree] = ".git is no directory"
	for url, says := range refused {
		r := push(url)
		if r.Status != Refused || r.Class != ClassNotAllowed || !strings.Contains(strings.ToLower(r.Detail.String()), says) || r.Advice == "" {
			t.Errorf("%s: %+v, want %q", url, r, says)
		}
	}

	// Not even where the pattern is wide: quire's own directory, and repositories
	// that people push to, by whatever name.
	wall = sandbox(t, w.state, "/**")
	forgetest.InitBare(t, filepath.Join(w.state, "run", "1", "workspace", "evil.git"))
	refused = map[string]string{
		filepath.Join(w.state, "run", "1", "workspace", "evil.git"): "quire's own directory",
		w.src: "people push to",
	}
	victim := repo("victim.git")
	p := event.Push{ID: event.NewID(time.Now()), At: time.Now(), GitDir: victim, Updates: []event.Update{{Old: zero, New: one, Ref: "refs/heads/main"}}}
	if _, err := w.store.TakePush(t.Context(), p, nil, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	alias := filepath.Join(base, "alias.git")
	if err := os.Symlink(victim, alias); err != nil {
		t.Fatal(err)
	}
	refused[victim], refused["file://"+victim], refused[alias] = "people push to", "people push to", "people push to"
	for url, says := range refused {
		if r := push(url); r.Status != Refused || r.Class != ClassNotAllowed || !strings.Contains(r.Detail.String(), says) {
			t.Errorf("%s: %+v, want %q", url, r, says)
		}
	}
	if at(t, victim, "refs/heads/main") != "" {
		t.Error("another repository was pushed to")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a hook ran")
	}
}

// A hook or setting that comes between the look and the push does not run either.
func TestNothingRunsAtAListedPlace(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	dst := filepath.Join(t.TempDir(), "dst.git")
	forgetest.InitBare(t, dst)
	ran := filepath.Join(t.TempDir(), "ran")
	for _, hook := range []string{"pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive", "push-to-checkout"} {
		forgetest.Hook(t, dst, hook, "echo "+hook+" >>"+ran)
	}
	git(t, dst, "config", "core.alternateRefsCommand", "echo alternates >>"+ran+"; true")
	git(t, dst, "config", "receive.procReceiveRefs", "refs/heads")
	write(t, filepath.Join(dst, "objects", "info", "alternates"), filepath.Join(w.src, "objects")+"\n")
	to, err := parseRemote(dst)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSession(w.src, to, passage{walled: true, path: dst}, credential{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := s.refs(t.Context(), nil); err != nil {
		t.Error(err)
	}
	args := append([]string{"push", "--porcelain"}, s.remoteGit("--receive-pack=", "receive-pack")...)
	if out := s.git(t.Context(), append(args, "--", s.to.url, one+":refs/tags/x")...); out.exit != 0 {
		t.Errorf("%+v", out)
	}
	if at(t, dst, "refs/tags/x") != one {
		t.Error("nothing was pushed")
	}
	if said, err := os.ReadFile(ran); err == nil {
		t.Errorf("ran: %s", said)
	}
}

// Without a key of its own a pipeline's ssh mirror fails, though the operator's
// agent has one that the server would let in.
func TestTheOperatorsKeysAreNotAPipelines(t *testing.T) {
	w, d, req := sshWorld(t)
	raw, err := ssh.ParseRawPrivateKey([]byte(d.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: raw}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(keys, c)
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", l.Addr().String())
	key := req.Credential
	req.Credential, req.Target.Secret = secret.Value{}, ""

	req.Wall = sandbox(t, w.state, "ssh://"+d.Addr+"/")
	if r := only(t, w.deliver(req)); r.Status != Refused || r.Class != ClassNotAllowed || !strings.Contains(r.Advice, ":secret") {
		t.Errorf("%+v", r)
	}
	// A header is a secret, and no key.
	req.Credential, req.Seq = secret.NewValue("Authorization: Bearer x"), w.next()
	if r := only(t, w.deliver(req)); r.Status != Refused {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", "")
	// Nor where the request is past the gate.
	if _, err := openSession(w.src, remote{url: req.Target.URL, kind: "ssh", host: "h"}, passage{walled: true}, credential{}, nil); err == nil {
		t.Error("a session without a key")
	}
	req.Credential, req.Seq = key, w.next()
	if rep := w.deliver(req); !rep.OK() {
		t.Errorf("with its own key: %s", rep)
	}
	// The host executor's jobs have the agent anyway.
	two := w.commit("refs/heads/main", "two", req.Refs[0].OID)
	req.Refs, req.Credential, req.Wall, req.Seq = []Want{{"refs/heads/main", two}}, secret.Value{}, HostWall(), w.next()
	if rep := w.deliver(req); !rep.OK() {
		t.Errorf("on the host: %s", rep)
	}
}

// The address that was judged is the one that is connected to: the name is looked
// up once, and here nobody but the session knows it.
func TestPinnedAddresses(t *testing.T) {
	const name = "forge.invalid"
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	git(t, w.dst, "fetch", "-q", w.src, "refs/heads/main:refs/heads/main")
	_, port, _ := strings.Cut(strings.TrimPrefix(w.forge.URL, "http://"), ":")
	to, err := parseRemote("http://" + name + ":" + port + "/me/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	cred, err := parseCredential(token, "s", to, "")
	if err != nil {
		t.Fatal(err)
	}
	look := func(to remote, cred credential, knownHosts []string) {
		t.Helper()
		s, err := openSession(w.src, to, passage{walled: true, pinned: []string{"127.0.0.1"}}, cred, knownHosts)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if refs, err := s.refs(t.Context(), nil); err != nil || refs["refs/heads/main"] != one {
			t.Errorf("%s: %v, %v", to.url, refs, err)
		}
	}
	look(to, cred, nil)

	needSSHD(t)
	d := forgetest.NewSSHD(t)
	dir := d.Repo(t, "me/repo.git")
	git(t, dir, "fetch", "-q", w.src, "refs/heads/main:refs/heads/main")
	to, err = parseRemote(strings.Replace(d.RepoURL("me/repo.git"), "127.0.0.1", name, 1))
	if err != nil {
		t.Fatal(err)
	}
	look(to, credential{key: d.PrivateKey}, []string{strings.Replace(d.KnownHost, "127.0.0.1", name, 1)})
}

// A name that is this machine's is found out by its addresses.
func TestNamesAreLookedUp(t *testing.T) {
	p := passage{walled: true}
	name := ""
	for _, n := range []string{"ip6-localhost", "localhost4", mustHostname(t)} {
		if list, err := lookUp(t.Context(), n); err == nil && len(list) > 0 {
			name = n
		}
	}
	if name == "" {
		t.Skip("needs a name in /etc/hosts that is this machine's")
	}
	to := remote{url: "http://" + name + "/r", kind: "http", host: name}
	var no *NotAllowedError
	if _, err := p.lookUp(t.Context(), to); !errors.As(err, &no) || !strings.Contains(no.Why, name) {
		t.Errorf("%s: %v", name, err)
	}
	to.host = "nowhere.invalid"
	var unresolved *unresolvedError
	if _, err := p.lookUp(t.Context(), to); !errors.As(err, &unresolved) {
		t.Errorf("%v", err)
	}
}

func mustHostname(t *testing.T) string {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The forge's API is called under the same rule, with the address of the very
// connection.
func TestTheAPIIsBehindTheWallToo(t *testing.T) {
	r := record(t, agreeable)
	for _, kind := range []string{"github", "gitlab", "gitea"} {
		to, err := parseRemote(r.URL + "/me/repo.git")
		if err != nil {
			t.Fatal(err)
		}
		f, err := forgeOf(Target{URL: to.url, Forge: kind}, to, passage{walled: true}, token, scrubToken)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.expires(context5(t)); err == nil && kind != "gitea" {
			t.Errorf("%s: a loopback address was called", kind)
		}
		if err := f.setStatus(context5(t), "0123abcd", CommitStatus{Context: "x", State: StateSuccess}); err == nil {
			t.Errorf("%s: a loopback address was called", kind)
		}
	}
	if got := r.asked(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	by, err := passage{walled: true, named: true}.roundTripper(nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: by}).Get(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// due is the target as it is due for a ref.
func (w *world) due(ref string) store.DueTarget {
	w.t.Helper()
	return store.DueTarget{MirrorTarget: w.targetRow(), Authority: w.row(ref).Authority}
}

// What a pipeline may not push is pushed with the credential of nobody else: not by
// a run that has the secret, not by the operator's order, and not by the worker.
func TestOneCredentialPushesNothingOfAnothers(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	one := w.commit("refs/heads/main", "one")
	evil := w.commit("refs/heads/wip/evil", "evil", one)
	ask := func(secretName, value string, wants ...Want) Report {
		req := w.request(wants...)
		req.Target.Secret, req.Credential = secretName, secret.NewValue(value)
		return w.deliver(req)
	}
	refused := func() {
		t.Helper()
		rep := ask("", "", Want{"refs/heads/wip/evil", evil}, Want{"refs/tags/v9", evil})
		if len(rep.Landed()) > 0 {
			t.Fatalf("%s", rep)
		}
	}
	absent := func(who string) {
		t.Helper()
		for _, ref := range []string{"refs/heads/wip/evil", "refs/tags/v9"} {
			if at(t, w.dst, ref) != "" {
				t.Errorf("%s pushed %s", who, ref)
			}
		}
	}
	refused()
	c.advance(time.Hour)
	if rep := ask("forge_token", token, Want{"refs/heads/main", one}); !rep.OK() {
		t.Fatalf("%s", rep)
	}
	absent("the run that has the secret")

	order := w.order()
	order.Exclude = []string{"refs/heads/wip/*", "refs/tags/*"}
	k, told := w.keeping(order)
	two := w.commit("refs/heads/main", "two", one)
	if err := k.Owe(t.Context(), w.event(event.Update{Old: one, New: two, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	for n := range told {
		if n.Err == nil && len(n.Report.Landed()) > 0 {
			break
		}
	}
	w.wantThere("refs/heads/main", two)
	c.advance(25 * time.Hour)
	k.Wake()
	w.rests(k)
	absent("the operator's order")

	// Nor does it spoil what the operator's order has done or owes.
	refused()
	if rep := ask("", "", Want{"refs/heads/main", two}); !rep.OK() {
		t.Errorf("%s", rep)
	}
	if d := w.row("refs/heads/main"); d.State != store.DeliveryLanded || d.Authority != "" {
		t.Errorf("%+v", d)
	}
	status, err := w.engine.Status(t.Context(), w.src, nil)
	if err != nil || len(status) != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
	for _, again := range status[0].Retries() {
		if again.Target.Secret != "" || !again.Target.Asked || len(again.Wants) != 2 {
			t.Errorf("%+v", again)
		}
	}
}
