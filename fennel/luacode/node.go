// Package luacode turns Lua syntax trees into running prototypes and readable text.
//
// The trees are gopher-lua's own (github.com/yuin/gopher-lua/ast) with a few more nodes. [Compile] rewrites what
// gopher-lua v1.1.2 is known to compile wrongly before it hands the tree over, so that neither the Fennel compiler nor
// the user of load() has to know; [Print] writes the tree as Lua 5.1 text.
package luacode

import "github.com/yuin/gopher-lua/ast"

// LocalFunction is `local function name() … end`, whose body may call itself. gopher-lua has no node for it: it takes
// every `local x = function` for one.
type LocalFunction struct {
	ast.StmtBase
	Name string
	Func *ast.FunctionExpr
}

// Comment is text for the reader of the output. It compiles to nothing.
type Comment struct {
	ast.StmtBase
	Text string
}

// RawStmts is Lua text which the program wrote itself, kept as it was written.
type RawStmts struct {
	ast.StmtBase
	Text  string
	Stmts []ast.Stmt
}

// RawExpr is an expression of Lua text which the program wrote itself.
type RawExpr struct {
	ast.ExprBase
	Text string
	Expr ast.Expr
}

// FloorDiv is Lua 5.3's a // b, which Lua 5.1 and gopher-lua lack.
type FloorDiv struct {
	ast.ExprBase
	Lhs, Rhs ast.Expr
}

// BitOp is an operator of Lua 5.3 on integers: & | ~ << >>, and unary ~ when Lhs is nil. Gopher-lua has none of them,
// so it compiles to a call of bit.Func.
type BitOp struct {
	ast.ExprBase
	Operator string
	Func     string
	Lhs, Rhs ast.Expr
}

// Paren cuts an expression of several values to one.
func Paren(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.FuncCallExpr:
		if x.AdjustRet {
			return x
		}
		c := *x
		c.AdjustRet = true
		return &c
	case *ast.Comma3Expr:
		c := *x
		c.AdjustRet = true
		return &c
	case *RawExpr:
		c := *x
		c.Text = "(" + x.Text + ")"
		c.Expr = Paren(x.Expr)
		return &c
	}
	return e
}
