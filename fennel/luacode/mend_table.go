package luacode

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// fieldsPerFlush is how many items gopher-lua gathers before it stores them in the table.
const fieldsPerFlush = 50

func (m *mender) table(x *ast.TableExpr) ast.Expr {
	positional := 0
	for _, f := range x.Fields {
		if f.Key != nil {
			f.Key = m.expr(f.Key)
		} else {
			positional++
		}
		f.Value = m.expr(f.Value)
	}
	if len(x.Fields) == 0 {
		return x
	}
	last := x.Fields[len(x.Fields)-1]
	if last.Key != nil {
		last.Value = Paren(last.Value)
	}
	if len(x.Fields) > mostFields {
		return fillTable(x)
	}
	if positional < fieldsPerFlush {
		return x
	}
	open := last.Key == nil && severalValues(last.Value)
	switch {
	case open && (positional-1)%fieldsPerFlush == 0:
		return appendOpen(x, positional-1)
	case last.Key != nil && positional%fieldsPerFlush == 0:
		for i := len(x.Fields) - 1; i >= 0; i-- {
			if f := x.Fields[i]; f.Key == nil {
				f.Key = number(positional, f.Value)
				break
			}
		}
	}
	return x
}

func number(n int, from ast.PositionHolder) ast.Expr {
	e := &ast.NumberExpr{Value: strconv.Itoa(n)}
	at(e, from)
	return e
}

func severalValues(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.FuncCallExpr:
		return !x.AdjustRet
	case *ast.Comma3Expr:
		return !x.AdjustRet
	}
	return false
}

// appendOpen makes {n items, f()} out of a function that stores the values of f() one by one.
func appendOpen(x *ast.TableExpr, n int) ast.Expr {
	last := x.Fields[len(x.Fields)-1]
	x.Fields = x.Fields[:len(x.Fields)-1]
	fn := parseExpr("(function(t, ...) local r = {...} for i = 1, #r do t[" + strconv.Itoa(n) + " + i] = r[i] end return t end)(t, f)").(*ast.FuncCallExpr)
	fn.Args = []ast.Expr{x, last.Value}
	relocate(fn.Func, x.Line())
	at(fn, x)
	return fn
}
