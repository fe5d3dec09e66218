package luacode

import (
	"strings"

	"github.com/yuin/gopher-lua/ast"
)

func (p *printer) list(list []ast.Expr) {
	for i, e := range list {
		if i > 0 {
			p.text(", ")
		}
		p.expr(e)
	}
}

func (p *printer) funcBody(f *ast.FunctionExpr) {
	p.text("(" + strings.Join(f.ParList.Names, ", "))
	if f.ParList.HasVargs {
		if len(f.ParList.Names) > 0 {
			p.text(", ")
		}
		p.text("...")
	}
	p.text(")")
	if len(f.Stmts) == 0 {
		p.text(" end")
		return
	}
	p.body(f.Stmts)
	p.text("end")
}

func (p *printer) binary(l ast.Expr, op string, r ast.Expr) {
	p.text("(")
	if n, ok := l.(*ast.NumberExpr); ok && op == "^" && strings.HasPrefix(n.Value, "-") {
		p.text("(" + n.Value + ")") // ^ binds tighter than the minus sign
	} else {
		p.expr(l)
	}
	p.text(" " + op + " ")
	p.expr(r)
	p.text(")")
}

// chain prints a + b + c without the brackets that grouping to the left makes superfluous.
func (p *printer) chain(e ast.Expr, op string) {
	var rest []ast.Expr
	for {
		l, r, o := sides(e)
		if o != op {
			break
		}
		rest = append(rest, r)
		e = l
	}
	p.text("(")
	p.expr(e)
	for i := len(rest) - 1; i >= 0; i-- {
		p.text(" " + op + " ")
		p.expr(rest[i])
	}
	p.text(")")
}

func sides(e ast.Expr) (l, r ast.Expr, op string) {
	switch x := e.(type) {
	case *ast.ArithmeticOpExpr:
		return x.Lhs, x.Rhs, x.Operator
	case *ast.LogicalOpExpr:
		return x.Lhs, x.Rhs, x.Operator
	}
	return nil, nil, ""
}

// concat prints a .. b .. c, which groups to the right.
func (p *printer) concat(x *ast.StringConcatOpExpr) {
	p.text("(")
	for {
		p.expr(x.Lhs)
		p.text(" .. ")
		next, ok := x.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			break
		}
		x = next
	}
	p.expr(x.Rhs)
	p.text(")")
}

// prefix prints what may stand before a call, an index or a method.
func (p *printer) prefix(e ast.Expr) {
	switch x := e.(type) {
	case *ast.IdentExpr, *ast.AttrGetExpr:
		p.expr(e)
		return
	case *ast.FuncCallExpr:
		p.expr(x)
		return
	}
	p.text("(")
	p.expr(e)
	p.text(")")
}

func (p *printer) expr(e ast.Expr) {
	switch x := e.(type) {
	case *ast.TrueExpr:
		p.text("true")
	case *ast.FalseExpr:
		p.text("false")
	case *ast.NilExpr:
		p.text("nil")
	case *ast.NumberExpr:
		p.text(x.Value)
	case *ast.StringExpr:
		p.text(Quote(x.Value))
	case *ast.IdentExpr:
		p.text(x.Value)
	case *ast.Comma3Expr:
		if x.AdjustRet {
			p.text("(...)")
		} else {
			p.text("...")
		}
	case *ast.AttrGetExpr:
		p.prefix(x.Object)
		if k, ok := x.Key.(*ast.StringExpr); ok && Identifier(k.Value) {
			p.text("." + k.Value)
			return
		}
		p.text("[")
		p.expr(x.Key)
		p.text("]")
	case *ast.TableExpr:
		p.tableExpr(x)
	case *ast.FuncCallExpr:
		if x.AdjustRet {
			p.text("(")
		}
		if x.Func != nil {
			p.prefix(x.Func)
		} else {
			p.prefix(x.Receiver)
			p.text(":" + x.Method)
		}
		p.text("(")
		p.list(x.Args)
		p.text(")")
		if x.AdjustRet {
			p.text(")")
		}
	case *ast.LogicalOpExpr:
		p.chain(x, x.Operator)
	case *ast.RelationalOpExpr:
		p.binary(x.Lhs, x.Operator, x.Rhs)
	case *ast.StringConcatOpExpr:
		p.concat(x)
	case *ast.ArithmeticOpExpr:
		if x.Operator == "^" {
			p.binary(x.Lhs, x.Operator, x.Rhs)
		} else {
			p.chain(x, x.Operator)
		}
	case *FloorDiv:
		p.binary(x.Lhs, "//", x.Rhs)
	case *BitOp:
		if x.Lhs == nil {
			p.text(x.Operator + "(")
			p.expr(x.Rhs)
			p.text(")")
			return
		}
		p.binary(x.Lhs, x.Operator, x.Rhs)
	case *ast.UnaryMinusOpExpr:
		p.text("( - ")
		p.expr(x.Expr)
		p.text(")")
	case *ast.UnaryNotOpExpr:
		p.text("not ")
		p.operand(x.Expr)
	case *ast.UnaryLenOpExpr:
		p.text("#")
		p.operand(x.Expr)
	case *ast.FunctionExpr:
		p.text("function")
		p.funcBody(x)
	case *RawExpr:
		p.text(x.Text)
	}
}

func (p *printer) operand(e ast.Expr) {
	if _, ok := e.(*RawExpr); ok {
		p.text("(")
		defer p.text(")")
	}
	p.expr(e)
}

func (p *printer) tableExpr(x *ast.TableExpr) {
	p.text("{")
	for i, f := range x.Fields {
		if i > 0 {
			p.text(", ")
		}
		if f.Key != nil {
			if k, ok := f.Key.(*ast.StringExpr); ok && Identifier(k.Value) {
				p.text(k.Value)
			} else {
				p.text("[")
				p.expr(f.Key)
				p.text("]")
			}
			p.text(" = ")
		}
		p.expr(f.Value)
	}
	p.text("}")
}
