package vm

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// gopher-lua says "attempt to call a non-function object" where lua5.1 says
// "attempt to call field 'tset' (a nil value)". What it knows at that moment is
// the instruction, and the registers are still there; so the message is put
// into lua5.1's words before the functions are unwound.

// faults are the messages of the machine's own errors.
var faults = []struct {
	re   *regexp.Regexp
	mend func(b *blamed, m []string) string
}{
	{regexp.MustCompile(`^attempt to index a non-table object\((\w+)\) with key '(.*)'$`), func(b *blamed, m []string) string {
		if name := b.indexed(); name != "" {
			return "attempt to index " + name + " (a " + m[1] + " value)"
		}
		return "attempt to index a " + m[1] + " value (with key '" + m[2] + "')"
	}},
	{regexp.MustCompile(`^attempt to call a non-function object$`), func(b *blamed, m []string) string {
		return b.complain("call", b.called())
	}},
	{regexp.MustCompile(`^cannot perform (add|sub|mul|div|mod|pow) operation between (\w+) and (\w+)$`), func(b *blamed, m []string) string {
		return b.complain("perform arithmetic on", b.operand(m[2], m[3]))
	}},
	{regexp.MustCompile(`^__unm undefined$`), func(b *blamed, m []string) string {
		return b.complain("perform arithmetic on", b.register(b.b))
	}},
	{regexp.MustCompile(`^__len undefined$`), func(b *blamed, m []string) string {
		return b.complain("get length of", b.register(b.b))
	}},
	{regexp.MustCompile(`^cannot perform concat operation between (\w+) and (\w+)$`), func(b *blamed, m []string) string {
		bad := m[1]
		if bad == "string" || bad == "number" {
			bad = m[2]
		}
		return "attempt to concatenate a " + bad + " value"
	}},
	{regexp.MustCompile(`^attempt to compare (\w+) with (\w+)$`), func(b *blamed, m []string) string {
		if m[1] == m[2] {
			return "attempt to compare two " + m[1] + " values"
		}
		return m[0]
	}},
	{regexp.MustCompile(`^for statement init must be a number$`), said("'for' initial value must be a number")},
	{regexp.MustCompile(`^for statement limit must be a number$`), said("'for' limit must be a number")},
	{regexp.MustCompile(`^for statement step must be a number$`), said("'for' step must be a number")},
	{regexp.MustCompile(`^(lua callstack|registry) overflow$`), said("stack overflow")},
}

func said(s string) func(*blamed, []string) string {
	return func(*blamed, []string) string { return s }
}

// faultPrefix is the position that gopher-lua puts before a message.
var faultPrefix = regexp.MustCompile(`^(?:[^\n]*?:\d+:|\[G\]:) `)

// mendMessage puts an error of the machine's into lua5.1's words; nil if the
// value is no such error. at is the state while the functions that raised it
// are on the stack, nil afterwards.
func mendMessage(at *lua.LState, v lua.LValue) lua.LValue {
	s, ok := v.(lua.LString)
	if !ok || !mayBeFault(string(s)) {
		return nil
	}
	where, msg := "", string(s)
	// A file's name may hold what looks like a position: the last one counts.
	for {
		loc := faultPrefix.FindStringIndex(msg)
		if loc == nil {
			break
		}
		where += msg[:loc[1]]
		msg = msg[loc[1]:]
	}
	for _, f := range faults {
		if m := f.re.FindStringSubmatch(msg); m != nil {
			return lua.LString(where + f.mend(blame(at), m))
		}
	}
	return nil
}

// mayBeFault is cheap: most errors are a program's own.
func mayBeFault(s string) bool {
	for _, w := range []string{"non-table object", "non-function object", "cannot perform ", " undefined", "for statement ", " overflow", "to compare "} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// blamed is the instruction that raised an error. Without one (fn is nil) names
// and types are not known.
type blamed struct {
	fn      *lua.LFunction
	pc      int // of the instruction
	base    int
	regs    []lua.LValue
	op      int
	a, b, c int
}

// operandOf is a value with the name that the program has for it.
type operandOf struct {
	kind string // its type; "" if not known
	name string // "local 'x'"; "" if it has none
}

var frameFields struct {
	ok        bool
	frame     uintptr // Debug.frame *callFrame
	pc        uintptr // callFrame.Pc int: of the next instruction
	localBase uintptr // callFrame.LocalBase int
	array     uintptr // registry.array []LValue
}

// findFrameFields is part of the init in upvalues.go, which has to come first.
func findFrameFields() {
	frame, ok1 := reflect.TypeFor[lua.Debug]().FieldByName("frame")
	reg, ok2 := reflect.TypeFor[lua.LState]().FieldByName("reg")
	if !ok1 || !ok2 || frame.Type.Kind() != reflect.Pointer || !internals.ok {
		return
	}
	pc, ok1 := frame.Type.Elem().FieldByName("Pc")
	base, ok2 := frame.Type.Elem().FieldByName("LocalBase")
	array, ok3 := reg.Type.Elem().FieldByName("array")
	if !ok1 || !ok2 || !ok3 || pc.Type.Kind() != reflect.Int || base.Type.Kind() != reflect.Int ||
		array.Type != reflect.TypeFor[[]lua.LValue]() {
		return
	}
	frameFields.frame, frameFields.pc, frameFields.localBase = frame.Offset, pc.Offset, base.Offset
	frameFields.array, frameFields.ok = array.Offset, true
}

// blame finds the instruction of the innermost function of the program's.
func blame(L *lua.LState) *blamed {
	b := &blamed{}
	if L == nil || !frameFields.ok {
		return b
	}
	dbg, fn, ok := Frame(L, 0)
	if !ok || fn == nil || fn.IsG {
		return b
	}
	frame := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(dbg), frameFields.frame))
	pc := *(*int)(unsafe.Add(frame, frameFields.pc)) - 1
	if pc < 0 || pc >= len(fn.Proto.Code) {
		return b
	}
	reg := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(L), internals.reg))
	b.fn, b.pc = fn, pc
	b.base = *(*int)(unsafe.Add(frame, frameFields.localBase))
	b.regs = *(*[]lua.LValue)(unsafe.Add(reg, frameFields.array))
	b.op, b.a, b.b, b.c = decode(fn.Proto.Code[pc])
	return b
}

// decode takes an instruction apart; see gopher-lua's opcode.go.
func decode(inst uint32) (op, a, b, c int) {
	return int(inst >> 26), int(inst>>18) & 0xff, int(inst & 0x1ff), int(inst>>9) & 0x1ff
}

// constantBit marks an operand that is a constant, not a register.
const constantBit = 1 << 8

func (b *blamed) complain(what string, o operandOf) string {
	switch {
	case o.kind == "":
		return "attempt to " + what + " a value that does not allow it"
	case o.name != "":
		return fmt.Sprintf("attempt to %s %s (a %s value)", what, o.name, o.kind)
	}
	return fmt.Sprintf("attempt to %s a %s value", what, o.kind)
}

// register is what a register of the function holds.
func (b *blamed) register(r int) operandOf {
	if b.fn == nil {
		return operandOf{}
	}
	if r&constantBit != 0 {
		if k := r &^ constantBit; k < len(b.fn.Proto.Constants) {
			return operandOf{kind: b.fn.Proto.Constants[k].Type().String()}
		}
		return operandOf{}
	}
	o := operandOf{name: b.nameOf(r, b.pc, 0)}
	if i := b.base + r; i < len(b.regs) && b.regs[i] != nil {
		o.kind = b.regs[i].Type().String()
	}
	return o
}

func (b *blamed) indexed() string {
	if b.fn == nil {
		return ""
	}
	switch b.op {
	case lua.OP_GETTABLE, lua.OP_GETTABLEKS, lua.OP_SELF:
		return b.nameOf(b.b, b.pc, 0)
	case lua.OP_SETTABLE, lua.OP_SETTABLEKS:
		return b.nameOf(b.a, b.pc, 0)
	}
	return ""
}

func (b *blamed) called() operandOf {
	switch b.op {
	case lua.OP_CALL, lua.OP_TAILCALL, lua.OP_TFORLOOP:
		return b.register(b.a)
	}
	return operandOf{}
}

// operand is the one of an arithmetic's two operands that is no number.
func (b *blamed) operand(left, right string) operandOf {
	bad, r := left, b.b
	// A string may have been a numeral; what is neither is certainly at fault.
	if left == "number" || left == "string" && right != "number" && right != "string" {
		bad, r = right, b.c
	}
	o := b.register(r)
	if o.kind != bad {
		o = operandOf{kind: bad}
	}
	return o
}

// nameOf is what the program calls the value that a register had at an
// instruction: the last one before it that loaded the register tells.
func (b *blamed) nameOf(r, pc, depth int) string {
	proto := b.fn.Proto
	if r&constantBit != 0 || depth > 10 {
		return ""
	}
	// A local begins with the instruction behind the one that sets it, which
	// gopher-lua counts one too late.
	for _, at := range [2]int{pc, pc + 1} {
		if name, ok := b.fn.LocalName(r+1, at); ok && !strings.HasPrefix(name, "(") {
			return "local '" + name + "'"
		}
	}
	constant := func(k int) string {
		if k &^= constantBit; k < len(proto.Constants) {
			if s, ok := proto.Constants[k].(lua.LString); ok {
				return string(s)
			}
		}
		return ""
	}
	named := func(kind, name string) string {
		if name == "" {
			return ""
		}
		return kind + " '" + name + "'"
	}
	for i := pc - 1; i >= 0; i-- {
		op, a, bb, c := decode(proto.Code[i])
		if op == lua.OP_CALL && a <= r || a == r && !loads(op) {
			return ""
		}
		if a != r {
			continue
		}
		switch op {
		case lua.OP_GETGLOBAL:
			return named("global", constant(int(proto.Code[i]&0x3ffff)))
		case lua.OP_GETTABLEKS, lua.OP_GETTABLE:
			if c&constantBit == 0 {
				return ""
			}
			return named("field", constant(c))
		case lua.OP_SELF:
			return named("method", constant(c))
		case lua.OP_GETUPVAL:
			if bb < len(proto.DbgUpvalues) {
				return named("upvalue", proto.DbgUpvalues[bb])
			}
		case lua.OP_MOVE:
			return b.nameOf(bb, i, depth+1)
		}
		return ""
	}
	return ""
}

// loads tells the instructions that nameOf reads.
func loads(op int) bool {
	switch op {
	case lua.OP_GETGLOBAL, lua.OP_GETTABLE, lua.OP_GETTABLEKS, lua.OP_SELF, lua.OP_GETUPVAL, lua.OP_MOVE:
		return true
	}
	return false
}
