package fennel

func macroCaseTry(e *expansion, x *List) Node { return e.try("case", x) }

func macroMatchTry(e *expansion, x *List) Node { return e.try("match", x) }

// try chains steps: the values of each body are matched against the next pattern.
func (e *expansion) try(how string, x *List) Node {
	var steps []Node
	if len(x.Items) > 2 {
		steps = append(steps, x.Items[2:]...)
	}
	catch := []Node{e.fresh("_"), &Varg{Pos: e.at}}
	if len(steps) > 0 {
		if l, ok := callOf(steps[len(steps)-1], "catch"); ok {
			catch = l.Items[1:]
			steps = steps[:len(steps)-1]
		}
	}
	if len(steps)%2 != 0 {
		failAt(x, "expected every pattern to have a body")
	}
	if len(catch)%2 != 0 {
		failAt(x, "expected every catch pattern to have a body")
	}
	return e.step(how, at(x.Items, 1), catch, steps)
}

func (e *expansion) step(how string, expr Node, catch, steps []Node) Node {
	if len(steps) == 0 {
		return expr
	}
	// How many values a step gives is not known, so they are caught in ....
	varg := &Varg{Pos: e.at}
	clause := e.call(how, append([]Node{varg, steps[0], e.step(how, steps[1], catch, steps[2:])}, catch...)...)
	return e.list(e.call("fn", e.seq(varg), clause), expr)
}
