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
		return b.complain("concatenate", b.concatenated(m[1], m[2]))
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

// concatenated is the operand of a concatenation that is neither a string nor a
// number: the left one of the two that met, if neither is. One instruction takes
// a whole row of registers and goes through it from the right.
func (b *blamed) concatenated(left, right string) operandOf {
	joins := func(kind string) bool { return kind == "string" || kind == "number" }
	bad := left
	if joins(left) {
		bad = right
	}
	if b.fn == nil || b.op != lua.OP_CONCAT {
		return operandOf{kind: bad}
	}
	for r := b.c; r >= b.b; r-- {
		o := b.register(r)
		if joins(o.kind) || r == b.c && !joins(left) {
			continue
		}
		if o.kind == bad { // else __concat of another operand gave it
			return o
		}
		break
	}
	return operandOf{kind: bad}
}

// nameOf is what the program calls the value that a register holds at an
// instruction: a local that was born with it, or the place it was loaded from.
// Where it may be either of two, it has no name.
func (b *blamed) nameOf(r, pc, depth int) string {
	if r&constantBit != 0 || depth > 10 {
		return ""
	}
	proto := b.fn.Proto
	if r < int(proto.NumParameters) && r < len(proto.DbgLocals) {
		return "local '" + proto.DbgLocals[r].Name + "'" // a parameter lives as long as the function
	}
	w := lastWrite(proto, r, pc)
	if name := localBorn(proto, r, w, pc); name != "" {
		return "local '" + name + "'"
	}
	if w < 0 {
		return ""
	}
	named := func(kind string, k int) string {
		if k &^= constantBit; k < len(proto.Constants) {
			if s, ok := proto.Constants[k].(lua.LString); ok {
				return kind + " '" + string(s) + "'"
			}
		}
		return ""
	}
	op, a, bb, c := decode(proto.Code[w])
	if a != r {
		return ""
	}
	switch op {
	case lua.OP_GETGLOBAL:
		return named("global", int(proto.Code[w]&0x3ffff))
	case lua.OP_GETTABLEKS, lua.OP_GETTABLE:
		if c&constantBit != 0 {
			return named("field", c)
		}
	case lua.OP_SELF:
		return named("method", c)
	case lua.OP_GETUPVAL:
		if bb < len(proto.DbgUpvalues) {
			return "upvalue '" + proto.DbgUpvalues[bb] + "'"
		}
	case lua.OP_MOVE:
		return b.nameOf(bb, w, depth+1)
	}
	return ""
}

// lastWrite is the last instruction before pc, in the order of the code, that
// writes a register; -1 if none does.
func lastWrite(proto *lua.FunctionProto, r, pc int) int {
	last := -1
	for i := 0; i < pc; i++ {
		op, a, b, c := decode(proto.Code[i])
		from, to := a, a // what the instruction writes
		switch op {
		case lua.OP_SETGLOBAL, lua.OP_SETUPVAL, lua.OP_SETTABLE, lua.OP_SETTABLEKS, lua.OP_JMP, lua.OP_EQ, lua.OP_LT,
			lua.OP_LE, lua.OP_TEST, lua.OP_RETURN, lua.OP_TAILCALL, lua.OP_CLOSE, lua.OP_NOP:
			continue
		case lua.OP_SETLIST:
			if c == 0 {
				i++ // the next word is a number
			}
			continue
		case lua.OP_CLOSURE:
			// The words behind it say where its upvalues are.
			if k := int(proto.Code[i] & 0x3ffff); k < len(proto.FunctionPrototypes) {
				if a == r {
					last = i
				}
				i += int(proto.FunctionPrototypes[k].NumUpvalues)
			}
			continue
		case lua.OP_LOADNIL:
			to = b
		case lua.OP_SELF:
			to = a + 1
		case lua.OP_CALL:
			if to = a + c - 2; c == 0 {
				to = maxRegisters
			}
			to = max(to, a) // its function is gone in any case
		case lua.OP_VARARG:
			if to = a + b - 2; b == 0 {
				to = maxRegisters
			}
		case lua.OP_FORLOOP:
			to = a + 3
		case lua.OP_TFORLOOP:
			from, to = a+3, a+2+c
		}
		if r >= from && r <= to {
			last = i
		}
	}
	return last
}

const (
	maxRegisters = 255
	jumpBias     = 1<<17 - 1 // what a jump's distance is stored with
)

// localBorn is the local that began to live in a register between the
// instruction w, which wrote it, and pc. The prototype has names and first
// instructions of locals right, but not their ends (gopher-lua's EndScope takes
// a register for an index), so that LocalName is of no use; nor has it their
// registers, which follow from the instruction that made them.
func localBorn(proto *lua.FunctionProto, r, w, pc int) string {
	name := ""
	list := proto.DbgLocals
	reg := -1 // of the last local that was looked at
	for i := 0; i < len(list); {
		start := list[i].StartPc
		n := 1 // locals that are born together
		for i+n < len(list) && list[i+n].StartPc == start {
			n++
		}
		first := 0 // register of the first of them
		switch {
		case start == 0 || start > len(proto.Code):
			first = reg + 1 // parameters
		case i > 0 && list[i-1].Name == "(for step)":
			// A loop's variables stand behind its three hidden ones.
			_, a, _, _ := decode(proto.Code[start-1]) // FORPREP
			first = a + 3
		case i > 0 && list[i-1].Name == "(for control)":
			// The jump leads to the TFORLOOP; over an empty body there is none.
			to := start
			if op, _, _, _ := decode(proto.Code[start-1]); op == lua.OP_JMP {
				to += int(proto.Code[start-1]&0x3ffff) - jumpBias
			}
			if to >= 0 && to < len(proto.Code) {
				_, a, _, _ := decode(proto.Code[to])
				first = a + 3
			}
		default:
			op, a, b, c := decode(proto.Code[start-1])
			lastReg := a
			switch op {
			case lua.OP_LOADNIL:
				lastReg = b
			case lua.OP_CALL:
				lastReg = a + c - 2
			case lua.OP_VARARG:
				lastReg = a + b - 2
			}
			first = lastReg - n + 1
		}
		for j := range n {
			if first+j == r && start > w && start <= pc && !strings.HasPrefix(list[i+j].Name, "(") {
				name = list[i+j].Name
			}
		}
		reg = first + n - 1
		i += n
	}
	return name
}
