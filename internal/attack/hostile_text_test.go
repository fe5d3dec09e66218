package attack

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// hostile makes up what a hostile pusher pushes. The same seed makes the same of
// it, on the same machine.
type hostile struct {
	*rand.Rand
	m      *machine
	other  *repository // somebody else's
	server string      // host:port where mirrors may push
	grants bool        // whether the pipeline may name the secret that it is given
}

func newHostile(seed uint64, m *machine, other *repository, server string) *hostile {
	return &hostile{Rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), m: m, other: other, server: server}
}

func (h *hostile) chance(percent int) bool { return h.IntN(100) < percent }

func (h *hostile) of(list ...string) string { return list[h.IntN(len(list))] }

// planted is in the name of everything that a hostile pipeline tries to make
// outside of its run.
const planted = "quire-planted"

// mark is a name that tells where it was meant to be.
func (h *hostile) mark() string { return fmt.Sprintf("%s-%d", planted, h.IntN(100)) }

// hostPath is a path of the machine's that no pipeline has any business with.
func (h *hostile) hostPath() string {
	m := h.m
	return h.of(
		m.Operator+"/private", m.Operator+"/token", m.Operator, m.Home, m.Home+"/.gitconfig", m.Config, m.State, m.State+"/quire.db",
		m.State+"/runs", m.State+"/spool/new", m.State+"/worker.log", m.Repos, h.other.GitDir, h.other.GitDir+"/HEAD", h.other.GitDir+"/hooks",
		"/", "/etc", "/etc/shadow", "/etc/passwd", "/root", "/root/.ssh", "/tmp", "/var/run/docker.sock", "/oldroot", "/oldroot/etc", "/newroot",
		"/proc/self/root", "/proc/self/root"+m.Operator+"/private", "/proc/self/environ", "/proc/1/environ", "/proc/self/fd/3", "/proc/self/mem", "/proc/self/cwd",
		"/dev/zero", "/dev/stdin", "/dev/full", "/dev/tty", "/sys/fs/cgroup", "/sys/kernel", "/usr/bin", "/bin/sh",
	)
}

// name is a name in the workspace, of few, so that calls meet what commands made.
func (h *hostile) name() string {
	if h.chance(20) {
		return h.raw()
	}
	if h.chance(25) {
		return h.of("a", "b", "d", "link", "pipe") + "/" + h.of("a", "b", "..", "link", "private", "HEAD")
	}
	return h.of("a", "b", "d", "d/a", "link", "pipe", "big", "deep", "-x", "--help", ".git/config", ".git/info/exclude", ".git/HEAD",
		".quire/ci.fnl", ".quire/Dockerfile", "cached", "cached/a", "x y", "ü", "\u202egpj.exe", "nl\nx", "tab\tx", "\x1b]0;x\a", "\xff\xfe")
}

// raw is a text, as bytes.
func (h *hostile) raw() string {
	switch n := h.IntN(10); {
	case n < 2:
		return h.of("", "a", "main", "ok", "x/y", "1", "true", "given", "token", "quire/push", "quire/mirror", "10s", "PATH", "HOME")
	case n < 4:
		return h.hostPath()
	}
	var b strings.Builder
	for range 1 + h.IntN(4) {
		b.WriteString(h.atom())
	}
	return b.String()
}

func (h *hostile) atom() string {
	if h.chance(8) {
		return h.hostPath()
	}
	if h.chance(8) {
		return strings.Repeat(h.of("x", "../", "a/", "\u202e", "\n", " ", "-", "%", "é", "{{"), []int{50, 100, 255, 1024, 4096}[h.IntN(5)])
	}
	return h.of("a", "b", " ", "/", ".", "..", "../", "../../../../", "-", "--", "--bind", "-o", "~", "~/", "*", "**", "?", "[", "]", "!", "#", "=", ":", "@", "%", "%2e%2e/", "&", "|", ";", "'", "\"", "\\", "`", "$", "<", ">",
		"\x00", "\n", "\r", "\r\n", "\t", "\x1b[31m", "\x1b]0;t\a", "\b\b\b", "\x7f", "\x85", "\u202e", "\u2066", "\u200b", "\ufeff", "\ufffd", "\xff", "\xc0\xaf", "\xed\xa0\x80", "𝕏",
		"\x00--bind\x00/\x00/host\x00", "$(touch "+h.m.Home+"/"+h.mark()+")", "`touch "+h.m.Home+"/"+h.mark()+"`", ";touch "+h.m.Home+"/"+h.mark()+";", "\n[core]\n\tsshCommand=touch "+h.m.Home+"/"+h.mark()+"\n",
		"{{ given }}", "{{", "}}", "%s%n", "<script>", "error: ", "success: run 1", "refs/heads/", "refs/tags/", "HEAD", "^{}", "@{", ".lock", ".git", ".quire", "A=B", "LD_PRELOAD=/x.so", "\nX-Header: 1")
}

// fennelString writes bytes as a Fennel string.
func fennelString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "\\%03d", c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// text is an expression for a string.
func (h *hostile) text() string {
	switch n := h.IntN(20); {
	case n == 0:
		return fmt.Sprintf("(string.rep %s %d)", fennelString(h.of("x", "\n", "\x00", "\u202e", "../", "é", "a/")), h.size())
	case n == 1 && h.grants:
		return h.secretText()
	case n == 2:
		return fmt.Sprintf("(.. (string.rep \"y\" %d) %s)", h.size(), fennelString(h.raw()))
	}
	return fennelString(h.raw())
}

// size is near a bound that somebody may have.
func (h *hostile) size() int {
	base := []int{1, 64, 80, 100, 128, 200, 255, 512, 1000, 1024, 2048, 4095, 4096, 8192, 16384, 65536, 131071, 262144, 1 << 20}[h.IntN(19)]
	return max(0, base+h.IntN(80)-60)
}

// secretText is a string around the secret that the run is given. It is so long
// that whoever cuts it may cut the secret.
func (h *hostile) secretText() string {
	if h.chance(30) {
		return "(runtime.secret :given)"
	}
	return fmt.Sprintf("(.. (string.rep %q %d) (runtime.secret :given) %s)", h.of("z", "z ", "é"), h.size(), fennelString(h.of("", "z", "\n", "/", "\x00", "\u202e")))
}

// value is an expression of any type.
func (h *hostile) value() string {
	switch h.IntN(16) {
	case 0:
		return h.of("0", "1", "-1", "0.5", "1e308", "(/ 0 0)", "(/ 1 0)", "9007199254740993", "2147483648")
	case 1:
		return h.of("true", "false", "nil")
	case 2:
		return "[" + h.text() + " " + h.text() + "]"
	case 3:
		return "{" + h.text() + " " + h.text() + "}"
	case 4:
		return "(let [t {}] (tset t :self t) t)"
	case 5:
		return fmt.Sprintf("(do (var t []) (for [i 1 %d] (set t [t])) t)", h.size())
	case 6:
		return h.of("(fn [] 1)", "runtime", "ci", "runtime.sh", "(coroutine.create (fn [] 1))", "string", "print")
	case 7:
		return "(setmetatable {} {:__index (fn [] (error \"no\")) :__tostring (fn [] " + h.text() + ") :__len (fn [] 1e9) :__call (fn [] 1) :__pairs (fn [] (error \"no\"))})"
	case 8:
		return fmt.Sprintf("(fcollect [i 1 %d] %s)", 1+h.IntN(3000), fennelString(h.atom()))
	}
	return h.text()
}

// path is an expression for a path that a primitive is given.
func (h *hostile) path() string {
	if h.chance(70) {
		return fennelString(h.name())
	}
	return h.text()
}

// shellWord writes bytes as one word of a shell's.
func shellWord(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
