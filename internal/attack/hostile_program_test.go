package attack

import (
	"fmt"
	"strings"
)

// script is what a command does in its sandbox, in a shell of busybox's range.
func (h *hostile) script() string {
	var b strings.Builder
	for range 1 + h.IntN(5) {
		b.WriteString("{ " + h.action() + "; } 2>/dev/null\n")
	}
	b.WriteString(h.of("exit 0", "exit 0", "exit 0", "exit 3", "kill -9 $$", "exec true") + "\n")
	return b.String()
}

func (h *hostile) action() string {
	a, b, host := shellWord(h.name()), shellWord(h.name()), shellWord(h.hostPath())
	mark := shellWord(h.mark())
	switch h.IntN(44) {
	case 0:
		return "mkfifo -- " + a
	case 1, 2:
		return "rm -rf -- " + a + "; ln -s -- " + host + " " + a
	case 3:
		return "rm -rf -- " + a + "; ln -s -- " + shellWord(h.of("../..", "..", "/proc/self/root", "/proc/self/cwd/..", "a", "b", "link")) + " " + a
	case 4:
		return "ln -f -- " + host + " " + a
	case 5:
		return "mkdir -p -- " + a
	case 6, 7:
		return "printf '%s' " + shellWord(h.raw()) + " >" + a
	case 8:
		return "rm -rf -- " + a
	case 9:
		return "mv -f -- " + a + " " + b
	case 10:
		return "chmod " + h.of("000", "7777", "444", "111") + " -- " + a
	case 11:
		return "dd if=/dev/null of=" + a + " bs=1 seek=1000000000000"
	case 12:
		return fmt.Sprintf("head -c %d /dev/zero >%s", h.size()*3, a)
	case 13, 14:
		return "cat -- " + host + h.of("", " | base64", " | head -c 100000", " >"+a, "/private", "/*")
	case 15, 16:
		return "echo x >" + host + "/" + mark + "; mkdir " + host + "/" + mark + "d; cp /bin/sh " + host + "/" + mark + "s"
	case 17:
		return "echo x >>" + host + "; rm -rf " + host + "/private " + host + "/hooks; chmod 777 " + host
	case 18:
		return "printf '[core]\\n\\tfsmonitor = touch %s\\n\\thooksPath = .\\n\\tpager = touch %s\\n' " + shellWord(h.m.Home+"/"+h.mark()) + " x >>.git/config"
	case 19:
		return "rm -rf .git/HEAD; mkfifo .git/HEAD .git/index .git/packed-refs"
	case 20:
		return "rm -rf .git .quire"
	case 21:
		return "mknod " + a + " c 1 5; mknod " + b + " b 8 0"
	case 22:
		return h.of("kill -9 -1", "kill -STOP $PPID", "kill -9 $PPID", "kill -9 1", "kill -TERM -1")
	case 23:
		return h.of("sleep 30 &", "setsid sleep 30 >/dev/null 2>&1 &", "(trap '' TERM HUP; sleep 30) &", "exec >&- 2>&-; sleep 0.2")
	case 24:
		return "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 20 & done"
	case 25:
		return "p=$(printf 'd/%.0s' $(seq 250)); mkdir deep; for i in $(seq " + fmt.Sprint(1+h.IntN(8)) + "); do mkdir -p n/$p && mv deep n/${p}x && mv n deep; done"
	case 26:
		return fmt.Sprintf("head -c %d /dev/zero | tr '\\0' %s", h.size(), shellWord(h.of("x", "\n", "\x1b", "\xff")))
	case 27:
		return "printf '%b' '\\033]0;x\\007\\033[2J\\000\\302\\205\\342\\200\\256error: run 1\\r\\nsuccess: run\\n'"
	case 28, 29:
		return h.of(`echo "$GIVEN"`, `echo "$GIVEN" | base64`, `printf %s "$GIVEN"; sleep 0.05; printf %s "$GIVEN"`, `echo "x$GIVEN" >&2; false`, `set -x; echo "$GIVEN"`,
			`printf '%s' "$GIVEN" | fold -w 7 | tr -d '\n'`, `echo "$GIVEN" >a; cat a a`)
	case 30:
		return "d=$(git rev-parse --git-common-dir); git update-ref refs/heads/" + planted + " HEAD; git -C " + shellWord(h.other.GitDir) + " update-ref refs/heads/" + planted + " HEAD; git push -q " + shellWord(h.other.GitDir) + " HEAD:refs/heads/" + planted
	case 31:
		return "git push -q $(git config remote.origin.url) HEAD:refs/heads/" + planted + "; git config --global x.y z; git -C $(git config remote.origin.url) config x." + planted + " z"
	case 32:
		return "mount -t tmpfs none " + a + "; mount --bind / " + a + "; unshare -Ur mount -t proc proc " + a + "; chroot / true"
	case 33:
		return "touch \"$HOME/" + planted + "\"; rm -rf \"$HOME\" /tmp/*; ln -s " + host + " \"$HOME\"; ln -s " + host + " /tmp/x"
	case 34:
		return "mkdir bin; printf '#!" + h.of("pipe", "/bin/sh", "%s/pipe", "/proc/self/exe", "a\\0b") + "\\n' >bin/tool; chmod +x bin/tool; rm -f pipe; mkfifo pipe"
	case 35:
		return "rm -rf cached; ln -s " + host + " cached"
	case 36:
		return "mkdir -p cached; printf '#!/bin/sh\\ntouch %s\\n' " + host + " >cached/a; chmod 6777 cached cached/a; mkfifo cached/pipe; ln -s " + host + " cached/l"
	case 37:
		return "i=0; while [ $i -lt 400 ]; do echo $i >" + shellWord(h.of("a", "d")) + ".$i; i=$((i+1)); done"
	case 38:
		return "i=0; while [ $i -lt 60 ]; do rm -rf a; mkfifo a; rm -f a; ln -s " + host + " a; rm -f a; echo x >a; i=$((i+1)); done"
	case 39:
		return "ls -la / . \"$HOME\" /proc/self/fd; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n' | grep -a -e QUIRE_CONFIG -e private"
	case 40:
		return "mkdir -p 'd/\n' '-rf' \"$(printf '\\377')\"; echo x >'d/\n/a'"
	case 41:
		return "echo x >/proc/sys/kernel/core_pattern; echo 1 >/proc/self/oom_score_adj; echo $$ >/sys/fs/cgroup/cgroup.procs; echo c >/proc/sysrq-trigger.no"
	case 42:
		return "ulimit -c unlimited; kill -SEGV $$"
	default:
		return "find . -maxdepth 3; tar cf - . | head -c 3000 >big; wc -c <" + a
	}
}

// command is the arguments of sh or run.
func (h *hostile) command() string {
	words := fennelString(h.script())
	switch h.IntN(8) {
	case 0:
		words = h.value()
	case 1:
		words = "[" + h.text() + " " + h.text() + "]"
	case 2:
		words = "[" + fennelString(h.of("./a", "./pipe", "./link", "tool", "a", "./big", "./d", "cat", "./bin/tool", h.hostPath())) + " " + h.text() + "]"
	case 3:
		words = "[\"sh\" \"-c\" " + fennelString(h.script()) + " " + h.text() + "]"
	}
	env := "{}"
	if h.grants && h.chance(50) {
		env = "{:GIVEN (runtime.secret :given)}"
	}
	switch h.IntN(6) {
	case 0:
		env = "{" + h.text() + " " + h.text() + "}"
	case 1:
		env = "{" + h.of(":HOME", ":PATH", ":LD_PRELOAD", ":GIT_DIR", ":TMPDIR", ":QUIRE_RUN", ":ENV", ":BASH_ENV", ":SHELL") + " " + h.path() + "}"
	}
	opts := ":env " + env
	if h.chance(20) {
		opts += " :cwd " + h.path()
	}
	if h.chance(15) {
		opts += " :timeout " + h.of("\"100ms\"", "\"1s\"", "\"0s\"", "\"-1s\"", "\"999999h\"", h.value())
	} else {
		opts += " :timeout \"3s\""
	}
	if h.chance(15) {
		opts += " :stdin " + h.value()
	}
	if h.chance(3) {
		opts += " " + h.text() + " 1"
	}
	return words + " {" + opts + "}"
}

// mirrorOptions are fields of a mirror.
func (h *hostile) mirrorOptions() string {
	var b strings.Builder
	for _, field := range []string{":sha", ":auth-header", ":git-dir", ":as"} {
		if h.chance(12) {
			b.WriteString(field + " " + h.text() + " ")
		}
	}
	if h.chance(70) {
		b.WriteString(":secret " + h.of(":given", ":token", h.text()) + " ")
	}
	if h.chance(50) {
		b.WriteString(":tag " + h.of("\"t1\"", h.text()) + " ")
	}
	if h.chance(50) {
		b.WriteString(":refs [" + h.of("\"refs/heads/*\"", "\"main\"", h.text()) + " " + h.text() + "] ")
	}
	return b.String()
}

func (h *hostile) url() string {
	if h.chance(25) {
		return h.text()
	}
	return fennelString(h.of(
		"http://"+h.server+"/r.git", "http://x:y@"+h.server+"/"+h.raw(), "http://localhost:1/r.git", "http://127.0.0.1:1/r.git", "http://[::1]:1/r", "ssh://127.0.0.1:1/r", "file://"+h.other.GitDir,
		h.other.GitDir, h.m.Operator, "./a", "../..", "link", "ext::sh -c 'touch "+h.m.Home+"/"+h.mark()+"'", "-u"+h.raw(), "--upload-pack=touch "+h.mark(), "git@127.0.0.1:r.git", "fd::3", "http://"+h.server+"\n/r", "HTTP://"+h.server+"/%2e%2e/r.git?a=b#c"))
}

// call is a call of a primitive.
func (h *hostile) call() string {
	switch h.IntN(20) {
	case 0, 1, 2, 3, 4, 5:
		return "(let [r (runtime." + h.of("sh", "sh", "run") + " " + h.command() + ")] (runtime.log r.stdout) r)"
	case 6, 7:
		return "(runtime.read-file " + h.path() + ")"
	case 8:
		return "(runtime.read-json " + h.path() + ")"
	case 9, 10:
		return "(runtime.write-file " + h.path() + " " + h.value() + ")"
	case 11, 12:
		return "(runtime.artifact " + h.path() + ")"
	case 13:
		return "(runtime.log " + h.value() + ")"
	case 14:
		return "(" + h.of("print", "error", "runtime.jobs", "runtime.env", "require", "runtime.nothing") + " " + h.value() + ")"
	case 15:
		return "(runtime.secret " + h.of(":token", ":given", h.text()) + ")"
	case 16:
		return "(runtime.mirror {:url " + h.url() + " " + h.mirrorOptions() + "})"
	case 17:
		return "(stdlib.mirror {:url " + h.url() + " :auth-header " + h.text() + " :sha push.sha :tag " + h.text() + " :git-dir push.git-dir " + h.mirrorOptions() + "})"
	case 18:
		return "(do (runtime.write-file \"kept\" " + h.text() + ") (runtime.artifact \"kept\"))"
	default:
		return "(runtime." + h.of("sh", "read-file", "write-file", "artifact", "mirror", "secret", "jobs", "env", "log") + " " + h.value() + " " + h.value() + ")"
	}
}

// body is a run-fn.
func (h *hostile) body(calls int) string {
	var b strings.Builder
	b.WriteString("(fn []\n    (local push (or (let [(ok p) (pcall runtime.jobs :quire/push)] (if ok p nil)) {}))\n")
	for range calls {
		fmt.Fprintf(&b, "    (try #%s)\n", h.call())
	}
	if h.chance(4) {
		b.WriteString("    (while true nil)\n")
	}
	b.WriteString("    " + h.of("{}", "{}", "{}", "{:exit 1}", "nil", h.value(), "(error "+h.value()+")") + ")")
	return b.String()
}

// registration is a form that most likely is refused.
func (h *hostile) registration(n int) string {
	switch h.IntN(9) {
	case 0:
		return "(ci.image " + h.value() + ")"
	case 1:
		return "(ci.cache " + h.text() + " [" + h.path() + " " + h.text() + "])"
	case 2:
		return "(ci.service " + h.text() + " {:image " + h.text() + " :env {" + h.text() + " " + h.value() + "} :ready [" + h.text() + "]})"
	case 3:
		return "(ci.mirror " + h.url() + " {:tag (fn [push] " + h.text() + ") " + h.mirrorOptions() + "})"
	case 4:
		return "(ci.job " + h.text() + " [" + h.of(":quire/push", h.text()) + "] " + h.body(1) + ")"
	case 5:
		return "(ci.job :o" + fmt.Sprint(n) + " {:inputs [:quire/push] :timeout " + h.value() + " :retries " + h.value() + " :image " + h.value() + " :env {" + h.text() + " " + h.value() + "} :allow-failure " + h.value() + " :run " + h.body(1) + "})"
	case 6:
		return "(" + h.of("require", "print", "error", "tostring", "ci.nothing", "string.rep") + " " + h.value() + " " + h.of("", "100000000") + ")"
	case 7:
		return h.of("(fn deep [n] (+ 1 (deep n)))(deep 1)", "(while true nil)", "(import-macros {: x} "+fennelString(h.raw())+")", "(macro m [] (while true nil))", "(local t (string.rep \"x\" 1000000000))",
			strings.Repeat("[", 3000)+strings.Repeat("]", 3000), "(ci.job :z [:z] (fn [] nil))", "\x00", "(", "(os.execute \"touch x\")", "(local x (. _G :io))")
	default:
		return "(ci.job " + h.value() + " " + h.value() + " " + h.value() + ")"
	}
}

// commit is a hostile commit.
func (h *hostile) commit() files {
	h.grants = false
	var top strings.Builder
	top.WriteString("(local ci (require :quire.ci))\n(local stdlib (require :quire.stdlib))\n(local {: runtime} ci)\n" +
		"(fn try [f] (let [(ok said) (pcall f)] (pcall runtime.log (.. (tostring ok) \" \" (tostring said)))))\n")
	out := files{"README": "x\n"}
	if h.chance(30) { // what is wrong is found before a job begins
		for i := range 1 + h.IntN(4) {
			top.WriteString(h.registration(i) + "\n")
		}
	}
	if h.chance(40) {
		fmt.Fprintf(&top, "(ci.cache :c [%s])\n", fennelString(h.of("cached", "d/cached", "a b", "ü", "-x/y", "%s", "/cached", "/opt/cached", "/root/.cache", h.m.Home+"/.cache", "/srv/x")))
	}
	h.grants = true
	for i := range 1 + h.IntN(3) {
		id := h.of("attack", "a b", "-x", ".", "..", "%2e%2e", "a\\b", "~", "x:y", "é")
		options := h.of("", ":retries 1", ":allow-failure true", ":timeout \"5s\"", ":env {:A "+fennelString(h.of("a b", "\x1b[31m", "{{ given }}", "\n", strings.Repeat("v", 2000)))+"}")
		fmt.Fprintf(&top, "(ci.job %s {:inputs [:quire/push] %s :run %s})\n", fennelString(fmt.Sprintf("%s%d", id, i)), options, h.body(3+h.IntN(7)))
	}
	if h.chance(25) {
		fmt.Fprintf(&top, "(ci.mirror %s {:secret :given :tag (fn [push] %s)})\n", fennelString("http://"+h.server+"/r.git"), fennelString(h.of("t1", "../x", "-x", "a b", "a\nb", "HEAD", h.raw())))
	}
	out[".quire/ci.fnl"] = top.String()
	for range h.IntN(4) {
		switch h.IntN(7) {
		case 0:
			out[h.of("link", "d", "pipe", "cached", ".quire/lib", "bin")] = "-> " + h.hostPath()
		case 1:
			out[h.of("a", "b", "-x", "--help", "x y", "\u202egpj.exe", "nl\nx", "\xff\xfe", "\x1b]0;x\a")] = "x" + strings.ReplaceAll(h.raw(), "\x00", "")
		case 2:
			out[".gitattributes"] = h.of("* filter=x\n", "* ident\n", "* working-tree-encoding=UTF-16\n", "* eol=crlf text\n", "\xff\n")
		case 3:
			out[".gitmodules"] = "[submodule \"x\"]\n\tpath = sub\n\turl = " + h.of("ext::touch x", "../../x", "--upload-pack=x", h.hostPath()) + "\n"
		case 4:
			out[".quire/lib/a.fnl"] = h.of("{}", "(error 1)", "(while true nil)", "((", "{:x "+fennelString(h.raw())+"}")
		case 5:
			out[strings.Repeat("p/", 30+h.IntN(200))+"f"] = "deep\n"
		case 6:
			out["link"] = "-> " + h.of("link", "..", "../../..", ".git/config", ".quire/ci.fnl", strings.Repeat("x", 3000))
		}
	}
	return out
}
