package luacode

import "github.com/yuin/gopher-lua/ast"

// nameLocalFunctions makes LocalFunctions of what gopher-lua's parser read as `local function f`. Its node for that is
// the one for `local f = function`, but only the former has a last line.
func nameLocalFunctions(list []ast.Stmt) {
	for i, s := range list {
		if st, ok := s.(*ast.LocalAssignStmt); ok && st.LastLine() != 0 && len(st.Names) == 1 && len(st.Exprs) == 1 {
			if f, ok := st.Exprs[0].(*ast.FunctionExpr); ok {
				n := &LocalFunction{Name: st.Names[0], Func: f}
				at(n, st)
				list[i] = n
			}
		}
		nameInStmt(list[i])
	}
}

func nameInStmt(s ast.Stmt) {
	switch st := s.(type) {
	case *LocalFunction:
		nameLocalFunctions(st.Func.Stmts)
	case *ast.AssignStmt:
		nameInExprs(st.Lhs...)
		nameInExprs(st.Rhs...)
	case *ast.LocalAssignStmt:
		nameInExprs(st.Exprs...)
	case *ast.FuncCallStmt:
		nameInExprs(st.Expr)
	case *ast.DoBlockStmt:
		nameLocalFunctions(st.Stmts)
	case *ast.WhileStmt:
		nameInExprs(st.Condition)
		nameLocalFunctions(st.Stmts)
	case *ast.RepeatStmt:
		nameInExprs(st.Condition)
		nameLocalFunctions(st.Stmts)
	case *ast.IfStmt:
		nameInExprs(st.Condition)
		nameLocalFunctions(st.Then)
		nameLocalFunctions(st.Else)
	case *ast.NumberForStmt:
		nameInExprs(st.Init, st.Limit, st.Step)
		nameLocalFunctions(st.Stmts)
	case *ast.GenericForStmt:
		nameInExprs(st.Exprs...)
		nameLocalFunctions(st.Stmts)
	case *ast.FuncDefStmt:
		nameInExprs(st.Func)
	case *ast.ReturnStmt:
		nameInExprs(st.Exprs...)
	}
}

func nameInExprs(list ...ast.Expr) {
	for _, e := range list {
		switch x := e.(type) {
		case *ast.FunctionExpr:
			nameLocalFunctions(x.Stmts)
		case *ast.AttrGetExpr:
			nameInExprs(x.Object, x.Key)
		case *ast.TableExpr:
			for _, f := range x.Fields {
				nameInExprs(f.Key, f.Value)
			}
		case *ast.FuncCallExpr:
			nameInExprs(x.Func, x.Receiver)
			nameInExprs(x.Args...)
		case *ast.LogicalOpExpr:
			nameInExprs(x.Lhs, x.Rhs)
		case *ast.RelationalOpExpr:
			nameInExprs(x.Lhs, x.Rhs)
		case *ast.StringConcatOpExpr:
			nameInExprs(x.Lhs, x.Rhs)
		case *ast.ArithmeticOpExpr:
			nameInExprs(x.Lhs, x.Rhs)
		case *ast.UnaryMinusOpExpr:
			nameInExprs(x.Expr)
		case *ast.UnaryNotOpExpr:
			nameInExprs(x.Expr)
		case *ast.UnaryLenOpExpr:
			nameInExprs(x.Expr)
		}
	}
}
