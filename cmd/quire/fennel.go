package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	lua "github.com/yuin/gopher-lua"
	"golang.org/x/term"

	"quire/fennel"
	"quire/fennel/vm"
)

// newFennelCommand is the language by itself: programs, not pipelines, with the
// whole of Lua's library and the files of the person who runs them.
func newFennelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fennel",
		Short: "Run and compile Fennel programs",
		Long: `Runs Fennel, the language of .quire/ci.fnl, for programs of your own: with
Lua's whole standard library and your files. A pipeline has neither; to try one,
use "quire run" and "quire check".

Modules are found in FENNEL_PATH, macro modules in FENNEL_MACRO_PATH, behind the
working directory; Lua modules in LUA_PATH.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFennelEvalCommand(), newFennelCompileCommand(), newFennelReplCommand())
	return cmd
}

func newFennelEvalCommand() *cobra.Command {
	var code string
	cmd := &cobra.Command{
		Use:   "eval FILE [ARG...]",
		Short: "Run a Fennel program",
		Long: `Runs a Fennel program. Its arguments are in the table arg and in "..."; FILE "-"
is standard input. With -e the code is run and its values are printed.

The exit status is 1 if the program fails, or what it gives to os.exit.`,
		Example: "  quire fennel eval tool.fnl --verbose input.txt\n  quire fennel eval -e '(+ 1 2)'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("eval") {
				return fennelEvalCode(cmd.Context(), code, args)
			}
			if len(args) == 0 {
				return usageError{errors.New("fennel eval needs a FILE, - for standard input, or -e CODE")}
			}
			return fennelEvalFile(cmd.Context(), args[0], args[1:])
		},
	}
	// What stands behind FILE is the program's.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVarP(&code, "eval", "e", "", "run `CODE` and print its values")
	return cmd
}

// fennelState is a state for a person's own program. stop releases it and has
// to run before the process ends, since it writes what the program printed.
// A signal ends the process.
func fennelState(ctx context.Context, program string, args []string) (k *fennel.Compiler, L *lua.LState, stop func()) {
	// Asking the context at every instruction would cost up to 40 % of the speed.
	// The program is the person's, and so is the signal.
	k, L = newFennelState(vm.Options{}, program, args)
	unwatch := context.AfterFunc(ctx, func() { os.Exit(exitInterrupted) })
	return k, L, func() {
		unwatch()
		vm.Close(L)
	}
}

func newFennelState(options vm.Options, program string, args []string) (*fennel.Compiler, *lua.LState) {
	L := vm.New(options)
	k := fennel.Install(L)
	k.Carets = k.NoColor || !term.IsTerminal(int(os.Stderr.Fd()))
	k.InstallSearcher(L, nil)
	arg := L.CreateTable(len(args), 2)
	arg.RawSet(lua.LNumber(-1), lua.LString(os.Args[0]))
	arg.RawSet(lua.LNumber(0), lua.LString(program))
	for _, a := range args {
		arg.Append(lua.LString(a))
	}
	L.SetGlobal("arg", arg)
	return k, L
}

// exitInterrupted is the status that a shell reports for SIGINT.
const exitInterrupted = 130

func fennelEvalFile(ctx context.Context, file string, args []string) error {
	if file == "-" {
		source, err := io.ReadAll(os.Stdin)
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		k, L, stop := fennelState(ctx, file, args)
		options := L.NewTable()
		options.RawSetString("filename", lua.LString("stdin"))
		return fennelEnd(k.RunString(string(source), options), stop)
	}
	if _, err := os.Stat(file); err != nil {
		return failedError{error: fmt.Errorf("fennel eval: %w", err)}
	}
	k, _, stop := fennelState(ctx, file, args)
	return fennelEnd(k.RunFile(file, nil, args...), stop)
}

func fennelEvalCode(ctx context.Context, code string, args []string) error {
	k, L, stop := fennelState(ctx, "-e", args)
	err := k.RunString(code, nil)
	if err == nil {
		err = fennelPrint(L)
	}
	return fennelEnd(err, stop)
}

// fennelPrint gives all that is on the stack to the program's own print.
func fennelPrint(L *lua.LState) error {
	n := L.GetTop()
	L.Insert(L.GetGlobal("print"), 1)
	return vm.PCall(L, n, 0, nil)
}

// fennelEnd flushes what the program wrote before its error is shown.
func fennelEnd(err error, stop func()) error {
	stop()
	if err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, fennelErrorText(err))
	return errFailed
}

func fennelErrorText(err error) string {
	text := err.Error()
	var api *lua.ApiError
	if errors.As(err, &api) && api.Object != nil {
		text = api.Object.String()
	}
	return text
}

func newFennelCompileCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compile FILE",
		Short: "Print a Fennel program as Lua",
		Long:  `Prints the Lua that a Fennel program compiles to. FILE "-" is standard input.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return fennelCompile(cmd, args[0])
		},
	}
}

func fennelCompile(cmd *cobra.Command, file string) error {
	var source []byte
	var err error
	name := file
	if file == "-" {
		name = "stdin"
		source, err = io.ReadAll(os.Stdin)
	} else {
		source, err = os.ReadFile(file)
	}
	if err != nil {
		return failedError{error: fmt.Errorf("fennel compile: %w", err)}
	}
	k, L, stop := fennelState(cmd.Context(), file, nil)
	k.ScriptModule()
	options := L.NewTable()
	options.RawSetString("filename", lua.LString(name))
	text, err := k.CompileString(string(source), options)
	if err == nil {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(text, "\n"))
	}
	return fennelEnd(err, stop)
}
