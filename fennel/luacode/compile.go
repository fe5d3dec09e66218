package luacode

import (
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// Compile makes a prototype of a chunk, which it may rewrite. The name is what debug information and runtime errors
// call the source. A program that exceeds what gopher-lua can hold (200 registers in a function) gives an error.
func Compile(chunk []ast.Stmt, name string) (proto *lua.FunctionProto, err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				err = fmt.Errorf("compile %s: %w", name, e)
			} else {
				err = fmt.Errorf("compile %s: %v", name, r)
			}
		}
	}()
	m := &mender{}
	chunk = m.stmts(chunk)
	proto, err = lua.Compile(chunk, name)
	if err == nil {
		trim(proto)
	}
	if ce, ok := err.(*lua.CompileError); ok {
		err = &LimitError{Name: name, Line: ce.Line, Message: ce.Message}
	}
	return proto, err
}

// LimitError is gopher-lua's refusal of a program which is valid but too big for one function.
type LimitError struct {
	Name    string
	Line    int
	Message string
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Message) }

// Load compiles Lua text. It is what load, loadstring and dofile should use in place of gopher-lua's own.
func Load(text, name string) (*lua.FunctionProto, error) {
	chunk, err := Parse(text, name)
	if err != nil {
		return nil, err
	}
	return Compile(chunk, name)
}

// Parse reads Lua text.
func Parse(text, name string) ([]ast.Stmt, error) {
	if strings.HasPrefix(text, "#") { // a shebang line
		text = "--" + text
	}
	chunk, err := parse.Parse(strings.NewReader(text), name)
	nameLocalFunctions(chunk)
	return chunk, err
}

// parseExpr reads an expression written in this package.
func parseExpr(text string) ast.Expr {
	chunk, err := parse.Parse(strings.NewReader("return "+text), "luacode")
	if err != nil {
		panic(err)
	}
	return chunk[0].(*ast.ReturnStmt).Exprs[0]
}

// Relocate gives every node of a tree the same line.
func Relocate(chunk []ast.Stmt, line int) {
	for _, s := range chunk {
		relocate(s, line)
	}
}

// Snippet is a Lua expression written in Go source, with every node on the given line.
func Snippet(text string, line int) ast.Expr {
	e := parseExpr(text)
	relocate(e, line)
	return e
}

// trim gives back what gopher-lua reserved for a function and did not use: it starts every one with room for 1024
// instructions and their lines, twelve kilobytes, of which most functions fill a few hundred bytes.
func trim(p *lua.FunctionProto) {
	p.Code = slices.Clone(p.Code)
	p.DbgSourcePositions = slices.Clone(p.DbgSourcePositions)
	p.Constants = slices.Clone(p.Constants)
	p.FunctionPrototypes = slices.Clone(p.FunctionPrototypes)
	p.DbgLocals = slices.Clone(p.DbgLocals)
	p.DbgCalls = slices.Clone(p.DbgCalls)
	p.DbgUpvalues = slices.Clone(p.DbgUpvalues)
	for _, inner := range p.FunctionPrototypes {
		trim(inner)
	}
}
