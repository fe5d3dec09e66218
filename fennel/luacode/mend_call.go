package luacode

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// maxArgs is far below the 200 registers that a function has for everything.
const maxArgs = 120

// packArgs passes the arguments beyond maxArgs through a table, since each would take a register.
func packArgs(x *ast.FuncCallExpr) {
	rest := &ast.TableExpr{}
	at(rest, x)
	for _, a := range x.Args[maxArgs-1:] {
		rest.Fields = append(rest.Fields, &ast.Field{Value: a})
	}
	n := len(rest.Fields)
	call := parseExpr("(function(t, n) return (table.unpack or unpack)(t, 1, n) end)(t, n)").(*ast.FuncCallExpr)
	relocate(call.Func, x.Line())
	at(call, x)
	count := ast.Expr(&ast.NumberExpr{Value: strconv.Itoa(n)})
	if severalValues(rest.Fields[n-1].Value) {
		count = &ast.NilExpr{}
	}
	at(count, x)
	fixed := (&mender{}).table(rest)
	call.Args = []ast.Expr{fixed, count}
	x.Args = append(x.Args[:maxArgs-1:maxArgs-1], call)
}

func floorDiv(x *FloorDiv) ast.Expr {
	call := parseExpr("(function(a, b) local q = a / b return q - q % 1 end)(a, b)").(*ast.FuncCallExpr)
	relocate(call.Func, x.Line())
	at(call, x)
	call.Args = []ast.Expr{x.Lhs, Paren(x.Rhs)}
	call.AdjustRet = true
	return call
}

func bitCall(x *BitOp) ast.Expr {
	lib := &ast.IdentExpr{Value: "bit"}
	name := &ast.StringExpr{Value: x.Func}
	get := &ast.AttrGetExpr{Object: lib, Key: name}
	call := &ast.FuncCallExpr{Func: get, AdjustRet: true}
	if x.Lhs != nil {
		call.Args = append(call.Args, x.Lhs)
	}
	call.Args = append(call.Args, Paren(x.Rhs))
	for _, n := range []ast.PositionHolder{lib, name, get, call} {
		at(n, x)
	}
	return call
}
