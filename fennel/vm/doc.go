// Package vm makes gopher-lua states whose standard library behaves as Lua
// 5.1's does, and states in which a program from a stranger may run.
//
// gopher-lua (v1.1.2) is a good virtual machine with a loose library: it
// misreads pattern classes, cannot yield inside pcall, breaks closures when an
// error is caught, formats numbers as Go does, and has library calls that no
// deadline stops. This package brings a library of its own, so that a program
// sees what lua5.1 would show it. Each difference that is left is listed in
// docs/fennel.md.
//
// There are two kinds of state:
//
//	L := vm.New(vm.Options{Kind: vm.Full})     // all of Lua 5.1: io, os, debug, package.path
//	L := vm.New(vm.Options{Kind: vm.Sandbox})  // computing only
//	defer vm.Close(L)
//
// A Sandbox holds base (without dofile and loadfile), string, table, math,
// bit, coroutine, package (loaded, preload, loaders; no path), and of os only
// date, time, clock and difftime. Nothing in it reaches a file, a process, the
// environment or the Go heap beyond Limits: a string that a library call would
// make too long, a pattern that backtracks without end, an unpack of a million
// values each raise an error that names the limit. What the virtual machine
// itself does is out of reach of any library: `s = s .. s` in a loop, or a
// table filled for ever, ends only with Options.Context or with the process.
//
// With Options.Context set, its end stops Lua code within microseconds and
// every library call of this package within some thousand steps; pcall does not
// catch that error.
//
// A state, with all its coroutines, belongs to one goroutine at a time, as in
// gopher-lua. Different states share nothing that is ever written.
//
// Go code that calls into Lua from a function which Lua called should use
// [PCall] rather than the state's own PCall, which closes the captured
// variables of every function on the stack when it catches an error.
package vm
