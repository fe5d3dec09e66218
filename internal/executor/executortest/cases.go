package executortest

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"quire/internal/executor"
)

func (s *suite) argv(t *testing.T) {
	p := s.open(t)
	for _, c := range []struct {
		name string
		argv []string
		out  string
	}{
		{"list", []string{"echo", "a", "b"}, "a b\n"},
		{"shell string", []string{"sh", "-c", "echo a; echo b | cat"}, "a\nb\n"},
		{"nothing is expanded", []string{"echo", "$HOME", "*", "`id`", "a  b"}, "$HOME * `id` a  b\n"},
		{"an empty argument", []string{"sh", "-c", `printf '[%s]' "$@"`, "sh", "", "x", ""}, "[][x][]"},
		{"a newline in an argument", []string{"printf", "%s", "a\nb"}, "a\nb"},
		{"leading dashes", []string{"sh", "-c", `printf '%s ' "$@"`, "--", "-n", "--help", "--"}, "-n --help -- "},
		{"unicode", []string{"printf", "%s", "žluťoučký 馬 🐎"}, "žluťoučký 馬 🐎"},
		{"bytes that are no unicode", []string{"printf", "%s", "\xff\xfe\x01"}, "\xff\xfe\x01"},
		{"quotes", []string{"printf", "%s", `a"b'c\d`}, `a"b'c\d`},
		{"a long argument", []string{"sh", "-c", `printf %s ${#1}`, "sh", strings.Repeat("x", 100_000)}, "100000"},
		{"many arguments", append([]string{"sh", "-c", `printf %s $#`, "sh"}, slices.Repeat([]string{"x"}, 5000)...), "5000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := p.run(t.Context(), executor.Command{Argv: c.argv})
			if o.fault != nil || o.Code != 0 || o.out != c.out || o.err != "" {
				t.Errorf("got %+v, want stdout %q", o, c.out)
			}
		})
	}
}

func (s *suite) status(t *testing.T) {
	// As a supervisor does: what this process was told to ignore (by nohup, by a
	// shell's &) is then not ignored by the commands.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP, syscall.SIGINT)
	defer signal.Stop(heard)
	p := s.open(t)
	for _, code := range []int{0, 1, 2, 3, 42, 126, 127, 128, 255} {
		if o := p.sh(t, fmt.Sprintf("exit %d", code)); o.Code != code || (o.Signal != "" && !s.traits.ShellStatus) || o.TimedOut || o.Limit != "" {
			t.Errorf("exit %d: got %+v", code, o)
		}
	}
	if o := p.run(t.Context(), executor.Command{Argv: []string{"false"}}); o.fault != nil || o.Code != 1 {
		t.Errorf("false: got %+v", o)
	}
	if o := p.sh(t, "exit 137"); o.Code != 137 || (o.Signal != "" && !s.traits.ShellStatus) {
		t.Errorf("exit 137 is no signal: got %+v", o)
	}
	for _, c := range []struct {
		signal string
		code   int
	}{{"SIGHUP", 129}, {"SIGINT", 130}, {"SIGKILL", 137}, {"SIGUSR1", 138}, {"SIGPIPE", 141}, {"SIGTERM", 143}} {
		o := p.sh(t, "kill -"+strings.TrimPrefix(c.signal, "SIG")+" $$")
		if o.Code != c.code || o.Signal != c.signal {
			t.Errorf("killed by %s: got %+v", c.signal, o)
		}
	}
	if o := p.sh(t, "sh -c 'kill -KILL $$'; exit 5"); o.Code != 5 || o.Signal != "" {
		t.Errorf("a child's signal is not the command's: got %+v", o)
	}
}

func (s *suite) environment(t *testing.T) {
	t.Setenv("QUIRE_TEST_SERVER_SECRET", "leaked")
	p := s.open(t)
	given := []string{"PATH=" + s.traits.Path, "A=1", "EMPTY=", "SPACES= a  b ", "LINES=a\nb", "UNICODE=žluť", "EQ=a=b=c", "A=2", "BYTES=\xff\x01"}
	o := p.run(t.Context(), executor.Command{Argv: []string{"env", "-0"}, Env: given})
	if o.fault != nil || o.Code != 0 {
		t.Fatalf("env: %+v", o)
	}
	got := map[string]string{}
	for _, e := range strings.Split(strings.TrimSuffix(o.out, "\x00"), "\x00") {
		name, value, _ := strings.Cut(e, "=")
		if _, twice := got[name]; twice {
			t.Errorf("%s stands twice in the environment", name)
		}
		got[name] = value
	}
	want := map[string]string{"PATH": s.traits.Path, "A": "2", "EMPTY": "", "SPACES": " a  b ", "LINES": "a\nb", "UNICODE": "žluť", "EQ": "a=b=c", "BYTES": "\xff\x01"}
	for name, value := range want {
		if v, found := got[name]; !found || v != value {
			t.Errorf("%s is %q, %v; want %q", name, v, found, value)
		}
		delete(got, name)
	}
	if got["QUIRE_RUN"] != p.spec.RunID {
		t.Errorf("QUIRE_RUN is %q, want %s", got["QUIRE_RUN"], p.spec.RunID)
	}
	for _, name := range append([]string{"QUIRE_RUN", "QUIRE_EXEC"}, s.traits.Extra...) {
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("the environment holds what nobody gave: %q", got)
	}
}

func (s *suite) directory(t *testing.T) {
	p := s.open(t)
	if o := p.sh(t, "mkdir -p 'a b/c' && echo x > 'a b/c/f' && echo top > f"); o.Code != 0 {
		t.Fatalf("the workspace is not writable: %+v", o)
	}
	for _, c := range []struct{ dir, out string }{{"", "top\n"}, {".", "top\n"}, {"a b/c", "x\n"}, {"./a b/../a b/c/", "x\n"}} {
		o := p.run(t.Context(), executor.Command{Argv: []string{"cat", "f"}, Dir: c.dir})
		if o.fault != nil || o.out != c.out {
			t.Errorf("in %q: got %+v, want %q", c.dir, o, c.out)
		}
	}
	if o := p.run(t.Context(), executor.Command{Argv: []string{"pwd"}, Dir: "/"}); o.fault != nil || o.out != "/\n" {
		t.Errorf("in /: %+v", o)
	}
	for _, c := range []struct{ dir, says string }{
		{"not/there", "not/there"}, {"/not/there", "/not/there"}, {"f", "directory"},
	} {
		o := p.run(t.Context(), executor.Command{Argv: []string{"echo", "ran"}, Dir: c.dir})
		if o.fault == nil || !strings.Contains(o.fault.Error(), c.says) || !strings.Contains(o.fault.Error(), "directory") || o.out != "" {
			t.Errorf("in %q: got %+v, want an error that says it", c.dir, o)
		}
	}
}

func (s *suite) stdin(t *testing.T) {
	p := s.open(t)
	cat := func(in []byte) outcome { return p.run(t.Context(), executor.Command{Argv: []string{"cat"}, Stdin: in}) }
	if o := cat(nil); o.fault != nil || o.out != "" {
		t.Errorf("no stdin is an empty one: %+v", o)
	}
	if o := cat([]byte{}); o.fault != nil || o.out != "" {
		t.Errorf("an empty stdin: %+v", o)
	}
	in := "žluť\x00\xff\n"
	if o := cat([]byte(in)); o.fault != nil || o.out != in {
		t.Errorf("stdin %q came out as %+v", in, o)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: more than pipes hold
	if o := cat([]byte(big)); o.fault != nil || o.out != big {
		t.Errorf("1 MiB of stdin: %d bytes came out, %v", len(o.out), o.fault)
	}
	if o := p.run(t.Context(), executor.Command{Argv: []string{"true"}, Stdin: []byte(big)}); o.fault != nil || o.Code != 0 {
		t.Errorf("a command that does not read its stdin: %+v", o)
	}
	if o := p.run(t.Context(), executor.Command{Argv: []string{"head", "-c", "3"}, Stdin: []byte(big)}); o.fault != nil || o.out != "012" {
		t.Errorf("a command that reads some of its stdin: %+v", o)
	}
}

func (s *suite) streams(t *testing.T) {
	p := s.open(t)
	if o := p.sh(t, "echo out; echo err >&2"); o.out != "out\n" || o.err != "err\n" {
		t.Errorf("the streams are not apart: %+v", o)
	}
	if o := p.sh(t, "[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo pipes"); o.out != "pipes\n" {
		t.Errorf("a command has a terminal: %+v", o)
	}
	if o := p.sh(t, `printf 'no newline'`); o.out != "no newline" {
		t.Errorf("output without a newline: %+v", o)
	}
	var all strings.Builder
	for i := range 256 {
		fmt.Fprintf(&all, `\%03o`, i)
	}
	o := p.sh(t, "printf '"+all.String()+"'")
	for i := range 256 {
		if i >= len(o.out) || o.out[i] != byte(i) {
			t.Fatalf("byte %d of all bytes is changed: %q", i, o.out)
		}
	}
	if o := p.sh(t, "exec >&- 2>&-; exit 3"); o.Code != 3 {
		t.Errorf("closed streams: %+v", o)
	}
	t.Run("as it comes", func(t *testing.T) {
		// The command waits for a file that is made when its line has been seen.
		seen := &onWrite{do: func([]byte) {
			o := p.sh(t, "echo > seen")
			if o.Code != 0 {
				t.Errorf("%+v", o)
			}
		}}
		exit, err := p.Exec(t.Context(), executor.Command{
			Argv: []string{"sh", "-c", "echo first; while [ ! -e seen ]; do sleep 0.05; done"},
			Env:  []string{"PATH=" + s.traits.Path},
		}, seen, nil)
		if err != nil || exit.Code != 0 {
			t.Errorf("%+v, %v", exit, err)
		}
	})
}

// onWrite calls do at the first write.
type onWrite struct {
	do   func([]byte)
	done bool
}

func (w *onWrite) Write(b []byte) (int, error) {
	if !w.done {
		w.done = true
		w.do(b)
	}
	return len(b), nil
}

func (s *suite) refusals(t *testing.T) {
	p := s.open(t)
	if o := p.sh(t, "echo text > plain; mkdir dir; printf '#!/no/such/interpreter\n' > script; chmod +x script; mkfifo -m 755 pipe; mkdir bin; mkfifo -m 755 bin/tool; ln -s pipe topipe; printf '#!%s/pipe\n' \"$PWD\" > script2; chmod +x script2"); o.Code != 0 {
		t.Fatal(o)
	}
	env := []string{"PATH=" + s.traits.Path}
	for _, c := range []struct {
		name string
		argv []string
		env  []string
		says string
	}{
		{"no such program", []string{"quire-no-such-program", "x"}, env, "quire-no-such-program: no such program"},
		{"no such file", []string{"./not-there"}, env, "./not-there: no such program"},
		{"not executable", []string{"./plain"}, env, "./plain"},
		{"a directory", []string{"./dir"}, env, "./dir"},
		{"no interpreter", []string{"./script"}, env, "script"},
		{"an empty word", []string{""}, env, "empty"},
		{"no words", nil, env, "empty"},
		{"a NUL in an argument", []string{"echo", "a\x00b"}, env, "zero byte"},
		{"a NUL in the environment", []string{"echo"}, []string{"X=a\x00b"}, "zero byte"},
		{"a NUL in a variable's name", []string{"echo"}, []string{"X\x00--bind=b"}, "control character"},
		{"no name", []string{"echo"}, []string{"=x"}, "empty"},
		{"an argument that is too long", []string{"echo", strings.Repeat("x", 128<<10)}, env, "131071"},
		{"arguments that are too many", slices.Repeat([]string{strings.Repeat("x", 100_000)}, 20), env, "1572864"},
		{"no assignment", []string{"echo"}, []string{"X"}, "NAME=VALUE"},
		// A look at whether it is a script must not wait for a writer.
		{"a named pipe", []string{"./pipe"}, env, "named pipe"},
		{"a link to a named pipe", []string{"./topipe"}, env, "named pipe"},
		{"a named pipe in PATH", []string{"tool"}, []string{"PATH=" + p.spec.Workspace + "/bin"}, "tool"},
		{"a named pipe for an interpreter's script", []string{"./script2"}, env, "script2"},
		{"nothing in PATH", []string{"echo"}, []string{"PATH=/nowhere"}, "/nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := p.run(t.Context(), executor.Command{Argv: c.argv, Env: c.env})
			if o.fault == nil || !strings.Contains(o.fault.Error(), c.says) || strings.Contains(o.fault.Error(), "\n") {
				t.Errorf("got %+v, want an error in one line that says %q", o, c.says)
			}
			if o.out != "" {
				t.Errorf("something ran: %q", o.out)
			}
		})
	}
	for _, dir := range []string{"a\x00--bind\x00/\x00/host", strings.Repeat("x", 5000)} {
		o := p.run(t.Context(), executor.Command{Argv: []string{"pwd"}, Env: env, Dir: dir})
		if o.fault == nil || !strings.Contains(o.fault.Error(), "working directory") || strings.ContainsAny(o.fault.Error(), "\x00\n") {
			t.Errorf("working directory %.20q: %+v", dir, o)
		}
	}
	if o := p.run(t.Context(), executor.Command{Argv: []string{"true"}, Env: env, Image: "a\x00b"}); o.fault == nil {
		t.Errorf("an image's name with a zero byte: %+v", o)
	}
	if o := p.sh(t, "echo still here"); o.out != "still here\n" {
		t.Errorf("after refusals: %+v", o)
	}
	if o := p.sh(t, "quire-no-such-program"); o.Code != 127 {
		t.Errorf("a shell's missing program is its exit status: %+v", o)
	}
}
