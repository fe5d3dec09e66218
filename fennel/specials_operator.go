package fennel

import (
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// arguments compiles the operands of an operator, for one value each.
func (c *compilation) arguments(x *List, s *Scope, b *block) []expr {
	if len(x.Items) == 2 {
		if _, ok := x.Items[1].(*Varg); ok {
			failAt(x, "tried to use vararg with operator")
		}
	}
	c.warnValues(x)
	items := operands(x)
	defer c.chain(len(items), x)()
	out := make([]expr, len(items))
	for i, n := range items {
		out[i] = c.compile1(n, s, b)
	}
	return out
}

// maxChain bounds how long operators, branches and paths may be, those inside one another counted together: they become
// trees of that depth, which gopher-lua's compiler walks by recursion and partly in quadratic time.
const maxChain = 5000

// chain counts n links while a form is compiled; the function it gives takes them away again.
func (c *compilation) chain(n int, at Node) func() {
	c.links += n
	if c.links > maxChain {
		failAt(at, "too many operands or branches: more than %d in one expression", maxChain)
	}
	return func() { c.links -= n }
}

func (c *compilation) warnValues(x *List) {
	if len(x.Items) > 1 {
		if _, ok := callOf(x.Items[len(x.Items)-1], "values"); ok {
			c.warn(x, "multiple values in operators are deprecated")
		}
	}
}

// arithmetic makes an operator: zero is its value without operands, unary what stands before a single one.
func arithmetic(op, zero, unary string) special {
	return func(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
		list := c.arguments(x, s, b)
		line := c.lineOf(x)
		switch len(list) {
		case 0:
			if zero == "" {
				failAt(x, "Expected more than 0 arguments")
			}
			return c.single(c.numeral(zero, line), literalExpr), false
		case 1:
			if unary == "" {
				return c.single(list[0].x, valueExpr), false
			}
			return c.single(c.binary(op, c.numeral(unary, line), list[0].x, line), valueExpr), false
		}
		return c.single(c.fold(list, op == "^", func(l, r ast.Expr) ast.Expr { return c.binary(op, l, r, line) }), valueExpr), false
	}
}

func (c *compilation) binary(op string, l, r ast.Expr, line int) ast.Expr {
	if op == "//" {
		n := &luacode.FloorDiv{Lhs: l, Rhs: r}
		n.SetLine(line)
		return n
	}
	return c.arith(op, l, r, line)
}

// fold joins operands, to the left unless the operator groups to the right.
func (c *compilation) fold(list []expr, right bool, join func(l, r ast.Expr) ast.Expr) ast.Expr {
	if right {
		e := list[len(list)-1].x
		for i := len(list) - 2; i >= 0; i-- {
			e = join(list[i].x, e)
		}
		return e
	}
	e := list[0].x
	for _, o := range list[1:] {
		e = join(e, o.x)
	}
	return e
}

func specialMinus(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	list := c.arguments(x, s, b)
	line := c.lineOf(x)
	switch len(list) {
	case 0:
		failAt(x, "Expected more than 0 arguments")
	case 1:
		n := &ast.UnaryMinusOpExpr{Expr: list[0].x}
		n.SetLine(line)
		return c.single(n, valueExpr), false
	}
	return c.single(c.fold(list, false, func(l, r ast.Expr) ast.Expr { return c.arith("-", l, r, line) }), valueExpr), false
}

func specialConcat(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	list := c.arguments(x, s, b)
	line := c.lineOf(x)
	switch len(list) {
	case 0:
		return c.single(c.str("", line), literalExpr), false
	case 1:
		return c.single(list[0].x, valueExpr), false
	}
	join := func(l, r ast.Expr) ast.Expr {
		n := &ast.StringConcatOpExpr{Lhs: l, Rhs: r}
		n.SetLine(line)
		return n
	}
	// Every operand of one concatenation takes a register, so long ones are made of shorter ones.
	for len(list) > maxConcat {
		var parts []expr
		for i := 0; i < len(list); i += maxConcat {
			part := list[i:min(i+maxConcat, len(list))]
			parts = append(parts, expr{c.fold(part, true, join), valueExpr})
		}
		list = parts
	}
	return c.single(c.fold(list, true, join), valueExpr), false
}

const maxConcat = 100

// logical makes `and` and `or`. An operand that needs statements must not run when an earlier one decides, so it goes
// into a branch.
func logical(op string) special {
	return func(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
		if len(x.Items) == 2 {
			if _, ok := x.Items[1].(*Varg); ok {
				failAt(x, "tried to use vararg with operator")
			}
		}
		c.warnValues(x)
		defer c.chain(len(x.Items), x)()
		line := c.lineOf(x)
		var acc ast.Expr // what the operands so far come to
		name := ""
		fresh := false // acc is just the variable
		for _, n := range operands(x) {
			if acc == nil || c.shortCircuitSafe(n, s) {
				e := c.compile1(n, s, b).x
				if acc == nil {
					acc = e
				} else {
					acc, fresh = c.logical(op, acc, e, line), false
				}
				continue
			}
			switch {
			case name == "":
				name = c.gensym(s, op, "")
				b.emit(c.localStmt([]string{name}, c.one(acc), line))
			case !fresh:
				b.emit(c.assign(c.one(c.ident(name, line)), c.one(acc), line))
			}
			var cond ast.Expr = c.ident(name, line)
			if op == "or" {
				cond = c.not(cond, line)
			}
			chunk := &block{}
			c.compile(n, s, chunk, want{nval: 1, target: []ast.Expr{c.ident(name, line)}})
			b.emit(c.ifStmt(cond, chunk.stmts, nil, c.lineOf(n), c.endOf(n)))
			acc, fresh = c.ident(name, line), true
		}
		if acc == nil {
			return c.single(c.boolean(op == "and", line), literalExpr), false
		}
		return c.single(acc, valueExpr), false
	}
}

// shortCircuitSafe holds for forms that compile to an expression and emit no statement.
func (c *compilation) shortCircuitSafe(n Node, s *Scope) bool {
	all := func(items []Node) bool {
		for _, i := range items {
			if !c.shortCircuitSafe(i, s) {
				return false
			}
		}
		return true
	}
	switch x := n.(type) {
	case *Seq:
		return all(x.Items)
	case *Table:
		return all(x.Keys) && all(x.Vals)
	case *List:
		if len(x.Items) == 0 {
			return true
		}
		head, ok := x.Items[0].(*Sym)
		if !ok {
			return all(x.Items)
		}
		switch head.Name {
		case "fn", "hashfn", "let", "local", "var", "set", "tset", "if", "each", "for", "while", "do", "lua", "global":
			return false
		case "<", ">", "<=", ">=", "=", "not=", "~=":
			if comparisonNeedsLocals(x) {
				return false
			}
		case "pick-values":
			if k, ok := at(x.Items, 1).(*Num); !ok || k.Val != 1 {
				return false
			}
		case ":":
			if c.methodNeedsLocal(x) {
				return false
			}
		}
		if c.findMacro(x, s) != nil || s.specialOfUser(head.Name) {
			return false
		}
		return all(x.Items[1:])
	}
	return true
}

// specialOfUser is whether a form was defined by the program itself, so that nobody knows what it emits.
func (s *Scope) specialOfUser(name string) bool {
	for ; s != nil; s = s.parent {
		if s.specials != nil {
			if _, ok := s.specials[name]; ok {
				_, core := coreSpecials[name]
				return !core
			}
		}
	}
	return false
}

// bitwise makes an operator on integers: zero is its value without operands, unary what stands before a single one.
func bitwise(op, fn, zero, unary string) special {
	return func(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
		line := c.lineOf(x)
		if len(x.Items) == 1 {
			if zero == "" {
				failAt(x, "Expected more than 0 arguments.")
			}
			return c.single(c.numeral(zero, line), literalExpr), false
		}
		var list []expr
		for i, n := range x.Items[1:] {
			w := one
			if i == len(x.Items)-2 {
				w.nval = anyValues
			}
			list = append(list, c.compile(n, s, b, w)...)
		}
		if len(list) == 1 {
			list = append([]expr{{c.numeral(unary, line), literalExpr}}, list...)
		}
		return c.single(c.fold(list, false, func(l, r ast.Expr) ast.Expr { return c.bitOp(op, fn, l, r, line) }), valueExpr), false
	}
}

func (c *compilation) bitOp(op, fn string, l, r ast.Expr, line int) ast.Expr {
	if c.opts.UseBitLib {
		args := []ast.Expr{r}
		if l != nil {
			args = []ast.Expr{l, r}
		}
		return c.call(c.field(c.ident("bit", line), fn, line), line, args...)
	}
	n := &luacode.BitOp{Operator: op, Func: fn, Lhs: l, Rhs: r}
	n.SetLine(line)
	return n
}

func specialBnot(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "expected one argument")
	}
	e := c.compile1(x.Items[1], s, b).x
	return c.single(c.bitOp("~", "bnot", nil, e, c.lineOf(x)), valueExpr), false
}

// comparisonNeedsLocals is whether operands in the middle must be kept from running twice.
func comparisonNeedsLocals(x *List) bool {
	for i := 2; i < len(x.Items)-1; i++ {
		if !isIdempotent(x.Items[i]) {
			return len(x.Items) > 3
		}
	}
	return false
}

func comparison(op, join string) special {
	return func(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
		if len(x.Items) < 3 {
			failAt(x, "expected at least two arguments")
		}
		line := c.lineOf(x)
		items := x.Items[1:]
		defer c.chain(len(items), x)()
		if len(items) == 2 {
			l := c.compile1(items[0], s, b).x
			r := c.compile1(items[1], s, b).x
			return c.single(c.compare(op, l, r, line), valueExpr), false
		}
		var held []string
		var values []ast.Expr
		uses := make([]func() ast.Expr, len(items))
		for i, n := range items {
			e := c.compile1(n, s, b).x
			if !isIdempotent(n) && i > 0 && i < len(items)-1 {
				name := c.gensym(s, "", "")
				held = append(held, name)
				values = append(values, e)
				e = c.ident(name, line)
			}
			first := true
			uses[i] = func() ast.Expr {
				if first {
					first = false
					return e
				}
				return c.copyScalar(e, line)
			}
		}
		if held != nil {
			b.emit(c.localStmt(held, values, line))
		}
		var out ast.Expr
		for i := 0; i+1 < len(items); i++ {
			e := c.compare(op, uses[i](), uses[i+1](), line)
			if out == nil {
				out = e
			} else {
				out = c.logical(join, out, e, line)
			}
		}
		return c.single(out, valueExpr), false
	}
}

// copyScalar makes a second node for a variable or constant.
func (c *compilation) copyScalar(e ast.Expr, line int) ast.Expr {
	switch x := e.(type) {
	case *ast.IdentExpr:
		return c.ident(x.Value, line)
	case *ast.StringExpr:
		return c.str(x.Value, line)
	case *ast.NumberExpr:
		return c.numeral(x.Value, line)
	}
	return e
}

func specialNot(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "expected one argument")
	}
	return c.single(c.not(c.compile1(x.Items[1], s, b).x, c.lineOf(x)), valueExpr), false
}

func specialLength(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "expected one argument")
	}
	n := &ast.UnaryLenOpExpr{Expr: c.compile1(x.Items[1], s, b).x}
	n.SetLine(c.lineOf(x))
	return c.single(n, valueExpr), false
}
