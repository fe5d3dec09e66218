package fennel

import (
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/vm"
)

// repl is a conversation: read a form, run it, print its values. What a script may replace while it goes on (reading,
// printing, errors) is in the table callbacks, which programs see as ___repl___.
//
// Locals of one input are there in the next: each chunk starts by taking them out of the table ___replLocals___ and
// ends by putting them back, which is done to the tree, not to text.
type repl struct {
	k         *Compiler
	L         *lua.LState
	opts      *lua.LTable
	env       *lua.LTable // as compiled code sees it
	callbacks *lua.LTable
	scope     *Scope
	commands  map[string]lua.LValue // of plugins
	save      bool

	reader *reader
	buf    []byte // what was read and not consumed
	chars  []byte // what the current input has consumed
}

const (
	replLocals = "___replLocals___"
	replName   = "___repl___"
)

// replValue is fennel.repl: a table of defaults that can be called with options.
func (k *Compiler) replValue(traceback *lua.LFunction) *lua.LTable {
	L := k.L
	run := L.NewFunction(func(L *lua.LState) int { return k.luaRepl(L, optTable(L, 1), traceback) })
	t := L.NewTable()
	t.RawSetString("view-opts", L.NewTable())
	mt := L.NewTable()
	index := L.NewTable()
	index.RawSetString("repl", run)
	mt.RawSetString("__index", index)
	mt.RawSetString("__call", L.NewFunction(func(L *lua.LState) int {
		defaults, user := L.CheckTable(1), optTable(L, 2)
		opts := copyOptions(L, defaults)
		view := copyOptions(L, fieldTable(defaults, "view-opts"))
		if user != nil {
			user.ForEach(func(key, v lua.LValue) { opts.RawSet(key, v) })
			if more := fieldTable(user, "view-opts"); more != nil {
				more.ForEach(func(key, v lua.LValue) { view.RawSet(key, v) })
			}
		}
		opts.RawSetString("view-opts", view)
		return k.luaRepl(L, opts, traceback)
	}))
	t.Metatable = mt
	return t
}

func fieldTable(t *lua.LTable, name string) *lua.LTable {
	f, _ := t.RawGetString(name).(*lua.LTable)
	return f
}

func (k *Compiler) luaRepl(L *lua.LState, user *lua.LTable, traceback *lua.LFunction) int {
	r := &repl{k: k, L: L, opts: copyOptions(L, user), scope: rootScope(k.global), commands: map[string]lua.LValue{}}
	k.replDepth++
	depth := k.replDepth
	defer func() { k.replDepth = depth - 1 }()
	r.start(traceback)
	value := r.loop()
	if exit := r.opts.RawGetString("exit"); lua.LVAsBool(exit) {
		r.call(exit, r.opts, lua.LNumber(depth))
	}
	L.Push(value)
	return 1
}

func (r *repl) start(traceback *lua.LFunction) {
	L, k := r.L, r.k
	if rc := r.opts.RawGetString("fennelrc"); lua.LVAsBool(rc) {
		r.opts.RawSetString("fennelrc", lua.LNil)
		r.call(rc)
	}
	env, ok := r.opts.RawGetString("env").(*lua.LTable)
	if !ok {
		env = L.G.Global
	}
	r.env = k.wrapEnv(env)
	or := func(name string, def lua.LValue) lua.LValue {
		if v := r.opts.RawGetString(name); lua.LVAsBool(v) {
			return v
		}
		return def
	}
	viewOpts := L.NewTable()
	viewOpts.RawSetString("depth", lua.LNumber(4))
	r.callbacks = L.NewTable()
	for name, def := range map[string]lua.LValue{
		"readChunk": L.NewFunction(k.replReadChunk),
		"onValues":  L.NewFunction(replOnValues),
		"onError":   k.replOnError(traceback),
		"pp":        k.module.RawGetString("view"),
		"view-opts": viewOpts,
	} {
		r.callbacks.RawSetString(name, or(name, def))
	}
	r.callbacks.RawSetString("env", r.env)
	if msg := r.opts.RawGetString("message"); lua.LVAsBool(msg) {
		r.onValues(msg)
	}
	L.SetField(r.env, replName, r.callbacks)

	r.save = r.opts.RawGetString("saveLocals") != lua.LFalse
	if s := k.scopeOf(r.opts.RawGetString("scope")); s != nil {
		r.scope = rootScope(s)
	}
	for i, name := range []string{"*1", "*2", "*3"} {
		r.scope.names.add(binding{name: name, lua: []string{"_1", "_2", "_3"}[i]})
	}
	r.opts.RawSetString("env", r.env)
	r.opts.RawSetString("scope", k.scopeValue(r.scope))
	r.opts.RawSetString("useMetadata", lua.LBool(r.opts.RawGetString("useMetadata") != lua.LFalse))
	if r.opts.RawGetString("allowedGlobals") == lua.LNil {
		if names := k.CurrentGlobals(r.env); names != nil {
			list := L.NewTable()
			for _, n := range names {
				list.Append(lua.LString(n))
			}
			r.opts.RawSetString("allowedGlobals", list)
		}
	}
	if init := r.opts.RawGetString("init"); lua.LVAsBool(init) {
		r.call(init, r.opts, lua.LNumber(k.replDepth))
	}
	r.resetLocals()
	if register := r.opts.RawGetString("registerCompleter"); lua.LVAsBool(register) {
		r.call(register, L.NewFunction(r.luaComplete))
	}
	r.pluginCommands()
	r.reader = newReader(nil, "unknown")
	o := k.LuaOptions(r.opts)
	k.prepareReader(r.reader, &o)
}

func (r *repl) resetLocals() {
	if !r.save {
		return
	}
	locals, mt := r.L.NewTable(), r.L.NewTable()
	mt.RawSetString("__newindex", r.L.NewFunction(func(L *lua.LState) int {
		// Only what this conversation declared: a form may have been read for another scope.
		if name, ok := L.Get(2).(lua.LString); ok && r.scope.lookup(string(name)) != nil {
			L.CheckTable(1).RawSetString(string(name), L.Get(3))
		}
		return 0
	}))
	locals.Metatable = mt
	r.L.SetField(r.env, replLocals, locals)
}

func (r *repl) locals() *lua.LTable {
	t, _ := r.L.GetField(r.env, replLocals).(*lua.LTable)
	return t
}

// call calls a value and gives its first result.
func (r *repl) call(fn lua.LValue, args ...lua.LValue) lua.LValue {
	r.L.Push(fn)
	for _, a := range args {
		r.L.Push(a)
	}
	r.L.Call(len(args), 1)
	v := r.L.Get(-1)
	r.L.Pop(1)
	return v
}

func (r *repl) onValues(values ...lua.LValue) {
	list := r.L.NewTable()
	for _, v := range values {
		list.Append(v)
	}
	r.call(r.callbacks.RawGetString("onValues"), list)
}

func (r *repl) onError(kind string, msg lua.LValue) {
	r.call(r.callbacks.RawGetString("onError"), lua.LString(kind), msg)
}

// fill asks for a chunk of input when the last one is used up, and hands it to the reader byte by byte, so that chars
// is what the form took.
func (r *repl) fill(depth int) ([]byte, bool) {
	if len(r.buf) == 0 {
		state := r.L.CreateTable(0, 1)
		state.RawSetString("stack-size", lua.LNumber(depth))
		s, ok := r.call(r.callbacks.RawGetString("readChunk"), state).(lua.LString)
		if !ok {
			return nil, false
		}
		r.buf = []byte(s)
		if len(r.buf) == 0 {
			return nil, false
		}
	}
	b := r.buf[:1:1]
	r.buf = r.buf[1:]
	r.chars = append(r.chars, b[0])
	return b, true
}

// startInput makes the reader count lines and columns from here, and keeps the byte that it has looked at and not
// taken, as the bracket of `565)`.
func (r *repl) startInput() {
	ahead := append([]byte(nil), r.reader.buf[r.reader.off:]...)
	r.reader.reset()
	r.chars = r.chars[:0]
	if len(ahead) > 0 && ahead[0] != '\n' {
		r.reader.buf, r.reader.file.text = ahead, ahead
	}
}

// read reads one form; ok is false at the end of the input. An error is what pcall would give.
func (r *repl) read() (form Node, ok bool, err error) {
	err = r.protect(func() {
		r.reader.more = r.fill
		r.k.run(r.L, r.opts, func() { form, ok = r.reader.next() })
	})
	return form, ok, err
}

// protect runs a part of the conversation whose errors are told and do not end it.
func (r *repl) protect(f func()) error {
	r.L.Push(r.L.NewFunction(func(*lua.LState) int {
		f()
		return 0
	}))
	return vm.PCall(r.L, 0, 0, nil)
}

// begin lets a person break off what is evaluated from now until end is called, which the handler of an error does
// before anything else.
func (r *repl) begin() (end func()) {
	if r.k.Interrupt == nil {
		return func() {}
	}
	return r.k.Interrupt.Begin()
}

// interruptible is protect for what runs code of the person's.
func (r *repl) interruptible(f func()) error {
	end := r.begin()
	defer end()
	r.L.Push(r.L.NewFunction(func(*lua.LState) int {
		f()
		return 0
	}))
	return vm.PCall(r.L, 0, 0, r.L.NewFunction(func(L *lua.LState) int {
		end()
		L.Push(L.Get(1))
		return 1
	}))
}

func errorValue(err error) lua.LValue {
	if api, ok := err.(*lua.ApiError); ok && api.Object != nil {
		return api.Object
	}
	return lua.LString(err.Error())
}

func (r *repl) loop() lua.LValue {
	last := false // the input of ,return is the last
	for {
		r.startInput()
		form, ok, err := r.read()
		src := string(r.chars)
		switch {
		case err != nil:
			r.onError("Parse", errorValue(err))
			r.buf = nil
		case isCommand(src):
			switch name := commandName(src); name {
			case "exit":
				return lua.LNil
			case "return":
				last = true
			default:
				r.command(name)
			}
			continue
		case !ok:
			return lua.LNil
		default:
			r.eval(form, src)
		}
		if last {
			return r.locals().RawGetString("*1")
		}
	}
}

func (r *repl) eval(form Node, src string) {
	var fn *lua.LFunction
	r.opts.RawSetString("source", lua.LString(src))
	if err := r.interruptible(func() { r.k.run(r.L, r.opts, func() { fn = r.compile(form) }) }); err != nil {
		r.buf = nil
		r.onError("Compile", errorValue(err))
		return
	}
	r.L.Push(r.L.NewFunction(func(L *lua.LState) int {
		q := *r
		q.L = L
		L.Push(fn)
		L.Call(0, lua.MultRet)
		values := make([]lua.LValue, L.GetTop())
		for i := range values {
			values[i] = L.Get(i + 1)
		}
		q.saveValue(values)
		q.print(values)
		return 0
	}))
	end := r.begin()
	defer end()
	handler := r.L.NewFunction(func(L *lua.LState) int {
		end()
		L.Push(r.callbacks.RawGetString("onError"))
		L.Push(lua.LString("Runtime"))
		L.Push(L.Get(1))
		L.Call(2, 1)
		return 1
	})
	// The handler has told the error.
	_ = vm.PCall(r.L, 0, 0, handler)
}

func (r *repl) compile(form Node) *lua.LFunction {
	o := r.k.LuaOptions(r.opts)
	chunk := r.k.compileForms([]Node{form}, o)
	if r.save {
		chunk = r.splice(chunk)
	}
	proto, err := assemble(chunk, o.Filename)
	if err != nil {
		panic(asError(err))
	}
	fn := r.L.NewFunctionFromProto(proto)
	fn.Env = r.env
	return fn
}

func asError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return &Error{Kind: CompileError, Message: err.Error(), noSource: true}
}

// splice puts what takes the locals out in front of a chunk, and what puts them back before it returns.
func (r *repl) splice(chunk []ast.Stmt) []ast.Stmt {
	saved := func(name string) ast.Expr {
		return &ast.AttrGetExpr{Object: &ast.IdentExpr{Value: replLocals}, Key: &ast.StringExpr{Value: name}}
	}
	var out []ast.Stmt
	stablePairs(r.locals(), func(key, _ lua.LValue) bool {
		name, ok := key.(lua.LString)
		if !ok {
			return true
		}
		luaName := string(name)
		if b := r.scope.lookup(luaName); b != nil {
			luaName = b.lua
		}
		out = append(out, &ast.LocalAssignStmt{Names: []string{luaName}, Exprs: []ast.Expr{saved(string(name))}})
		return true
	})
	n := len(chunk)
	ret, ok := ast.Stmt(nil), false
	if n > 0 {
		if ret, ok = chunk[n-1].(*ast.ReturnStmt); ok {
			n--
		}
	}
	out = append(out, chunk[:n]...)
	if ok {
		for _, b := range r.scope.names.list {
			if b.meta == nil || b.name == "" || r.scope.lookup(b.name).lua != b.lua {
				continue
			}
			out = append(out, &ast.AssignStmt{Lhs: []ast.Expr{saved(b.name)}, Rhs: []ast.Expr{&ast.IdentExpr{Value: b.lua}}})
		}
		out = append(out, ret)
	}
	return out
}

// saveValue keeps the last three values as *1, *2 and *3.
func (r *repl) saveValue(values []lua.LValue) {
	locals := r.locals()
	if locals == nil {
		return
	}
	locals.RawSetString("*3", locals.RawGetString("*2"))
	locals.RawSetString("*2", locals.RawGetString("*1"))
	first := lua.LValue(lua.LNil)
	if len(values) > 0 {
		first = values[0]
	}
	locals.RawSetString("*1", first)
}

func (r *repl) print(values []lua.LValue) {
	all := r.L.NewTable()
	first := lua.LValue(lua.LNil)
	for i, v := range values {
		if i == 0 {
			first = v
		}
		all.RawSetInt(i+1, v)
	}
	r.L.SetField(r.env, "_", first)
	r.L.SetField(r.env, "__", all)
	shown := make([]lua.LValue, len(values))
	for i, v := range values {
		shown[i] = r.call(r.callbacks.RawGetString("pp"), v, r.callbacks.RawGetString("view-opts"))
	}
	r.onValues(shown...)
}
