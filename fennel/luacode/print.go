package luacode

import (
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
