package luacode

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// mender rewrites a tree in place around the faults of gopher-lua's compiler (v1.1.2, compile.go):
//
//   - `x = a() and b()` on a local x leaves the old x when a() is falsy (compileLogicalOpExprAux tests a register
//     without setting the target);
//   - `x, y = y, x` assigns while it still evaluates (compileAssignStmtRight targets the locals directly);
//   - `x = (f(x))` on a function's last parameter loads f over x before it evaluates the arguments
//     (compileFuncCallExpr);
//   - `{…50 items…, k = v}` and `{…50 items…, f()}` flush the same items twice or in the wrong place, and
//     `{1, k = f()}` takes the values of f() for items (compileTableExpr);
//   - a loop that begins with a jump goes astray: the jump back to it is shortened by way of the other jump, which has
//     been given its distance already and is taken for a label still (patchCode);
//   - a function with n constants takes time n² (ConstIndex);
//   - `local f = function() f() end` sees itself, as only `local function` may;
//   - every function with ... has a local named arg, which hides the program's own and the global one;
//   - custom nodes of this package are not known to it.
type mender struct {
	varargs int  // how many enclosing functions other than the chunk take ...
	argHere bool // a local of the program is named arg, here
}

// argLocal is what a local named arg is called instead.
const argLocal = "(arg)"

// declare renames the locals named arg among those a statement makes.
func (m *mender) declare(names []string) {
	for i, n := range names {
		if n == "arg" {
			names[i] = argLocal
			m.argHere = true
		}
	}
}

// block mends statements with a scope of their own.
func (m *mender) block(list []ast.Stmt) []ast.Stmt {
	saved := m.argHere
	list = m.stmts(list)
	m.argHere = saved
	return list
}

// temporaries have names no program can write.
const temp = "(t)"

func (m *mender) stmts(list []ast.Stmt) []ast.Stmt {
	list = m.each(list)
	if len(list) > mostStatements {
		list = splitStatements(list)
	}
	return list
}

func (m *mender) each(list []ast.Stmt) []ast.Stmt {
	var out []ast.Stmt // nil as long as nothing changed in number
	for i, s := range list {
		switch st := s.(type) {
		case *Comment, *RawStmts, *LocalFunction:
			if out == nil {
				out = append(make([]ast.Stmt, 0, len(list)+4), list[:i]...)
			}
			switch st := st.(type) {
			case *RawStmts:
				out = append(out, m.stmts(st.Stmts)...)
			case *LocalFunction:
				name := []string{st.Name}
				m.declare(name)
				st.Name = name[0]
				m.function(st.Func)
				d := &ast.LocalAssignStmt{Names: []string{st.Name}, Exprs: []ast.Expr{st.Func}}
				at(d, st)
				out = append(out, d)
			}
			continue
		}
		n := m.stmt(s)
		if out != nil {
			out = append(out, n)
		} else {
			list[i] = n
		}
	}
	if out != nil {
		return out
	}
	return list
}

func at(n, from ast.PositionHolder) {
	n.SetLine(from.Line())
	n.SetLastLine(from.LastLine())
}

func (m *mender) stmt(s ast.Stmt) ast.Stmt {
	switch st := s.(type) {
	case *ast.AssignStmt:
		m.exprs(st.Lhs)
		m.exprs(st.Rhs)
		return mendAssign(st)
	case *ast.LocalAssignStmt:
		m.exprs(st.Exprs)
		m.declare(st.Names)
		if len(st.Names) == 1 && len(st.Exprs) == 1 {
			if _, ok := st.Exprs[0].(*ast.FunctionExpr); ok {
				none := &ast.NilExpr{}
				at(none, st)
				st.Exprs = append(st.Exprs[:1:1], none)
			}
		}
	case *ast.FuncCallStmt:
		st.Expr = m.expr(st.Expr)
		if _, ok := st.Expr.(*ast.FuncCallExpr); !ok {
			d := &ast.DoBlockStmt{Stmts: []ast.Stmt{local1(st.Expr)}}
			at(d, st)
			return d
		}
	case *ast.DoBlockStmt:
		st.Stmts = m.block(st.Stmts)
	case *ast.WhileStmt:
		st.Condition = m.expr(st.Condition)
		if v, known := truth(st.Condition); known && !v {
			return block(nil, st)
		}
		st.Stmts = noLeadingJump(m.block(st.Stmts))
	case *ast.RepeatStmt: // its condition sees the locals of the body
		saved := m.argHere
		st.Stmts = noLeadingJump(m.stmts(st.Stmts))
		st.Condition = m.expr(st.Condition)
		m.argHere = saved
	case *ast.FuncDefStmt:
		m.function(st.Func)
		if st.Name.Func != nil {
			st.Name.Func = m.expr(st.Name.Func)
		}
		if st.Name.Receiver != nil {
			st.Name.Receiver = m.expr(st.Name.Receiver)
		}
	case *ast.ReturnStmt:
		m.exprs(st.Exprs)
	case *ast.IfStmt:
		st.Condition = m.expr(st.Condition)
		st.Then = m.block(st.Then)
		st.Else = m.block(st.Else)
		if v, known := truth(st.Condition); known {
			if v {
				return block(st.Then, st)
			}
			return block(st.Else, st)
		}
	case *ast.NumberForStmt:
		st.Init = m.expr(st.Init)
		st.Limit = m.expr(st.Limit)
		if st.Step != nil {
			st.Step = m.expr(st.Step)
		}
		saved := m.argHere
		name := []string{st.Name}
		m.declare(name)
		st.Name = name[0]
		st.Stmts = m.stmts(st.Stmts)
		m.argHere = saved
	case *ast.GenericForStmt:
		m.exprs(st.Exprs)
		saved := m.argHere
		m.declare(st.Names)
		st.Stmts = noLeadingJump(m.stmts(st.Stmts))
		m.argHere = saved
	}
	return s
}

func local1(e ast.Expr) ast.Stmt {
	l := &ast.LocalAssignStmt{Names: []string{temp}, Exprs: []ast.Expr{e}}
	at(l, e)
	return l
}

func mendAssign(st *ast.AssignStmt) ast.Stmt {
	if len(st.Lhs) == 1 && len(st.Rhs) == 1 {
		id, ok := st.Lhs[0].(*ast.IdentExpr)
		if !ok || !riskyInto(st.Rhs[0]) {
			return st
		}
		t := &ast.IdentExpr{Value: temp}
		at(t, st.Rhs[0])
		set := &ast.AssignStmt{Lhs: []ast.Expr{id}, Rhs: []ast.Expr{t}}
		at(set, st)
		d := &ast.DoBlockStmt{Stmts: []ast.Stmt{local1(st.Rhs[0]), set}}
		at(d, st)
		return d
	}
	if len(st.Rhs) == 1 && allIdents(st.Lhs) {
		switch x := st.Rhs[0].(type) {
		case *ast.FuncCallExpr:
			if !x.AdjustRet {
				return st
			}
		case *ast.Comma3Expr:
			if !x.AdjustRet {
				return st
			}
		}
	}
	// Places are evaluated first, then values, then the assignments are made, from last to first as Lua makes them.
	d := &ast.DoBlockStmt{}
	at(d, st)
	ident := func(name string, from ast.PositionHolder) ast.Expr {
		e := &ast.IdentExpr{Value: name}
		at(e, from)
		return e
	}
	bind := func(name string, e ast.Expr) ast.Expr {
		l := &ast.LocalAssignStmt{Names: []string{name}, Exprs: []ast.Expr{e}}
		at(l, e)
		d.Stmts = append(d.Stmts, l)
		return ident(name, e)
	}
	lhs := make([]ast.Expr, len(st.Lhs))
	names := make([]string, len(st.Lhs))
	for i, e := range st.Lhs {
		n := strconv.Itoa(i)
		names[i] = "(v" + n + ")"
		lhs[i] = e
		if a, ok := e.(*ast.AttrGetExpr); ok {
			c := *a
			c.Object = bind("(o"+n+")", a.Object)
			if !constant(a.Key) {
				c.Key = bind("(k"+n+")", a.Key)
			}
			lhs[i] = &c
		}
	}
	l := &ast.LocalAssignStmt{Names: names, Exprs: st.Rhs}
	at(l, st)
	d.Stmts = append(d.Stmts, l)
	for i := len(lhs) - 1; i >= 0; i-- {
		set := &ast.AssignStmt{Lhs: []ast.Expr{lhs[i]}, Rhs: []ast.Expr{ident(names[i], st)}}
		at(set, st)
		d.Stmts = append(d.Stmts, set)
	}
	return d
}

func allIdents(list []ast.Expr) bool {
	for _, e := range list {
		if _, ok := e.(*ast.IdentExpr); !ok {
			return false
		}
	}
	return true
}

func constant(e ast.Expr) bool {
	switch e.(type) {
	case *ast.StringExpr, *ast.NumberExpr, *ast.TrueExpr, *ast.FalseExpr:
		return true
	}
	return false
}

// riskyInto holds for expressions which gopher-lua compiles wrongly straight into an existing local.
func riskyInto(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.LogicalOpExpr:
		return true
	case *ast.FuncCallExpr:
		return x.AdjustRet
	case *ast.Comma3Expr:
		return x.AdjustRet
	}
	return false
}

func (m *mender) exprs(list []ast.Expr) {
	for i, e := range list {
		list[i] = m.expr(e)
	}
}

func (m *mender) function(f *ast.FunctionExpr) {
	saved, varargs := m.argHere, m.varargs
	if f.ParList.HasVargs {
		m.varargs++
	}
	m.declare(f.ParList.Names)
	f.Stmts = m.stmts(f.Stmts)
	m.argHere, m.varargs = saved, varargs
}

func (m *mender) expr(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.IdentExpr:
		if x.Value != "arg" {
			return x
		}
		if m.argHere {
			x.Value = argLocal
		} else if m.varargs > 0 {
			g := &ast.IdentExpr{Value: "_G"}
			k := &ast.StringExpr{Value: "arg"}
			get := &ast.AttrGetExpr{Object: g, Key: k}
			at(g, x)
			at(k, x)
			at(get, x)
			return get
		}
	case *ast.AttrGetExpr:
		x.Object = m.expr(x.Object)
		x.Key = m.expr(x.Key)
	case *ast.TableExpr:
		return m.table(x)
	case *ast.FuncCallExpr:
		if x.Func != nil {
			x.Func = m.expr(x.Func)
		}
		if x.Receiver != nil {
			x.Receiver = m.expr(x.Receiver)
		}
		m.exprs(x.Args)
		if len(x.Args) > maxArgs {
			packArgs(x)
		}
	case *ast.LogicalOpExpr:
		x.Lhs, x.Rhs = m.expr(x.Lhs), m.expr(x.Rhs)
		if v, known := truth(x.Lhs); known {
			if v == (x.Operator == "and") {
				return Paren(x.Rhs)
			}
			return x.Lhs
		}
	case *ast.RelationalOpExpr:
		x.Lhs, x.Rhs = m.expr(x.Lhs), m.expr(x.Rhs)
	case *ast.StringConcatOpExpr:
		x.Lhs, x.Rhs = m.expr(x.Lhs), m.expr(x.Rhs)
	case *ast.ArithmeticOpExpr:
		x.Lhs, x.Rhs = m.expr(x.Lhs), m.expr(x.Rhs)
	case *ast.UnaryMinusOpExpr:
		x.Expr = m.expr(x.Expr)
	case *ast.UnaryNotOpExpr:
		x.Expr = m.expr(x.Expr)
		if v, known := truth(x.Expr); known {
			return boolean(!v, x)
		}
	case *ast.UnaryLenOpExpr:
		x.Expr = m.expr(x.Expr)
	case *ast.FunctionExpr:
		m.function(x)
	case *RawExpr:
		return m.expr(x.Expr)
	case *FloorDiv:
		return m.expr(floorDiv(x))
	case *BitOp:
		return m.expr(bitCall(x))
	}
	return e
}
