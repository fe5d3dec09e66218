// Package fennel compiles the Fennel language to functions that gopher-lua runs.
//
// It is the whole language of Fennel as its tree has it after 1.6.1 (reader, macros, special forms, pattern matching, errors with advice),
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
// [CompileToLua] gives the same program as Lua text. [Options].AllowedGlobals lets the compiler find misspelt names. Errors of reading and compiling are [*Error].
//
// # Macros
//
// The built-in macros are Go. A program that defines or imports macros of its own runs them at compile time, in a Lua
// state which is made the first time it is needed, with the environment the reference describes: no file writing, no
// processes, no debug library. Macro modules come from [Options].LoadModule.
//
// A macro that never ends is stopped by [Options].Context, or by the context of the state it runs in. Everything else
// ends by itself: nesting, chains and the forms that macros make are bounded.
//
// # In a running state
//
// A [Compiler] is the compile-time world of one running lua.LState: what (require :fennel) offers to scripts. Its
// macros run in that same state, so that a script may pass functions, scopes and environments to fennel.eval.
// [Install] makes the whole module; [Compiler.Module] is the half that compiles (eval, compile-string, parser, list,
// sym, scope, metadata, doc, syntax, …).
//
// # Inside
//
// reader.go makes nodes (node.go) of bytes. compile.go turns them into statements and expressions of gopher-lua's
// syntax tree, by way of special forms (specials_*.go) and built-in macros (macros_*.go, match.go), which are Go
// functions; scope.go says what names mean, destructure.go what patterns bind. macroenv.go is the environment of a
// program's own macros, luavalue.go the tables they see. luacode compiles the tree around gopher-lua's faults, or
// prints it.
//
// What this package refuses to do: it has no opinion on which files exist, reads none itself unless the
// embedder's LoadModule does, and never writes to the terminal except through [Options].Warn.
package fennel
