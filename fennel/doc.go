// Package fennel compiles the Fennel language to functions that gopher-lua runs.
//
// It is the whole language of Fennel 1.6 (reader, macros, special forms, pattern matching, errors with advice),
// written in Go. There is no Lua implementation of the compiler inside: a fifty-line program goes from source to a
// lua.FunctionProto in well under a millisecond, and the prototype's debug lines are the lines of the Fennel source, so
// that a runtime error names the .fnl line without any table of translations.
//
// # Compiling
//
//	proto, err := fennel.Compile(source, fennel.Options{Filename: "ci.fnl"})
//	fn := L.NewFunctionFromProto(proto)
//
// A prototype takes `...`, holds nothing of a state, and may be shared by any number of states and goroutines.
// [CompileToLua] gives the same program as Lua text. Errors of reading and compiling are [*Error].
//
// # Macros
//
// The built-in macros are Go. A program that defines or imports macros of its own runs them at compile time, in a Lua
// state which is made the first time it is needed, with the environment the reference describes: no file writing, no
// processes, no debug library. Macro modules come from [Options].LoadModule.
//
// # In a running state
//
// A [Compiler] is the compile-time world of one running lua.LState: what (require :fennel) offers to scripts. Its
// macros run in that same state, so that a script may pass functions, scopes and environments to fennel.eval.
// [Compiler.Module] gives the compile half of the module table (eval, compile-string, parser, list, sym, scope,
// metadata, doc, syntax, …); what finds files, prints values, or talks to a person is added by the caller.
//
// What this package refuses to do: it has no opinion on which files exist, reads none itself unless the
// embedder's LoadModule does, and never writes to the terminal except through [Options].Warn.
package fennel
