package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
	"quire/internal/secret"
)

// raised is an error that Lua code raised, taken apart: the place is not in the
// text.
type raised struct {
	file string // "" when no file of the pipeline had a part in it
	line int
	text string
}

// maxText bounds what is held of a text that a pipeline can make as long as it
// likes. It is one byte more than what is masked of it: so it is the masking that
// cuts, and sees what it cuts through.
const maxText = secret.MaxText + 1

func (r raised) Error() string {
	if r.file == "" {
		return r.text
	}
	return fmt.Sprintf("%s:%d: %s", r.file, r.line, r.text)
}

// protect calls the function below nargs arguments on the stack, and leaves
// nret results. The error, nil if the call returned, is a raised, or whatever
// ended the state's context as Lua saw it.
func (p *program) protect(L *lua.LState, nargs, nret int) (err error) {
	defer func() {
		// vm.PCall raises the end of the context anew, and nothing is above.
		if fault := recover(); fault != nil {
			err = p.raisedFrom(L, fault)
		}
	}()
	err = vm.PCall(L, nargs, nret, L.NewFunction(p.catch))
	if err != nil {
		err = p.raisedFrom(L, err)
	}
	return err
}

// caught is an error's value with the place in the pipeline's sources that it
// came from, wrapped on the way through Lua.
type caught struct {
	value lua.LValue
	file  string
	line  int
}

// catch is the error handler of protected calls. It finds the place while the
// functions that raised the error are still there; the virtual machine's own
// traceback takes time that grows with the square of the stack's depth.
func (p *program) catch(L *lua.LState) int {
	c := caught{value: L.Get(1)}
	for level := 1; level < 20; level++ {
		frame, ok := L.GetStack(level)
		if !ok {
			break
		}
		_, err := L.GetInfo("Sl", frame, lua.LNil)
		if err == nil && frame.CurrentLine > 0 && p.textOf(frame.Source) != nil {
			c.file, c.line = frame.Source, frame.CurrentLine
			break
		}
	}
	L.Push(&lua.LUserData{Value: c, Metatable: lua.LNil})
	return 1
}

// raisedFrom reads what a protected call came back with: without the words and
// frames of the virtual machine, with the place in the pipeline's own sources.
func (p *program) raisedFrom(L *lua.LState, fault any) raised {
	var c caught
	api, ok := fault.(*lua.ApiError)
	if !ok {
		return raised{text: "internal error: " + fmt.Sprint(fault)}
	}
	c.value = api.Object
	if wrapped, ok := api.Object.(*lua.LUserData); ok {
		if inner, ok := wrapped.Value.(caught); ok {
			c = inner
		}
	}
	r := raised{}
	if s, ok := c.value.(lua.LString); ok {
		r = p.place(string(s))
	} else {
		r.text = "raised " + view(L, c.value)
	}
	if r.file == "" {
		r.file, r.line = c.file, c.line
		r.text = ofGo(r.text)
	}
	r.text = r.text[:min(len(r.text), maxText)]
	return r
}

// ofGo words what a Go function of the virtual machine panicked with, which
// arrives as the text of Go's error.
func ofGo(text string) string {
	for _, prefix := range []string{"runtime error: ", "interface conversion: "} {
		if strings.HasPrefix(text, prefix) {
			text, _, _ = strings.Cut(text, "\n")
			return "internal error in a library function: " + text
		}
	}
	return text
}

// placePattern is the position that Lua puts before a message.
var placePattern = regexp.MustCompile(`(?s)^([^\n]*?):(\d+): ?(.*)$`)

// place takes the position off a message, if it is one in the pipeline.
func (p *program) place(message string) raised {
	if m := placePattern.FindStringSubmatch(message); m != nil && p.textOf(m[1]) != nil {
		line, _ := strconv.Atoi(m[2])
		return raised{m[1], line, m[3]}
	}
	return raised{text: message}
}

// diagnose is an error of evaluating the pipeline as diagnostics.
func (p *program) diagnose(err error) Diagnostics {
	var r raised
	if !errors.As(err, &r) {
		return Diagnostics{{File: p.name, Message: err.Error()}}
	}
	if broken := p.lib.broken(r.text); broken != nil {
		return ofCompiler(broken, p.textOf)
	}
	d := Diagnostic{File: r.file, Line: r.line, Message: r.text}
	if d.File == "" {
		d.File = p.name
		return Diagnostics{d}
	}
	text := p.textOf(r.file)
	d.Col, d.EndCol = wholeLine(text, r.line)
	d.Excerpt = fennel.Excerpt(text, r.line, d.Col, d.EndCol)
	return Diagnostics{d}
}
