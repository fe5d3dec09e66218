package luacode

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// gopher-lua looks through all constants of a function for every constant it meets, so that a function with n of them
// takes n² steps: thirty thousand numbers in a table take ten seconds. What is long is therefore divided among
// functions that are called at once.
const (
	mostFields     = 1000 // of one table
	mostStatements = 2000 // of one block
	perPart        = 250
)

// fillTable makes a long table literal piece by piece. Runs of constants go into functions of their own; what has to
// be evaluated stays where it is, in order.
func fillTable(x *ast.TableExpr) ast.Expr {
	first := &ast.TableExpr{}
	at(first, x)
	var parts []ast.Expr // functions that store constants
	var stmts []ast.Stmt
	store := func(f *ast.Field) ast.Stmt {
		t := &ast.IdentExpr{Value: "t"}
		place := &ast.AttrGetExpr{Object: t, Key: f.Key}
		set := &ast.AssignStmt{Lhs: []ast.Expr{place}, Rhs: []ast.Expr{f.Value}}
		for _, n := range []ast.PositionHolder{t, place, set} {
			at(n, f.Value)
		}
		return set
	}
	flush := func() {
		if len(stmts) > 0 {
			fn := &ast.FunctionExpr{ParList: &ast.ParList{Names: []string{"t"}}, Stmts: stmts}
			at(fn, x)
			parts = append(parts, fn)
			stmts = nil
		}
	}
	positional, kept := 0, 0
	for i, f := range x.Fields {
		if f.Key == nil {
			positional++
		}
		constant := pure(f.Value) && (f.Key == nil || pure(f.Key))
		if i < perPart || !constant {
			// Items that may not move keep the position they have, which is theirs by number.
			if f.Key == nil && positional != kept+1 && i != len(x.Fields)-1 {
				f.Key = number(positional, f.Value)
			} else if f.Key == nil && positional == kept+1 {
				kept++
			}
			first.Fields = append(first.Fields, f)
			continue
		}
		if f.Key == nil {
			f.Key = number(positional, f.Value)
		}
		stmts = append(stmts, store(f))
		if len(stmts) == perPart {
			flush()
		}
	}
	flush()
	if len(parts) == 0 {
		return x
	}
	last := x.Fields[len(x.Fields)-1]
	var base ast.Expr = first
	if last.Key == nil && severalValues(last.Value) {
		base = appendOpen(first, positional-1)
	}
	// (function(t, a, b, …) a(t) b(t) … return t end)(base, a, b, …), a hundred parts at a time
	for len(parts) > 0 {
		n := min(len(parts), 100)
		base = applyAll(base, parts[:n], x)
		parts = parts[n:]
	}
	return base
}

func applyAll(base ast.Expr, parts []ast.Expr, x ast.PositionHolder) ast.Expr {
	fn := &ast.FunctionExpr{ParList: &ast.ParList{Names: []string{"t"}}}
	id := func(name string) ast.Expr {
		e := &ast.IdentExpr{Value: name}
		at(e, x)
		return e
	}
	for i := range parts {
		name := "(p" + strconv.Itoa(i) + ")"
		fn.ParList.Names = append(fn.ParList.Names, name)
		call := &ast.FuncCallExpr{Func: id(name), Args: []ast.Expr{id("t")}}
		stmt := &ast.FuncCallStmt{Expr: call}
		at(call, x)
		at(stmt, x)
		fn.Stmts = append(fn.Stmts, stmt)
	}
	ret := &ast.ReturnStmt{Exprs: []ast.Expr{id("t")}}
	at(ret, x)
	fn.Stmts = append(fn.Stmts, ret)
	at(fn, x)
	call := &ast.FuncCallExpr{Func: fn, Args: append([]ast.Expr{Paren(base)}, parts...), AdjustRet: true}
	at(call, x)
	return call
}

// pure holds for expressions which are the same wherever they are evaluated.
func pure(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.NumberExpr, *ast.StringExpr, *ast.TrueExpr, *ast.FalseExpr, *ast.NilExpr:
		return true
	case *ast.TableExpr:
		for _, f := range x.Fields {
			if f.Key != nil && !pure(f.Key) || !pure(f.Value) {
				return false
			}
		}
		return true
	case *ast.FuncCallExpr: // a long table inside, divided already
		fn, ok := x.Func.(*ast.FunctionExpr)
		return ok && x.AdjustRet && len(fn.ParList.Names) > 1 && fn.ParList.Names[0] == "t"
	}
	return false
}

// splitStatements puts runs of statements that neither declare nor leave anything into functions called at once.
func splitStatements(list []ast.Stmt) []ast.Stmt {
	var out, run []ast.Stmt
	flush := func() {
		if len(run) < 2 {
			out = append(out, run...)
		} else {
			fn := &ast.FunctionExpr{ParList: &ast.ParList{}, Stmts: run}
			fn.SetLine(run[0].Line())
			fn.SetLastLine(run[len(run)-1].LastLine())
			call := &ast.FuncCallExpr{Func: fn}
			stmt := &ast.FuncCallStmt{Expr: call}
			at(call, run[0])
			at(stmt, run[0])
			out = append(out, stmt)
		}
		run = nil
	}
	for _, s := range list {
		if !movable(s) {
			flush()
			out = append(out, s)
			continue
		}
		run = append(run, s)
		if len(run) == perPart {
			flush()
		}
	}
	flush()
	return out
}

// movable holds for statements that do the same inside a function: no declaration, no way out, no `...`.
func movable(s ast.Stmt) bool {
	switch st := s.(type) {
	case *ast.AssignStmt:
		return !anyVarargs(st.Lhs) && !anyVarargs(st.Rhs)
	case *ast.FuncCallStmt:
		return !usesVarargs(st.Expr)
	case *ast.DoBlockStmt:
		if len(st.Stmts) != 1 {
			return false
		}
		l, ok := st.Stmts[0].(*ast.LocalAssignStmt)
		return ok && !anyVarargs(l.Exprs)
	}
	return false
}

func anyVarargs(list []ast.Expr) bool {
	for _, e := range list {
		if usesVarargs(e) {
			return true
		}
	}
	return false
}

func usesVarargs(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.Comma3Expr:
		return true
	case *ast.AttrGetExpr:
		return usesVarargs(x.Object) || usesVarargs(x.Key)
	case *ast.TableExpr:
		for _, f := range x.Fields {
			if f.Key != nil && usesVarargs(f.Key) || usesVarargs(f.Value) {
				return true
			}
		}
	case *ast.FuncCallExpr:
		return x.Func != nil && usesVarargs(x.Func) || x.Receiver != nil && usesVarargs(x.Receiver) || anyVarargs(x.Args)
	case *ast.LogicalOpExpr:
		return usesVarargs(x.Lhs) || usesVarargs(x.Rhs)
	case *ast.RelationalOpExpr:
		return usesVarargs(x.Lhs) || usesVarargs(x.Rhs)
	case *ast.StringConcatOpExpr:
		return usesVarargs(x.Lhs) || usesVarargs(x.Rhs)
	case *ast.ArithmeticOpExpr:
		return usesVarargs(x.Lhs) || usesVarargs(x.Rhs)
	case *ast.UnaryMinusOpExpr:
		return usesVarargs(x.Expr)
	case *ast.UnaryNotOpExpr:
		return usesVarargs(x.Expr)
	case *ast.UnaryLenOpExpr:
		return usesVarargs(x.Expr)
	}
	return false
}
