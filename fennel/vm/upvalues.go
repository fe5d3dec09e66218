package vm

import (
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// gopher-lua v1.1.2, on an error without a handler, closes the captured
// variables of every function on the stack, also of those that go on after
// pcall has caught the error. From then on such a function and its closures
// each have a variable of their own:
//
//	local n = 0
//	local function inc() n = n + 1 end
//	pcall(error)
//	inc()          -- n is still 0
//
// With a handler it closes none, and closures of the functions that died read
// whatever the stack holds later. Right is to close those above the pcall. No
// exported function does that, so this file reaches into three fields of the
// state, by name; where a version of gopher-lua lacks one, init notices and
// pcall stays as gopher-lua has it. TestPcallKeepsUpvalues holds it true.

var internals struct {
	ok           bool
	uvcache      uintptr // LState.uvcache *Upvalue: open upvalues, lowest register first
	hasErrorFunc uintptr // LState.hasErrorFunc bool: raising closes nothing
	reg          uintptr // LState.reg *registry
	top          uintptr // registry.top int
	next         uintptr // Upvalue.next *Upvalue
	index        uintptr // Upvalue.index int: its register
}

func init() {
	state := reflect.TypeFor[lua.LState]()
	upvalue := reflect.TypeFor[lua.Upvalue]()
	ok := true
	field := func(t reflect.Type, name string, kind reflect.Kind) reflect.StructField {
		f, found := t.FieldByName(name)
		if !found || f.Type.Kind() != kind {
			ok = false
		}
		return f
	}
	uvcache := field(state, "uvcache", reflect.Pointer)
	reg := field(state, "reg", reflect.Pointer)
	if !ok || uvcache.Type != reflect.PointerTo(upvalue) || reg.Type.Elem().Kind() != reflect.Struct {
		return
	}
	internals.uvcache = uvcache.Offset
	internals.reg = reg.Offset
	internals.hasErrorFunc = field(state, "hasErrorFunc", reflect.Bool).Offset
	internals.top = field(reg.Type.Elem(), "top", reflect.Int).Offset
	internals.next = field(upvalue, "next", reflect.Pointer).Offset
	internals.index = field(upvalue, "index", reflect.Int).Offset
	internals.ok = ok
	findFrameFields()
}

// keepOuterUpvalues makes the state's next error close no upvalue; PCall closes
// the right ones. It has to be said again after each PCall of the state's own,
// which resets it.
func keepOuterUpvalues(L *lua.LState) {
	if internals.ok {
		*(*bool)(unsafe.Add(unsafe.Pointer(L), internals.hasErrorFunc)) = true
	}
}

// registerTop is the absolute index of the first free register.
func registerTop(L *lua.LState) int {
	if !internals.ok {
		return 0
	}
	reg := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(L), internals.reg))
	return *(*int)(unsafe.Add(reg, internals.top))
}

// closeUpvalues closes the open upvalues whose registers are at or above base.
func closeUpvalues(L *lua.LState, base int) {
	if !internals.ok {
		return
	}
	// link is the pointer that leads to the first upvalue that goes.
	link := (**lua.Upvalue)(unsafe.Add(unsafe.Pointer(L), internals.uvcache))
	for *link != nil && *(*int)(unsafe.Add(unsafe.Pointer(*link), internals.index)) < base {
		link = (**lua.Upvalue)(unsafe.Add(unsafe.Pointer(*link), internals.next))
	}
	uv := *link
	*link = nil
	for uv != nil {
		next := *(**lua.Upvalue)(unsafe.Add(unsafe.Pointer(uv), internals.next))
		uv.Close()
		if uv.Value() == nil {
			// The stack overflowed and was cut before this could run.
			uv.SetValue(lua.LNil)
		}
		uv = next
	}
}
