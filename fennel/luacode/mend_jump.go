package luacode

import "github.com/yuin/gopher-lua/ast"

// truth says whether a constant counts as true.
func truth(e ast.Expr) (value, known bool) {
	switch e.(type) {
	case *ast.TrueExpr, *ast.NumberExpr, *ast.StringExpr:
		return true, true
	case *ast.FalseExpr, *ast.NilExpr:
		return false, true
	}
	return false, false
}

func boolean(v bool, from ast.PositionHolder) ast.Expr {
	var e ast.Expr = &ast.FalseExpr{}
	if v {
		e = &ast.TrueExpr{}
	}
	at(e, from)
	return e
}

func block(list []ast.Stmt, from ast.PositionHolder) ast.Stmt {
	d := &ast.DoBlockStmt{Stmts: list}
	at(d, from)
	return d
}

// noLeadingJump puts an instruction in front of a loop's body whose first would be a jump. Constant conditions are
// gone by now, so that only break, goto and loops without a condition begin with one.
func noLeadingJump(list []ast.Stmt) []ast.Stmt {
	if !beginsWithJump(list) {
		return list
	}
	none := &ast.NilExpr{}
	at(none, list[0])
	return append([]ast.Stmt{block([]ast.Stmt{local1(none)}, list[0])}, list...)
}

func beginsWithJump(list []ast.Stmt) bool {
	for _, s := range list {
		switch st := s.(type) {
		case *ast.BreakStmt, *ast.GotoStmt:
			return true
		case *ast.LabelStmt:
			continue
		case *ast.DoBlockStmt:
			if len(st.Stmts) == 0 {
				continue
			}
			return beginsWithJump(st.Stmts)
		case *ast.WhileStmt:
			if _, known := truth(st.Condition); known {
				return beginsWithJump(st.Stmts) || len(st.Stmts) == 0
			}
			return false
		case *ast.RepeatStmt:
			return beginsWithJump(st.Stmts)
		default:
			return false
		}
	}
	return false
}
