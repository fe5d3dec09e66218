package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// Limits bound what one library call may use up. They exist because nothing
// else can stop it: a context is only asked between Lua instructions. Zero in a
// field stands for the default, a negative number for no limit.
type Limits struct {
	// String is the length in bytes of the longest string that a library call
	// may make (rep, format, gsub, concat, …). Default: 64 MiB in a Sandbox,
	// 2 GiB - 1 in a Full state.
	String int

	// Unpack is the most values that unpack or string.byte return. Default:
	// 100,000 in a Sandbox, 1,000,000 in a Full state. (lua5.1 stops at 8,000.)
	Unpack int

	// PatternSteps is the number of single comparisons that one call of find,
	// match, gsub or one step of gmatch may make; 100 million take 0.7 seconds.
	// Default: 100 million in a Sandbox, none in a Full state.
	PatternSteps int

	// Coroutines is the number of coroutines that may be alive at once. Default:
	// 10,000 in a Sandbox, none in a Full state.
	Coroutines int

	// Source is the length in bytes of a chunk that load and loadstring accept.
	// gopher-lua's compiler recurses as deep as the source nests, and takes time with
	// the square of it. Default:
	// 64 KiB in a Sandbox, none in a Full state.
	Source int
}

const unlimited = int(^uint(0) >> 1)

func (l Limits) withDefaults(kind Kind) Limits {
	def := Limits{
		String:       1<<31 - 1,
		Unpack:       1_000_000,
		PatternSteps: -1,
		Coroutines:   -1,
		Source:       -1,
	}
	if kind == Sandbox {
		def = Limits{
			String:       64 << 20,
			Unpack:       100_000,
			PatternSteps: 100_000_000,
			Coroutines:   10_000,
			Source:       64 << 10,
		}
	}
	pick := func(v, d int) int {
		if v == 0 {
			v = d
		}
		if v < 0 {
			v = unlimited
		}
		return v
	}
	return Limits{
		String:       pick(l.String, def.String),
		Unpack:       pick(l.Unpack, def.Unpack),
		PatternSteps: pick(l.PatternSteps, def.PatternSteps),
		Coroutines:   pick(l.Coroutines, def.Coroutines),
		Source:       pick(l.Source, def.Source),
	}
}

// limitsOf is the state's limits; the defaults of a Full state when New did not
// make it.
func limitsOf(L *lua.LState) Limits {
	if m := machineOf(L); m != nil {
		return m.limits
	}
	return Limits{}.withDefaults(Full)
}

// CheckStringLength raises when a function of the embedder's is about to make a
// string of n bytes and the state allows no string so long.
func CheckStringLength(L *lua.LState, n int) {
	checkLength(L, int64(n), limitsOf(L).String)
}

// checkLength raises when a result of n bytes is more than the state allows.
// 64 bits: the caller's product of two lengths must not wrap.
func checkLength(L *lua.LState, n int64, limit int) {
	if n > int64(limit) {
		raisef(L, "string too long: %d bytes, limit %d", n, limit)
	}
}

// checkContext raises the context's error if it is over. Library calls that
// may run long ask this now and then.
func checkContext(L *lua.LState) {
	if ctx := L.Context(); ctx != nil {
		if err := ctx.Err(); err != nil {
			raisef(L, "%s", err.Error())
		}
	}
}
