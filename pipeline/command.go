package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"quire/internal/checked"
)

// shFields are the options of sh and run.
var shFields = []string{"env", "cwd", "timeout", "stdin"}

// runSh runs a command and returns how it ended, whatever that was.
func runSh(r *Runtime, a arguments) (lua.LValue, error) {
	cmd, result, err := r.command(a, "sh")
	if err != nil {
		return nil, err
	}
	return resultTable(a.L, cmd, result), nil
}

// runRun is runSh, but a command that did not succeed is an error.
func runRun(r *Runtime, a arguments) (lua.LValue, error) {
	cmd, result, err := r.command(a, "run")
	if err != nil {
		return nil, err
	}
	if why := result.failure(cmd.Timeout); why != "" {
		return nil, fmt.Errorf("%s: %s", result.Cmd, why)
	}
	return resultTable(a.L, cmd, result), nil
}

// command reads the arguments of sh or run and has the host run them.
func (r *Runtime) command(a arguments, primitive string) (Command, Result, error) {
	cmd, err := commandOf(a.get(1), primitive)
	if err != nil {
		return cmd, Result{}, err
	}
	err = a.options(2, primitive, shFields, func(f *fields) {
		cmd.Env = f.environment("env")
		cmd.Dir = f.path("cwd")
		cmd.Timeout = f.duration("timeout")
		cmd.Stdin = f.bytes("stdin")
		if n := len(cmd.Stdin); n > checked.MaxStdin {
			f.add("stdin", fmt.Sprintf(":stdin has %d bytes, and %d is the most: have the command read a file", n, checked.MaxStdin), "")
		}
	})
	if err == nil {
		err = r.commandSize(cmd, primitive)
	}
	if err != nil {
		return cmd, Result{}, err
	}
	result, err := r.host.Sh(r.clock.ctx, r.call, cmd)
	return cmd, result, err
}

// commandSize checks that the command and what the pipeline puts into its
// environment fit into one execve(2).
func (r *Runtime) commandSize(cmd Command, primitive string) error {
	var env []string
	for _, vars := range []map[string]string{r.call.Env, cmd.Env} {
		for name, value := range vars {
			env = append(env, name+"="+value)
		}
	}
	if err := checked.CommandSize(append(cmd.Argv[:len(cmd.Argv):len(cmd.Argv)], cmd.Shell), env); err != nil {
		return fmt.Errorf("%s: %w", primitive, err)
	}
	return nil
}

// commandOf reads what sh is to run.
func commandOf(v lua.LValue, primitive string) (Command, error) {
	var cmd Command
	switch v := v.(type) {
	case lua.LString:
		if strings.TrimSpace(string(v)) == "" {
			return cmd, fmt.Errorf("%s: cmd is an empty string", primitive)
		}
		cmd.Shell = string(v)
	case *lua.LTable:
		n := v.Len()
		if n == 0 || !isList(v) {
			return cmd, fmt.Errorf("%s: cmd must be a non-empty sequence of strings or a shell string", primitive)
		}
		for i := 1; i <= n; i++ {
			arg, ok := v.RawGetInt(i).(lua.LString)
			if !ok {
				return cmd, fmt.Errorf("%s: cmd must be a sequence of strings, but element %d is a %s", primitive, i, v.RawGetInt(i).Type())
			}
			cmd.Argv = append(cmd.Argv, string(arg))
		}
		if cmd.Argv[0] == "" {
			return cmd, fmt.Errorf("%s: the program's name is an empty string", primitive)
		}
	default:
		return cmd, fmt.Errorf("%s: cmd must be a string or sequence of strings, got %s", primitive, v.Type())
	}
	if strings.Contains(cmd.Shell, "\x00") || strings.Contains(strings.Join(cmd.Argv, ""), "\x00") {
		// A fact of execve(2): its arguments end at a zero byte.
		return cmd, errors.New(primitive + ": cmd has a zero byte in it, which no command line can hold")
	}
	if err := checked.Argument(cmd.Shell); err != nil {
		return cmd, fmt.Errorf("%s: cmd cannot be run: %w", primitive, err)
	}
	for i, arg := range cmd.Argv {
		if err := checked.Argument(arg); err != nil {
			return cmd, fmt.Errorf("%s: element %d of cmd cannot be an argument: %w", primitive, i+1, err)
		}
	}
	return cmd, nil
}

// failure says why a command's end is not a success, "" if it is one.
func (r Result) failure(timeout time.Duration) string {
	switch {
	case r.TimedOut && timeout > 0:
		return "timed out after " + shortDuration(timeout)
	case r.TimedOut:
		return "timed out"
	case r.Limit != "":
		return fmt.Sprintf("ended by the %s limit, exit %d", r.Limit, r.Exit)
	case r.Signal != "":
		return fmt.Sprintf("exit %d (%s)", r.Exit, r.Signal)
	case r.Exit != 0:
		return fmt.Sprintf("exit %d", r.Exit)
	}
	return ""
}

// shown is a command as :cmd has it: the shell's text as it was given, and a
// list in the form of the Rust forge, which pipelines may look into.
func (c Command) shown() string {
	if len(c.Argv) == 0 {
		return c.Shell
	}
	return `["` + strings.Join(c.Argv, `", "`) + `"]`
}

// resultTable is what sh returns. The fields that only some results have are
// absent, not false, from the others.
func resultTable(L *lua.LState, c Command, r Result) *lua.LTable {
	t := L.CreateTable(0, 5)
	t.RawSetString("exit", lua.LNumber(r.Exit))
	t.RawSetString("stdout", lua.LString(r.Stdout))
	t.RawSetString("stderr", lua.LString(r.Stderr))
	t.RawSetString("cmd", lua.LString(c.shown()))
	if r.Signal != "" {
		t.RawSetString("signal", lua.LString(r.Signal))
	}
	if r.TimedOut {
		t.RawSetString("timed-out", lua.LTrue)
	}
	if r.Limit != "" {
		t.RawSetString("limit", lua.LString(r.Limit))
	}
	if r.Truncated {
		t.RawSetString("truncated", lua.LTrue)
	}
	return t
}

// shortDuration writes a duration as a person would: 10m, not 10m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
