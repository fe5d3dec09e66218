package fennel_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomProgram makes a program out of nested forms. It ends, and tells what it did in which order: its values are a
// log and what it came to.
func randomProgram(seed uint64) string {
	g := &generator{rand.New(rand.NewPCG(seed, 7))}
	return "(local L []) (fn log [x] (table.insert L (if (= (type x) :table) :T x)) x) (fn id [x] x) " +
		"(local r [(pcall (fn [] " + g.form(2+g.IntN(3), nil) + "))]) (values L r)"
}

type generator struct{ *rand.Rand }

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) atom(env []string) string {
	if len(env) > 0 && g.IntN(3) == 0 {
		return g.pick(env...)
	}
	return g.pick("1", "2", "3", "nil", "true", "false", ":x", ":y", "0")
}

// templates hold E for any form, V for a fresh name and W for a form that may use the name.
var templates = []string{
	"(if E E E)", "(if E E E E)", "(do E E)", "(let [V E] W W)", "(and E E E)", "(or E E)", "(id E E)", "[E E]",
	"{:k E :l E}", "(log E)", "(log 7)", "(values E E)", "(= E E)", "(not= E E)", "(= E E E)", "(not E)",
	"((fn [V] W) E)", "(case E 1 E [V ?q] W {:k V} W _ E)", "(match E 1 E [V] W _ E)",
	"(case E (where (or [V 1] [1 V]) W) W (where V (= V 2)) V _ E)", "(case E (V y) W (nil V) W _ :other)",
	"(let [(V y) E] W)", "(do (var V E) (set V W) V)", "(. {:k E} :k)", "(when E (do E))",
	"(accumulate [V E _ v (ipairs [1 2])] W)", "(icollect [_ V (ipairs [1 2 3])] W)",
	"(doto [E] (table.insert 4))", "(-> E (id E))", "(pick-values 2 E E)", "(#(id $ E) E)",
	"((fn [...] [...]) E E)", "((fn [...] [(do ...)]) E E)", "((fn [...] (select :# ...)) E E)",
	"(do (var i 0) (while (and (< i 2) (id true E)) (set i (+ i 1)) E) i)", "(: {:m (fn [self x] x)} :m E)",
	"(let [[V & y] [E E E]] W)", "(let [{:k V &as y} {:k E}] W)", "(do (var (V y) (values E E)) (set (V y) (values y V)) W)",
	"(fcollect [V 1 3] W)", "(each [_ V (ipairs [1 2])] (when W (lua :break)) W)", "(for [V 1 2 &until W] W)",
	"(let [t {}] (tset t :k E) (set t.l E) t)", "(.. :a (id (tostring (= E E))))", "(select :# E E)",
}

func (g *generator) form(depth int, env []string) string {
	if depth <= 0 {
		return g.atom(env)
	}
	name := g.pick("a", "b", "c")
	var b strings.Builder
	for _, ch := range templates[g.IntN(len(templates))] {
		switch ch {
		case 'E':
			b.WriteString(g.form(depth-1, env))
		case 'V':
			b.WriteString(name)
		case 'W':
			b.WriteString(g.form(depth-1, append(append([]string(nil), env...), name)))
		default:
			fmt.Fprintf(&b, "%c", ch)
		}
	}
	return b.String()
}
