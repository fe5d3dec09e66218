package fennel

import (
	"math"

	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// exprKind tells what may be done with a Lua expression besides taking its value.
type exprKind uint8

const (
	literalExpr exprKind = iota // evaluating it does nothing
	valueExpr                   // may do something, is no statement by itself
	callExpr                    // may stand alone as a statement
	vargExpr                    // ...
	nameExpr                    // a variable or a function: evaluating it does nothing
)

// expr is a Lua expression that a form compiled to.
type expr struct {
	x    ast.Expr
	kind exprKind
}

// block collects statements.
type block struct {
	stmts []ast.Stmt
}

func (b *block) emit(s ast.Stmt) { b.stmts = append(b.stmts, s) }

// body hands the statements over. A block at its very end needs no do … end round it.
func (b *block) body() []ast.Stmt {
	list := b.stmts
	for len(list) > 0 {
		d, ok := list[len(list)-1].(*ast.DoBlockStmt)
		if !ok || isDiscard(d) {
			return list
		}
		if len(list) == 1 {
			list = d.Stmts
			continue
		}
		list = append(list[:len(list)-1], d.Stmts...)
	}
	return list
}

func isDiscard(d *ast.DoBlockStmt) bool {
	if len(d.Stmts) != 1 {
		return false
	}
	l, ok := d.Stmts[0].(*ast.LocalAssignStmt)
	return ok && len(l.Names) == 1 && l.Names[0] == "_"
}

// how a form is wanted by what surrounds it.
type want struct {
	nval   int        // how many values; anyValues when not known
	tail   bool       // it is to be returned
	target []ast.Expr // it is to be assigned
	// fallback makes `include` a require when there is nothing to include.
	fallback func(e expr, quiet bool) expr
	handle   any // the options table a Lua special was given
}

const anyValues = -1

var one = want{nval: 1}

// Nodes are made by the functions below so that every one carries a line.

func (c *compilation) ident(name string, line int) ast.Expr {
	n := c.slab.idents.get()
	n.Value = name
	n.SetLine(line)
	return n
}

func (c *compilation) str(s string, line int) ast.Expr {
	n := c.slab.strings.get()
	n.Value = s
	n.SetLine(line)
	return n
}

func (c *compilation) number(f float64, line int) ast.Expr {
	quotient := func(num string) ast.Expr {
		return c.arith("/", c.numeral(num, line), c.numeral("0", line), line)
	}
	switch {
	case math.IsInf(f, 1):
		return quotient("1")
	case math.IsInf(f, -1):
		return quotient("-1")
	case math.IsNaN(f):
		e := quotient("0")
		if math.Signbit(f) == zeroByZero {
			return e
		}
		n := &ast.UnaryMinusOpExpr{Expr: e}
		n.SetLine(line)
		return n
	}
	return c.numeral(luaNumber(f), line)
}

// zeroByZero is the sign of 0/0, which differs between processors: programs see it when they print.
var zeroByZero = func() bool {
	zero := 0.0
	return math.Signbit(zero / zero)
}()

func (c *compilation) numeral(text string, line int) ast.Expr {
	if text[0] == '-' { // gopher-lua's parser never makes a negative numeral, its compiler takes one
		n := &ast.NumberExpr{Value: text}
		n.SetLine(line)
		return n
	}
	n := c.slab.numbers.get()
	n.Value = text
	n.SetLine(line)
	return n
}

func (c *compilation) arith(op string, l, r ast.Expr, line int) ast.Expr {
	n := &ast.ArithmeticOpExpr{Operator: op, Lhs: l, Rhs: r}
	n.SetLine(line)
	return n
}

func (c *compilation) compare(op string, l, r ast.Expr, line int) ast.Expr {
	n := &ast.RelationalOpExpr{Operator: op, Lhs: l, Rhs: r}
	n.SetLine(line)
	return n
}

func (c *compilation) logical(op string, l, r ast.Expr, line int) ast.Expr {
	n := &ast.LogicalOpExpr{Operator: op, Lhs: l, Rhs: r}
	n.SetLine(line)
	return n
}

func (c *compilation) not(e ast.Expr, line int) ast.Expr {
	n := &ast.UnaryNotOpExpr{Expr: e}
	n.SetLine(line)
	return n
}

func (c *compilation) nilAt(line int) ast.Expr {
	n := &ast.NilExpr{}
	n.SetLine(line)
	return n
}

func (c *compilation) boolean(v bool, line int) ast.Expr {
	if v {
		n := &ast.TrueExpr{}
		n.SetLine(line)
		return n
	}
	n := &ast.FalseExpr{}
	n.SetLine(line)
	return n
}

func (c *compilation) varg(line int) ast.Expr {
	n := &ast.Comma3Expr{}
	n.SetLine(line)
	return n
}

func (c *compilation) index(obj, key ast.Expr, line int) ast.Expr {
	n := c.slab.indexes.get()
	n.Object, n.Key = obj, key
	n.SetLine(line)
	return n
}

func (c *compilation) field(obj ast.Expr, name string, line int) ast.Expr {
	return c.index(obj, c.str(name, line), line)
}

func (c *compilation) call(fn ast.Expr, line int, args ...ast.Expr) *ast.FuncCallExpr {
	n := c.slab.calls.get()
	n.Func, n.Args = fn, args
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (c *compilation) method(obj ast.Expr, name string, line int, args []ast.Expr) *ast.FuncCallExpr {
	n := c.slab.calls.get()
	n.Receiver, n.Method, n.Args = obj, name, args
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (c *compilation) function(params []string, varargs bool, body []ast.Stmt, from, to int) *ast.FunctionExpr {
	n := &ast.FunctionExpr{ParList: &ast.ParList{Names: params, HasVargs: varargs}, Stmts: body}
	n.SetLine(from)
	n.SetLastLine(max(from, to))
	return n
}

// localStmt is `local names = values`.
func (c *compilation) localStmt(names []string, values []ast.Expr, line int) ast.Stmt {
	n := &ast.LocalAssignStmt{Names: names, Exprs: values}
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (c *compilation) assign(places, values []ast.Expr, line int) ast.Stmt {
	n := &ast.AssignStmt{Lhs: places, Rhs: values}
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (c *compilation) doBlock(stmts []ast.Stmt, from, to int) ast.Stmt {
	n := &ast.DoBlockStmt{Stmts: stmts}
	n.SetLine(from)
	n.SetLastLine(max(from, to))
	return n
}

func (c *compilation) callStmt(e ast.Expr, line int) ast.Stmt {
	n := &ast.FuncCallStmt{Expr: e}
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (c *compilation) returnStmt(values []ast.Expr, line int) ast.Stmt {
	n := &ast.ReturnStmt{Exprs: values}
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (c *compilation) ifStmt(cond ast.Expr, then, els []ast.Stmt, from, to int) *ast.IfStmt {
	n := &ast.IfStmt{Condition: cond, Then: then, Else: els}
	n.SetLine(from)
	n.SetLastLine(max(from, to))
	return n
}

func (c *compilation) localFunction(name string, f *ast.FunctionExpr) ast.Stmt {
	n := &luacode.LocalFunction{Name: name, Func: f}
	n.SetLine(f.Line())
	n.SetLastLine(f.LastLine())
	return n
}

func (c *compilation) breakIf(cond ast.Expr, line int) ast.Stmt {
	br := &ast.BreakStmt{}
	br.SetLine(line)
	return c.ifStmt(cond, []ast.Stmt{br}, nil, line, line)
}

// slabs hand out the commonest nodes from arrays, which halves the time of a compilation.
type slabs struct {
	idents  slab[ast.IdentExpr]
	strings slab[ast.StringExpr]
	numbers slab[ast.NumberExpr]
	indexes slab[ast.AttrGetExpr]
	calls   slab[ast.FuncCallExpr]
	exprs   []expr
	values  []ast.Expr
}

type slab[T any] struct{ free []T }

const slabSize = 32

func (s *slab[T]) get() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	p := &s.free[0]
	s.free = s.free[1:]
	return p
}

// single makes a list of one expression.
func (c *compilation) single(x ast.Expr, kind exprKind) []expr {
	if len(c.slab.exprs) == 0 {
		c.slab.exprs = make([]expr, 2*slabSize)
	}
	e := c.slab.exprs[:1:1]
	c.slab.exprs = c.slab.exprs[1:]
	e[0] = expr{x, kind}
	return e
}

func (c *compilation) one(x ast.Expr) []ast.Expr {
	if len(c.slab.values) == 0 {
		c.slab.values = make([]ast.Expr, 2*slabSize)
	}
	v := c.slab.values[:1:1]
	c.slab.values = c.slab.values[1:]
	v[0] = x
	return v
}

func (c *compilation) values(list []expr) []ast.Expr {
	if len(list) == 1 {
		return c.one(list[0].x)
	}
	out := make([]ast.Expr, len(list))
	for i, e := range list {
		out[i] = e.x
	}
	return out
}
