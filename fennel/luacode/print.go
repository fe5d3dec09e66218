package luacode

import (
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua/ast"
)

// Style says how text is laid out.
type Style struct {
	Indent    string // one level; two spaces by habit
	Correlate bool   // put every statement on the line its node names, so that Lua's own errors name that line
}

// Print writes a chunk as Lua 5.1 text without a newline at the end.
func Print(chunk []ast.Stmt, style Style) string {
	p := &printer{style: style, line: 1, fresh: true}
	p.block(chunk)
	return p.b.String()
}

// PrintExpr writes an expression.
func PrintExpr(e ast.Expr, style Style) string {
	p := &printer{style: style, line: 1}
	p.expr(e)
	return p.b.String()
}

type printer struct {
	b     strings.Builder
	style Style
	depth int
	line  int
	fresh bool // nothing on this line yet
}

func (p *printer) text(s string) {
	if s == "" {
		return
	}
	if p.fresh && !p.style.Correlate {
		for range p.depth {
			p.b.WriteString(p.style.Indent)
		}
	}
	p.fresh = false
	p.b.WriteString(s)
	if n := strings.Count(s, "\n"); n > 0 {
		p.line += n
	}
}

// newline ends a statement or opens a block. Correlated text breaks lines only to reach a node's line.
func (p *printer) newline() {
	if p.fresh {
		return
	}
	if p.style.Correlate {
		p.b.WriteByte(' ')
		return
	}
	p.b.WriteByte('\n')
	p.line++
	p.fresh = true
}

func (p *printer) goTo(n ast.PositionHolder) {
	if !p.style.Correlate {
		return
	}
	for p.line < n.Line() {
		p.b.WriteByte('\n')
		p.line++
	}
}

func (p *printer) block(list []ast.Stmt) {
	for i, s := range list {
		if i > 0 {
			p.newline()
		}
		p.goTo(s)
		p.stmt(s)
	}
}

// body prints an indented block between an opening already printed and an end.
func (p *printer) body(list []ast.Stmt) {
	p.newline()
	p.depth++
	p.block(list)
	p.depth--
	p.newline()
}

func (p *printer) stmt(s ast.Stmt) {
	switch st := s.(type) {
	case *Comment:
		p.text("--[[ " + st.Text + " ]]")
	case *RawStmts:
		p.text(st.Text)
	case *LocalFunction:
		p.text("local function " + st.Name)
		p.funcBody(st.Func)
	case *ast.AssignStmt:
		if len(st.Lhs) > 0 && startsWithParen(st.Lhs[0]) {
			p.text("do end ")
		}
		p.list(st.Lhs)
		p.text(" = ")
		p.list(st.Rhs)
	case *ast.LocalAssignStmt:
		p.text("local " + strings.Join(st.Names, ", "))
		if len(st.Exprs) > 0 {
			p.text(" = ")
			p.list(st.Exprs)
		}
	case *ast.FuncCallStmt:
		if startsWithParen(st.Expr) {
			p.text("do end ")
		}
		p.expr(st.Expr)
	case *ast.DoBlockStmt:
		if l, ok := discard(st); ok {
			p.text("do local _ = ")
			p.list(l.Exprs)
			p.text(" end")
			return
		}
		p.text("do")
		p.body(st.Stmts)
		p.text("end")
	case *ast.WhileStmt:
		p.text("while ")
		p.expr(st.Condition)
		p.text(" do")
		p.body(st.Stmts)
		p.text("end")
	case *ast.RepeatStmt:
		p.text("repeat")
		p.body(st.Stmts)
		p.text("until ")
		p.expr(st.Condition)
	case *ast.IfStmt:
		p.ifStmt(st)
	case *ast.NumberForStmt:
		p.text("for " + st.Name + " = ")
		p.expr(st.Init)
		p.text(", ")
		p.expr(st.Limit)
		if st.Step != nil {
			p.text(", ")
			p.expr(st.Step)
		}
		p.text(" do")
		p.body(st.Stmts)
		p.text("end")
	case *ast.GenericForStmt:
		p.text("for " + strings.Join(st.Names, ", ") + " in ")
		p.list(st.Exprs)
		p.text(" do")
		p.body(st.Stmts)
		p.text("end")
	case *ast.FuncDefStmt:
		p.text("function ")
		if st.Name.Func != nil {
			p.expr(st.Name.Func)
		} else {
			p.expr(st.Name.Receiver)
			p.text(":" + st.Name.Method)
		}
		p.funcBody(st.Func)
	case *ast.ReturnStmt:
		p.text("return")
		if len(st.Exprs) > 0 {
			p.text(" ")
			p.list(st.Exprs)
		}
	case *ast.BreakStmt:
		p.text("break")
	case *ast.LabelStmt:
		p.text("::" + st.Name + "::")
	case *ast.GotoStmt:
		p.text("goto " + st.Label)
	}
}

func (p *printer) ifStmt(st *ast.IfStmt) {
	p.text("if ")
	for {
		p.expr(st.Condition)
		p.text(" then")
		if l, ok := single[*ast.BreakStmt](st.Then); ok && len(st.Else) == 0 {
			p.text(" ")
			p.stmt(l)
			p.text(" end")
			return
		}
		p.body(st.Then)
		next, ok := single[*ast.IfStmt](st.Else)
		if !ok {
			break
		}
		p.goTo(next)
		p.text("elseif ")
		st = next
	}
	if len(st.Else) > 0 {
		p.text("else")
		p.body(st.Else)
	}
	p.text("end")
}

func single[T ast.Stmt](list []ast.Stmt) (T, bool) {
	var none T
	if len(list) != 1 {
		return none, false
	}
	s, ok := list[0].(T)
	return s, ok
}

// discard is a block which only throws a value away.
func discard(st *ast.DoBlockStmt) (*ast.LocalAssignStmt, bool) {
	l, ok := single[*ast.LocalAssignStmt](st.Stmts)
	if !ok || len(l.Names) != 1 || l.Names[0] != "_" {
		return nil, false
	}
	return l, true
}

func startsWithParen(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.AttrGetExpr:
		return startsWithParen(x.Object)
	case *ast.FuncCallExpr:
		if x.AdjustRet {
			return true
		}
		if x.Func != nil {
			return startsWithParen(x.Func)
		}
		return startsWithParen(x.Receiver)
	case *ast.IdentExpr:
		return false
	case *RawExpr:
		return strings.HasPrefix(x.Text, "(")
	}
	return true
}

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

var keywords = map[string]bool{
	"and": true, "break": true, "do": true, "else": true, "elseif": true, "end": true, "false": true, "for": true,
	"function": true, "goto": true, "if": true, "in": true, "local": true, "nil": true, "not": true, "or": true,
	"repeat": true, "return": true, "then": true, "true": true, "until": true, "while": true,
}

// Keyword reports a word that Lua reserves; goto is one, since gopher-lua and every later Lua reserve it.
func Keyword(s string) bool { return keywords[s] }

// Identifier reports a name that Lua text may use for a variable or field.
func Identifier(s string) bool {
	if s == "" || keywords[s] {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

var named = map[byte]string{7: `\a`, 8: `\b`, 9: `\t`, 10: `\n`, 11: `\v`, 12: `\f`, 13: `\r`, '"': `\"`, '\\': `\\`}

// Quote writes a string literal in ASCII, with decimal escapes of three digits for the rest: Lua 5.1 knows no others.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if e, ok := named[c]; ok {
			b.WriteString(e)
		} else if c < 32 || c >= 127 {
			d := strconv.Itoa(int(c))
			b.WriteString(`\` + "000"[:3-len(d)] + d)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
