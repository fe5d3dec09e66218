package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// builtinDocs are the parameters and the docstrings of the forms that the language itself has, for (doc) and the
// command ,doc.
var builtinDocs = map[string][2]string{
	// Special forms.
	"#":  {"x", "The length of a string or sequence. Write length instead."},
	"%":  {"a b", "The remainder of a division, with the sign of b."},
	"*":  {"a b ...", "The product of its arguments; 1 without any."},
	"+":  {"a b ...", "The sum of its arguments; 0 without any."},
	"-":  {"a b ...", "The difference of its arguments; with one, its negative."},
	".":  {"tbl key1 ...", "Look up key1 in tbl; with more keys, go on in what was found."},
	"..": {"a b ...", "Put strings and numbers together to one string."},
	"/":  {"a b ...", "The quotient of its arguments; with one, 1 divided by it."},
	"//": {"a b ...", "The quotient of its arguments, rounded down to an integer."},
	":":  {"tbl method-name ...", "Call the function tbl has under method-name, with tbl and the other arguments.\nmethod-name does not have to be known when the program is compiled."},
	"<":  {"a b ...", "True if each argument is less than the one behind it."},
	"<=": {"a b ...", "True if no argument is greater than the one behind it."},
	"=":  {"a b ...", "True if all arguments are equal."},
	">":  {"a b ...", "True if each argument is greater than the one behind it."},
	">=": {"a b ...", "True if no argument is less than the one behind it."},
	"^":  {"a b", "a to the power of b."},

	"and":            {"a b ...", "The first argument that is nil or false, without evaluating those behind it; else the last."},
	"band":           {"x1 x2 ...", "The bits that all arguments have set."},
	"bnot":           {"x", "All bits of x inverted."},
	"bor":            {"x1 x2 ...", "The bits that any argument has set."},
	"bxor":           {"x1 x2 ...", "The bits that an odd number of arguments have set."},
	"comment":        {"...", "Becomes a comment in the Lua that is put out. Does nothing."},
	"do":             {"...", "Evaluate several forms; the value is that of the last."},
	"each":           {"[vals... iterator] ...", "Run the body for each set of values that iterator gives.\nA clause &until with a condition behind the iterator ends it early."},
	"eval-compiler":  {"...", "Evaluate the body while the program is compiled."},
	"fn":             {"?name [args] ?docstring ...", "A function. With a name it is also bound to a local, or put into a table if the\nname has a dot. Functions do not check the number of their arguments; see lambda."},
	"for":            {"[index start stop ?step] ...", "Run the body with index going from start to stop, both included.\nA clause &until with a condition ends it early."},
	"global":         {"name val", "Set name as a global. Rather use a local, or a field of _G."},
	"hashfn":         {"...", "A function whose arguments are $1 to $9 and $..., with one expression for a body.\n#(…) is short for it, $ for $1."},
	"if":             {"cond1 body1 ... condN bodyN", "The value of the body behind the first condition that is neither nil nor false."},
	"include":        {"module-name", "Put the source of a module into the output, and require it from there."},
	"length":         {"x", "The length of a string or sequence."},
	"let":            {"[name1 val1 ... nameN valN] ...", "Bind names, each of which the values behind it can use, for the body."},
	"local":          {"name val", "Bind a name in the rest of the block. It cannot be set; see var."},
	"lshift":         {"x n", "x with its bits moved n places to the left."},
	"lua":            {"code ?expr", "Put Lua code into the output as statements, and the value of expr, Lua as well."},
	"macros":         {"{:macro-name macro-fn}", "Define all functions of a table as macros of this scope."},
	"not":            {"x", "True if x is nil or false."},
	"not=":           {"a b ...", "True if not all arguments are equal."},
	"or":             {"a b ...", "The first argument that is neither nil nor false, without evaluating those behind it; else the last."},
	"pick-values":    {"n ...", "The first n of the values of the other arguments, which are all evaluated."},
	"quote":          {"form", "The form itself instead of its value, but for what , marks inside. In macros."},
	"require-macros": {"module-name", "Make every function of a macro module a macro here. Write import-macros instead."},
	"rshift":         {"x n", "x with its bits moved n places to the right."},
	"set":            {"name val", "Change a local made with var, or a field of a table."},
	"set-forcibly!":  {"name val", "Change a local although it was not made with var. For macros."},
	"tail!":          {"form", "The form, which has to be a call in tail position: anything else is a compile error."},
	"tset":           {"tbl key1 ... keyN val", "Set a field of a table, or of a table in it. It needs no name at compile time."},
	"unquote":        {"form", "Evaluate a form inside a quoted one."},
	"values":         {"...", "Several values instead of one, in the last place of a call or at a function's end."},
	"var":            {"name val", "Bind a name that set can change in the rest of the block."},
	"while":          {"condition ...", "Run the body again and again as long as condition is neither nil nor false."},
	"~=":             {"a b ...", "True if not all arguments are equal. Write not= instead."},

	// Macros.
	"->":            {"val ...", "Put val into the first form as its first argument, that form into the next, and so on."},
	"->>":           {"val ...", "Put val into the first form as its last argument, that form into the next, and so on."},
	"-?>":           {"val ...", "-> that stops, with nil, at the first value that is nil."},
	"-?>>":          {"val ...", "->> that stops, with nil, at the first value that is nil."},
	"?.":            {"tbl key ...", "Look up keys one in another; nil as soon as one is not there."},
	"accumulate":    {"[acc initial vals... iterator] ...", "Run the body for each set of values; what it gives is acc the next time,\nand at the end the value of all.\n&until with a condition ends it early."},
	"assert-repl":   {"condition ...", "assert, but a REPL is entered where condition is nil or false."},
	"case":          {"val pattern body ...", "The body behind the first pattern that val has the shape of, with the pattern's\nnames bound to its parts. Names always bind; see match."},
	"case-try":      {"val pattern body ... (catch ...)", "Match val against the first pattern, the value of its body against the next, and\nso on; the first value that does not match is what all gives, or goes to catch."},
	"collect":       {"[vals... iterator] ...", "The table of the pairs that the body gives, key and value, for each set of values.\n&into names a table to add to, &until ends it early."},
	"doto":          {"val ...", "Evaluate val once and make it the first argument of each form; the value is val."},
	"faccumulate":   {"[acc initial index start stop ?step] ...", "accumulate over numbers, which it counts like for."},
	"fcollect":      {"[index start stop ?step] ...", "icollect over numbers, which it counts like for."},
	"icollect":      {"[vals... iterator] ...", "The sequence of the values that the body gives for each set of values, without nils.\n&into names a sequence to add to, &until ends it early."},
	"import-macros": {"binding module-name ...", "Bind macros of a macro module: a table's fields, or the module under one name."},
	"lambda":        {"?name [args] ?docstring ...", "A function that raises an error if an argument is nil whose name starts with\nneither ? nor _."},
	"macro":         {"name [args] ?docstring ...", "Define one macro in this scope."},
	"macrodebug":    {"form ?return?", "Print what a form expands to; with return?, give it as a string instead."},
	"match":         {"val pattern body ...", "case in whose patterns a name that is bound already stands for its value."},
	"match-try":     {"val pattern body ... (catch ...)", "case-try in whose patterns a name that is bound already stands for its value."},
	"partial":       {"f ...", "A function that calls f with these arguments in front of its own."},
	"pick-args":     {"n f", "A function of exactly n arguments that calls f. Write pick-values instead."},
	"when":          {"condition ...", "Evaluate the body if condition is neither nil nor false."},
	"with-open":     {"[name val ...] ...", "Bind names to files and the like for the body, and close each at its end, also\nwhen it ends in an error."},
	"λ":             {"?name [args] ?docstring ...", "A function that raises an error if an argument is nil whose name starts with\nneither ? nor _."},
}

// describe gives the function that stands for a form of the language its parameters and docstring.
func (k *Compiler) describe(fn lua.LValue, name string) {
	doc, ok := builtinDocs[name]
	if !ok {
		return
	}
	L := k.L
	params := L.NewTable()
	for _, p := range strings.Fields(doc[0]) {
		params.Append(lua.LString(p))
	}
	t := L.NewTable()
	t.RawSetString("fnl/arglist", params)
	t.RawSetString("fnl/docstring", lua.LString(doc[1]))
	k.Metadata().RawSet(fn, t)
}
