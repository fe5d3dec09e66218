package vm

import (
	"bufio"
	"errors"
	"io"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func ioRead(L *lua.LState) int {
	return readFormats(L, current(L, filesOf(L).input, "input"), formats(L, 1))
}

func fileRead(L *lua.LState) int {
	return readFormats(L, argFile(L, 1, "read"), formats(L, 2))
}

func formats(L *lua.LState, first int) []lua.LValue {
	f := stackValues(L, first)
	if len(f) == 0 {
		f = []lua.LValue{lua.LString("*l")}
	}
	return f
}

// readFormats pushes one value per format; the first that fails is nil and the
// last.
func readFormats(L *lua.LState, f *file, formats []lua.LValue) int {
	r, err := f.reader()
	if err != nil {
		return osResult(L, err, "")
	}
	if f.standard {
		// What the program asked is on the screen before it waits for an answer.
		filesOf(L).flushStandard()
	}
	n := 0
	for i, format := range formats {
		v, err := readFormat(L, r, format, i+1)
		if err != nil && !errors.Is(err, io.EOF) {
			L.SetTop(L.GetTop() - n)
			return osResult(L, err, "")
		}
		if v == nil {
			L.Push(lua.LNil)
			return n + 1
		}
		L.Push(v)
		n++
	}
	return n
}

func readFormat(L *lua.LState, r *bufio.Reader, format lua.LValue, arg int) (lua.LValue, error) {
	if n, ok := format.(lua.LNumber); ok {
		return readChars(L, r, toInt(float64(n)))
	}
	s, ok := format.(lua.LString)
	opt := strings.TrimPrefix(string(s), "*")
	if !ok || opt == "" {
		argError(L, arg, "read", "invalid option")
	}
	switch opt[0] {
	case 'n':
		return readNumber(r)
	case 'l':
		return readLine(L, r, false)
	case 'L':
		return readLine(L, r, true)
	case 'a':
		b, err := io.ReadAll(io.LimitReader(r, int64(limitsOf(L).String)+1))
		checkLength(L, int64(len(b)), limitsOf(L).String)
		return lua.LString(b), err
	}
	argError(L, arg, "read", "invalid option")
	return nil, nil
}

func readChars(L *lua.LState, r *bufio.Reader, n int) (lua.LValue, error) {
	if n <= 0 {
		if _, err := r.Peek(1); err != nil {
			return nil, err
		}
		return lua.LString(""), nil
	}
	checkLength(L, int64(n), limitsOf(L).String)
	// Grows as bytes arrive: a program may ask for a gigabyte of a small file.
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if len(b) == 0 {
		return nil, err
	}
	return lua.LString(b), err
}

// readLine takes \n for the end and nothing else: not \r, as bufio's ReadLine.
func readLine(L *lua.LState, r *bufio.Reader, keep bool) (lua.LValue, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if errors.Is(err, bufio.ErrBufferFull) {
			checkLength(L, int64(len(line)), limitsOf(L).String)
			continue
		}
		if err != nil && len(line) == 0 {
			return nil, err
		}
		if n := len(line); !keep && n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
		}
		return lua.LString(line), err
	}
}

// maxNumeral is more than any numeral needs.
const maxNumeral = 200

// readNumber takes the longest run of bytes that can start a numeral, as C's
// scanf does.
func readNumber(r *bufio.Reader) (lua.LValue, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		if !strings.ContainsRune(" \t\n\v\f\r", rune(c)) {
			if err := r.UnreadByte(); err != nil {
				return nil, err
			}
			break
		}
	}
	var b []byte
	for len(b) < maxNumeral {
		c, err := r.ReadByte()
		if err != nil {
			break
		}
		if !continuesNumeral(b, c) {
			if err := r.UnreadByte(); err != nil {
				return nil, err
			}
			break
		}
		b = append(b, c)
	}
	if f, ok := ParseNumber(string(b)); ok {
		return lua.LNumber(f), nil
	}
	return nil, nil
}

func continuesNumeral(b []byte, c byte) bool {
	s := strings.ToLower(strings.TrimLeft(string(b), "+-"))
	hex := strings.HasPrefix(s, "0x")
	switch {
	case isDigit(c):
		return true
	case c == '+' || c == '-':
		return len(b) == 0 || !hex && s[max(len(s)-1, 0):] == "e"
	case c == '.':
		return !strings.ContainsAny(s, ".e") || hex && !strings.Contains(s, ".")
	case c == 'x' || c == 'X':
		return s == "0"
	case hex:
		return c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	case c == 'e' || c == 'E':
		return s != "" && !strings.Contains(s, "e")
	}
	return false
}

func readAllStdin(L *lua.LState) ([]byte, error) {
	if m := machineOf(L); m != nil && m.files != nil {
		r, err := m.files.stdin.Value.(*file).reader()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return nil, nil
}

func ioLines(L *lua.LState) int {
	fs := filesOf(L)
	if L.Get(1) == lua.LNil {
		L.Push(lines(L, current(L, fs.input, "input"), false))
		return 1
	}
	path := argString(L, 1, "lines")
	f, err := openFile(path, "r")
	if err != nil {
		argError(L, 1, "lines", fileError(err, path))
	}
	fs.wrap(f)
	L.Push(lines(L, f, true))
	return 1
}

func fileLines(L *lua.LState) int {
	L.Push(lines(L, argFile(L, 1, "lines"), false))
	return 1
}

// lines is an iterator that closes the file at its end if it opened it.
func lines(L *lua.LState, f *file, owned bool) *lua.LFunction {
	return L.NewFunction(func(L *lua.LState) int {
		if f.closed {
			raisef(L, "file is already closed")
		}
		r, err := f.reader()
		if err != nil {
			raisef(L, "%s", fileError(err, ""))
		}
		v, err := readLine(L, r, false)
		if err != nil && !errors.Is(err, io.EOF) {
			raisef(L, "%s", fileError(err, ""))
		}
		if v == nil {
			if owned {
				delete(filesOf(L).opened, f)
				if _, err := f.close(); err != nil {
					raisef(L, "%s", fileError(err, ""))
				}
			}
			return 0
		}
		L.Push(v)
		return 1
	})
}
