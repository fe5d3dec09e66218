package vm

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// osClock is the processor time of the whole process, as C's clock.
func osClock(L *lua.LState) int {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these arguments
	d := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	L.Push(lua.LNumber(d.Seconds()))
	return 1
}

func osDifftime(L *lua.LState) int {
	a := argNumber(L, 1, "difftime")
	b := 0.0
	if L.Get(2) != lua.LNil {
		b = argNumber(L, 2, "difftime")
	}
	L.Push(lua.LNumber(a - b))
	return 1
}

// osTime normalises its fields as C's mktime does: month 14 is February of the
// next year.
func osTime(L *lua.LState) int {
	if L.Get(1) == lua.LNil {
		L.Push(lua.LNumber(time.Now().Unix()))
		return 1
	}
	t := argTable(L, 1, "time")
	field := func(name string, def int) int {
		v := L.GetField(t, name)
		switch v := v.(type) {
		case lua.LNumber:
			return toInt(float64(v))
		case lua.LString:
			if f, ok := ParseNumber(string(v)); ok {
				return toInt(f)
			}
		}
		if def < 0 {
			raisef(L, "field '%s' missing in date table", name)
		}
		return def
	}
	sec, min, hour := field("sec", 0), field("min", 0), field("hour", 12)
	day, month, year := field("day", -1), field("month", -1), field("year", -1)
	when := time.Date(year, time.Month(month), day, hour, min, sec, 0, time.Local)
	if isdst, ok := L.GetField(t, "isdst").(lua.LBool); ok && bool(isdst) != when.IsDST() {
		// The fields are in the other of the zone's two times.
		if isdst {
			when = when.Add(-time.Hour)
		} else {
			when = when.Add(time.Hour)
		}
	}
	L.Push(lua.LNumber(when.Unix()))
	return 1
}

func osDate(L *lua.LState) int {
	format := optString(L, 1, "%c", "date")
	t := time.Now()
	if L.Get(2) != lua.LNil {
		t = time.Unix(int64(argInt(L, 2, "date")), 0)
	}
	if strings.HasPrefix(format, "!") {
		format = format[1:]
		t = t.UTC()
	}
	if strings.HasPrefix(format, "*t") {
		L.Push(dateTable(L, t))
		return 1
	}
	out := strftime(format, t)
	checkLength(L, int64(len(out)), limitsOf(L).String)
	L.Push(lua.LString(out))
	return 1
}

func dateTable(L *lua.LState, t time.Time) *lua.LTable {
	d := L.CreateTable(0, 9)
	for _, f := range []struct {
		name  string
		value int
	}{
		{"sec", t.Second()},
		{"min", t.Minute()},
		{"hour", t.Hour()},
		{"day", t.Day()},
		{"month", int(t.Month())},
		{"year", t.Year()},
		{"wday", int(t.Weekday()) + 1},
		{"yday", t.YearDay()},
	} {
		d.RawSetString(f.name, lua.LNumber(f.value))
	}
	d.RawSetString("isdst", lua.LBool(t.IsDST()))
	return d
}

func osGetenv(L *lua.LState) int {
	if v, ok := os.LookupEnv(argString(L, 1, "getenv")); ok {
		L.Push(lua.LString(v))
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

// osSetenv is gopher-lua's; Lua has none.
func osSetenv(L *lua.LState) int {
	name := argString(L, 1, "setenv")
	return osResult(L, os.Setenv(name, argString(L, 2, "setenv")), name)
}

func osRemove(L *lua.LState) int {
	name := argString(L, 1, "remove")
	return osResult(L, os.Remove(name), name)
}

func osRename(L *lua.LState) int {
	from := argString(L, 1, "rename")
	return osResult(L, os.Rename(from, argString(L, 2, "rename")), from)
}

// osSetlocale knows the C locale only.
func osSetlocale(L *lua.LState) int {
	switch L.Get(1) {
	case lua.LNil, lua.LString(""), lua.LString("C"), lua.LString("POSIX"):
		L.Push(lua.LString("C"))
	default:
		L.Push(lua.LNil)
	}
	return 1
}

func osTmpname(L *lua.LState) int {
	f, err := os.CreateTemp("", "lua_")
	if err != nil {
		raisef(L, "unable to generate a unique filename")
	}
	defer f.Close()
	L.Push(lua.LString(f.Name()))
	return 1
}

// osExecute returns the status that C's system does: the exit status times 256,
// or the signal that ended the command.
func osExecute(L *lua.LState) int {
	if L.Get(1) == lua.LNil {
		L.Push(lua.LNumber(1)) // there is a shell
		return 1
	}
	m := machineOf(L)
	m.files.flushStandard()
	cmd := exec.Command("/bin/sh", "-c", argString(L, 1, "execute"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = m.stdin, m.stdout, m.stderr
	err := cmd.Run()
	status := -1
	if cmd.ProcessState != nil {
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
			status = int(ws)
		}
	} else if err == nil {
		status = 0
	}
	L.Push(lua.LNumber(status))
	return 1
}

// osExit takes a status, or as later Luas a boolean.
func osExit(L *lua.LState) int {
	code := 0
	switch v := L.Get(1).(type) {
	case lua.LBool:
		if !v {
			code = 1
		}
	default:
		code = optInt(L, 1, 0, "exit")
	}
	m := machineOf(L)
	m.files.closeAll()
	m.exit(code)
	return 0
}

// osResult is Lua's answer of a call on a file: true, or nil, a message and the
// error number.
func osResult(L *lua.LState, err error, name string) int {
	if err == nil {
		L.Push(lua.LTrue)
		return 1
	}
	L.Push(lua.LNil)
	L.Push(lua.LString(fileError(err, name)))
	L.Push(lua.LNumber(errnoOf(err)))
	return 3
}
