package vm

import (
	"bufio"
	"fmt"
	"io"
	"os"

	lua "github.com/yuin/gopher-lua"
)

// files are the open files of a Full state.
type files struct {
	m      *machine
	mt     *lua.LTable
	opened map[*file]struct{}
	stdin  *lua.LUserData
	stdout *lua.LUserData
	stderr *lua.LUserData
	input  *lua.LUserData // what io.read reads
	output *lua.LUserData
}

func newFiles(m *machine) *files {
	return &files{m: m, opened: make(map[*file]struct{})}
}

var ioFuncs = library{
	{"close", ioClose},
	{"flush", ioFlush},
	{"input", ioInput},
	{"lines", ioLines},
	{"open", ioOpen},
	{"output", ioOutput},
	{"popen", ioPopen},
	{"read", ioRead},
	{"tmpfile", ioTmpfile},
	{"type", ioType},
	{"write", ioWrite},
}

var fileFuncs = library{
	{"close", fileClose},
	{"flush", fileFlush},
	{"lines", fileLines},
	{"read", fileRead},
	{"seek", fileSeek},
	{"setvbuf", fileSetvbuf},
	{"write", fileWrite},
	{"__tostring", fileTostring},
}

func (fs *files) open(L *lua.LState) *lua.LTable {
	fs.mt = fileFuncs.into(L, L.CreateTable(0, 10))
	fs.mt.RawSetString("__index", fs.mt)
	L.G.Registry.RawSetString("FILE*", fs.mt)

	m := fs.m
	fs.stdin = fs.wrap(&file{name: "stdin", r: m.stdin, os: osFile(m.stdin), standard: true})
	fs.stdout = fs.wrap(standardOut("stdout", m.stdout))
	fs.stderr = fs.wrap(&file{name: "stderr", w: m.stderr, os: osFile(m.stderr), standard: true, unbuf: true})
	fs.input, fs.output = fs.stdin, fs.stdout

	t := ioFuncs.into(L, L.CreateTable(0, 16))
	t.RawSetString("stdin", fs.stdin)
	t.RawSetString("stdout", fs.stdout)
	t.RawSetString("stderr", fs.stderr)
	return t
}

func osFile(v any) *os.File {
	f, _ := v.(*os.File)
	return f
}

// standardOut buffers as C does: a terminal by lines, another file wholly. What
// is not a file is the embedder's, who decides.
func standardOut(name string, w io.Writer) *file {
	f := &file{name: name, w: w, os: osFile(w), standard: true}
	if f.os == nil {
		f.unbuf = true
	} else if info, err := f.os.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		f.byLine = true
	}
	return f
}

func (fs *files) wrap(f *file) *lua.LUserData {
	if !f.standard {
		fs.opened[f] = struct{}{}
	}
	return &lua.LUserData{Value: f, Metatable: fs.mt}
}

func (fs *files) print(line []byte) {
	_ = fs.stdout.Value.(*file).write(string(line)) // as lua5.1's print
}

func (fs *files) flushStandard() {
	_ = fs.stdout.Value.(*file).flush() // nobody is there to tell
}

// closeAll flushes and closes what the program left open. A command that popen
// started and nobody closed is waited for, as C's exit does not: but its pipe is
// closed, so that it ends.
func (fs *files) closeAll() {
	fs.flushStandard()
	for f := range fs.opened {
		_, _ = f.close() // the program did not ask
	}
	fs.opened = make(map[*file]struct{})
}

func filesOf(L *lua.LState) *files { return machineOf(L).files }

// argFile is a file that is open.
func argFile(L *lua.LState, n int, fname string) *file {
	f := toFile(L.Get(n))
	if f == nil {
		typeError(L, n, fname, "FILE*")
	}
	if f.closed {
		raisef(L, "attempt to use a closed file")
	}
	return f
}

func toFile(v lua.LValue) *file {
	if ud, ok := v.(*lua.LUserData); ok {
		if f, ok := ud.Value.(*file); ok {
			return f
		}
	}
	return nil
}

// current is the default input or output.
func current(L *lua.LState, ud *lua.LUserData, what string) *file {
	f := ud.Value.(*file)
	if f.closed {
		raisef(L, "standard %s file is closed", what)
	}
	return f
}

func ioOpen(L *lua.LState) int {
	path := argString(L, 1, "open")
	f, err := openFile(path, optString(L, 2, "r", "open"))
	if err != nil {
		return osResult(L, err, path)
	}
	L.Push(filesOf(L).wrap(f))
	return 1
}

func ioPopen(L *lua.LState) int {
	command := argString(L, 1, "popen")
	fs := filesOf(L)
	fs.flushStandard()
	f, err := openCommand(fs.m, command, optString(L, 2, "r", "popen"))
	if err != nil {
		return osResult(L, err, command)
	}
	L.Push(fs.wrap(f))
	return 1
}

func ioTmpfile(L *lua.LState) int {
	h, err := os.CreateTemp("", "lua_")
	if err != nil {
		return osResult(L, err, "")
	}
	L.Push(filesOf(L).wrap(&file{name: h.Name(), os: h, r: h, w: h, remove: true}))
	return 1
}

func ioType(L *lua.LState) int {
	argAny(L, 1, "type")
	switch f := toFile(L.Get(1)); {
	case f == nil:
		L.Push(lua.LNil)
	case f.closed:
		L.Push(lua.LString("closed file"))
	default:
		L.Push(lua.LString("file"))
	}
	return 1
}

func ioClose(L *lua.LState) int {
	if L.GetTop() == 0 {
		return closeFile(L, current(L, filesOf(L).output, "output"))
	}
	return fileClose(L)
}

func fileClose(L *lua.LState) int { return closeFile(L, argFile(L, 1, "close")) }

func closeFile(L *lua.LState, f *file) int {
	if f.standard {
		if err := f.flush(); err != nil {
			return osResult(L, err, "")
		}
		L.Push(lua.LNil)
		L.Push(lua.LString("cannot close standard file"))
		return 2
	}
	delete(filesOf(L).opened, f)
	status, err := f.close()
	if err == nil && status >= 0 {
		// Whatever the command's status, as lua5.1.
		L.Push(lua.LTrue)
		return 1
	}
	return osResult(L, err, "")
}

func ioFlush(L *lua.LState) int {
	return osResult(L, current(L, filesOf(L).output, "output").flush(), "")
}

func fileFlush(L *lua.LState) int { return osResult(L, argFile(L, 1, "flush").flush(), "") }

func ioInput(L *lua.LState) int {
	fs := filesOf(L)
	return redirect(L, &fs.input, "input", "r")
}

func ioOutput(L *lua.LState) int {
	fs := filesOf(L)
	return redirect(L, &fs.output, "output", "w")
}

func redirect(L *lua.LState, which **lua.LUserData, fname, mode string) int {
	switch v := L.Get(1).(type) {
	case *lua.LNilType:
	case *lua.LUserData:
		argFile(L, 1, fname)
		*which = v
	default:
		path := argString(L, 1, fname)
		f, err := openFile(path, mode)
		if err != nil {
			argError(L, 1, fname, fileError(err, path))
		}
		*which = filesOf(L).wrap(f)
	}
	L.Push(*which)
	return 1
}

func ioWrite(L *lua.LState) int {
	return writeValues(L, current(L, filesOf(L).output, "output"), 1)
}

func fileWrite(L *lua.LState) int { return writeValues(L, argFile(L, 1, "write"), 2) }

func writeValues(L *lua.LState, f *file, first int) int {
	for i := first; i <= L.GetTop(); i++ {
		if err := f.write(argString(L, i, "write")); err != nil {
			return osResult(L, err, "")
		}
	}
	// lua5.1 returns true, Lua 5.2 the file; true is what programs test.
	L.Push(lua.LTrue)
	return 1
}

func fileSeek(L *lua.LState) int {
	f := argFile(L, 1, "seek")
	var whence int
	switch opt := optString(L, 2, "cur", "seek"); opt {
	case "set":
		whence = io.SeekStart
	case "cur":
		whence = io.SeekCurrent
	case "end":
		whence = io.SeekEnd
	default:
		argError(L, 2, "seek", fmt.Sprintf("invalid option '%s'", opt))
	}
	pos, err := f.seek(whence, int64(optInt(L, 3, 0, "seek")))
	if err != nil {
		return osResult(L, err, "")
	}
	L.Push(lua.LNumber(pos))
	return 1
}

func fileSetvbuf(L *lua.LState) int {
	f := argFile(L, 1, "setvbuf")
	err := f.flush()
	switch opt := argString(L, 2, "setvbuf"); opt {
	case "no":
		f.unbuf, f.byLine = true, false
	case "line":
		f.unbuf, f.byLine = false, true
	case "full":
		f.unbuf, f.byLine = false, false
		if size := optInt(L, 3, 0, "setvbuf"); size > 0 && f.w != nil {
			f.out = bufio.NewWriterSize(f.w, min(size, 1<<20))
		}
	default:
		argError(L, 2, "setvbuf", fmt.Sprintf("invalid option '%s'", opt))
	}
	return osResult(L, err, "")
}

func fileTostring(L *lua.LState) int {
	f := toFile(L.Get(1))
	switch {
	case f == nil:
		typeError(L, 1, "tostring", "FILE*")
	case f.closed:
		L.Push(lua.LString("file (closed)"))
	default:
		L.Push(lua.LString(fmt.Sprintf("file (%p)", f)))
	}
	return 1
}
