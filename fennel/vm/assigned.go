package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// Assignment is a place in a program where a function assigns a variable that is
// not its own.
type Assignment struct {
	Name   string // as the compiled code has it
	Global bool
	Source string // file
	Line   int
}

// Assigned finds where a function of the program's, or one that is made in it,
// assigns a variable that was there before the function was called.
func Assigned(f *lua.LFunction) []Assignment {
	if f == nil || f.IsG {
		return nil
	}
	outer := make([]bool, f.Proto.NumUpvalues)
	for i := range outer {
		outer[i] = true
	}
	return assignedIn(nil, f.Proto, outer)
}

// assignedIn adds to found what a prototype assigns. outer tells of each of its
// upvalues whether it belongs to somebody outside.
func assignedIn(found []Assignment, proto *lua.FunctionProto, outer []bool) []Assignment {
	add := func(name string, global bool, pc int) {
		line := 0
		if pc < len(proto.DbgSourcePositions) {
			line = proto.DbgSourcePositions[pc]
		}
		found = append(found, Assignment{name, global, proto.SourceName, line})
	}
	for pc := 0; pc < len(proto.Code); pc++ {
		op, _, b, c := decode(proto.Code[pc])
		k := int(proto.Code[pc] & 0x3ffff)
		switch op {
		case lua.OP_SETUPVAL:
			if b < len(outer) && outer[b] && b < len(proto.DbgUpvalues) {
				add(proto.DbgUpvalues[b], false, pc)
			}
		case lua.OP_SETGLOBAL:
			if k < len(proto.Constants) {
				add(proto.Constants[k].String(), true, pc)
			}
		case lua.OP_SETLIST:
			if c == 0 {
				pc++ // the next word is a number
			}
		case lua.OP_CLOSURE:
			if k >= len(proto.FunctionPrototypes) {
				continue
			}
			// The words behind it say where its upvalues are: in a register, or
			// among the upvalues here.
			inner := proto.FunctionPrototypes[k]
			passed := make([]bool, inner.NumUpvalues)
			for i := range passed {
				if pc++; pc >= len(proto.Code) {
					return found
				}
				from, _, b, _ := decode(proto.Code[pc])
				passed[i] = from == lua.OP_GETUPVAL && b < len(outer) && outer[b]
			}
			found = assignedIn(found, inner, passed)
		}
	}
	return found
}
