package luacode

import "github.com/yuin/gopher-lua/ast"

// relocate sets the line of a node and of everything inside it.
func relocate(n ast.PositionHolder, line int) {
	if n == nil {
		return
	}
	n.SetLine(line)
	n.SetLastLine(line)
	exprs := func(list ...ast.Expr) {
		for _, e := range list {
			if e != nil {
				relocate(e, line)
			}
		}
	}
	switch x := n.(type) {
	case *ast.AssignStmt:
		exprs(x.Lhs...)
		exprs(x.Rhs...)
	case *ast.LocalAssignStmt:
		exprs(x.Exprs...)
	case *ast.FuncCallStmt:
		exprs(x.Expr)
	case *ast.DoBlockStmt:
		Relocate(x.Stmts, line)
	case *ast.WhileStmt:
		exprs(x.Condition)
		Relocate(x.Stmts, line)
	case *ast.RepeatStmt:
		exprs(x.Condition)
		Relocate(x.Stmts, line)
	case *ast.IfStmt:
		exprs(x.Condition)
		Relocate(x.Then, line)
		Relocate(x.Else, line)
	case *ast.NumberForStmt:
		exprs(x.Init, x.Limit, x.Step)
		Relocate(x.Stmts, line)
	case *ast.GenericForStmt:
		exprs(x.Exprs...)
		Relocate(x.Stmts, line)
	case *ast.FuncDefStmt:
		exprs(x.Name.Func, x.Name.Receiver)
		relocate(x.Func, line)
	case *ast.ReturnStmt:
		exprs(x.Exprs...)
	case *ast.AttrGetExpr:
		exprs(x.Object, x.Key)
	case *ast.TableExpr:
		for _, f := range x.Fields {
			exprs(f.Key, f.Value)
		}
	case *ast.FuncCallExpr:
		exprs(x.Func, x.Receiver)
		exprs(x.Args...)
	case *ast.LogicalOpExpr:
		exprs(x.Lhs, x.Rhs)
	case *ast.RelationalOpExpr:
		exprs(x.Lhs, x.Rhs)
	case *ast.StringConcatOpExpr:
		exprs(x.Lhs, x.Rhs)
	case *ast.ArithmeticOpExpr:
		exprs(x.Lhs, x.Rhs)
	case *ast.UnaryMinusOpExpr:
		exprs(x.Expr)
	case *ast.UnaryNotOpExpr:
		exprs(x.Expr)
	case *ast.UnaryLenOpExpr:
		exprs(x.Expr)
	case *ast.FunctionExpr:
		Relocate(x.Stmts, line)
	case *LocalFunction:
		relocate(x.Func, line)
	case *RawStmts:
		Relocate(x.Stmts, line)
	case *RawExpr:
		exprs(x.Expr)
	}
}
