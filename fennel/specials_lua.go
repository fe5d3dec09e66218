package fennel

import (
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

func specialLua(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 && len(x.Items) != 3 {
		failAt(x, "expected 1 or 2 arguments")
	}
	line := c.lineOf(x)
	if !isNil(x.Items[1]) {
		text := nodeText(x.Items[1])
		chunk, err := luacode.Parse(text, "lua")
		if err != nil {
			failAt(x, "invalid Lua code: %s", luaSyntax(err))
		}
		luacode.Relocate(chunk, line)
		raw := &luacode.RawStmts{Text: text, Stmts: chunk}
		raw.SetLine(line)
		b.emit(raw)
	}
	if len(x.Items) == 3 && !isNil(x.Items[2]) {
		e := c.rawExpr(nodeText(x.Items[2]), x)
		return c.single(e, valueExpr), false
	}
	return nil, false
}

// rawExpr takes Lua text as an expression.
func (c *compilation) rawExpr(text string, at Node) ast.Expr {
	chunk, err := luacode.Parse("return "+text, "lua")
	line := c.lineOf(at)
	var list []ast.Expr
	if err == nil && len(chunk) == 1 {
		if r, ok := chunk[0].(*ast.ReturnStmt); ok {
			list = r.Exprs
		}
	}
	if len(list) != 1 {
		if err != nil {
			failAt(at, "invalid Lua expression: %s", luaSyntax(err))
		}
		failAt(at, "invalid Lua expression")
	}
	luacode.Relocate(chunk, line)
	raw := &luacode.RawExpr{Text: text, Expr: list[0]}
	raw.SetLine(line)
	return raw
}

// escapeQuotes is all that a string in a comment needs.
var escapeQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func specialComment(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	text := ""
	for i, n := range x.Items[1:] {
		if i > 0 {
			text += " "
		}
		if str, ok := n.(*Str); ok {
			text += `"` + escapeQuotes.Replace(str.Val) + `"`
			continue
		}
		text += viewNode(n)
	}
	n := &luacode.Comment{Text: escapeComment(text)}
	n.SetLine(c.lineOf(x))
	b.emit(n)
	return nil, false
}
